"""The figures of an earlier state, kept as a file beside the budgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcusim.core import BadArgument
from mcusim.core.files import replacing

SCHEMA = "mcusim.baseline/1"
MOST_BYTES = 2**24

Baseline = Mapping[str, Mapping[str, float]]
"""Name of a budget -> name of a quantity -> what it was, in the quantity's unit."""


class _Saved(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    version: str = Field(alias="schema", pattern=f"^{SCHEMA}$")
    figures: dict[str, dict[str, float]]


def read_baseline(path: str | Path) -> Baseline:
    """Return the figures of a baseline file.

    Raises:
        BadArgument: if it cannot be read or is no baseline of this version.
    """
    path = Path(path)
    way_out = "make it anew with mcusim check --write-baseline"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadArgument(f"baseline {path}", f"is larger than {MOST_BYTES:,} B", way_out)
        return _Saved.model_validate(json.loads(path.read_text("utf-8"))).figures
    except OSError as error:
        raise BadArgument(
            f"baseline {path}", f"cannot be read: {error.strerror or error}", way_out
        ) from error
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise BadArgument(f"baseline {path}", f"is not JSON: {error}", way_out) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadArgument(f"baseline {path}", f"{where}: {first['msg']}", way_out) from error


def write_baseline(path: str | Path, figures: Baseline) -> None:
    """Write figures for later comparisons, sorted, so that two of them differ only where figures do.

    Raises:
        SaveFailed: if the file cannot be written.
    """
    data = {"schema": SCHEMA, "figures": {name: dict(found) for name, found in sorted(figures.items())}}
    with replacing(path) as file:
        file.write((json.dumps(data, indent=2, allow_nan=False) + "\n").encode())
