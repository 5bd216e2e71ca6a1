"""The file of budgets: which networks, on which boards, may cost how much."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcusim.core import BadArgument, McusimError
from mcusim.gate.quantity import quantity
from mcusim.session.experiment import Experiment

PYPROJECT = "pyproject.toml"
TABLE = ("tool", "mcusim", "check")
MOST = 10_000
"""More budgets than anybody plans: a file that asks for more is a mistake."""


@dataclass(frozen=True, slots=True)
class Budgeted:
    """One network on one board under one scheme, and the most that a step of it may cost.

    Attributes:
        name: unique in its file.
        experiment: what is planned.
        limits: name of a quantity -> the most it may be, in the unit of the quantity. SRAM and flash are
            limited by the board besides.
    """

    name: str
    experiment: Experiment
    limits: Mapping[str, float]


class _Budget(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    run: str | None = None
    limits: dict[str, str | int | float] = {}


class _Budgets(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    defaults: dict[str, Any] = {}
    budget: list[_Budget] = Field(min_length=1, max_length=MOST)


def read_budgets(path: str | Path) -> tuple[Budgeted, ...]:
    """Return the budgets of a TOML file, or of the table ``tool.mcusim.check`` of a ``pyproject.toml``.

    Each ``[[budget]]`` has a name, the settings of a run file (or ``run``, the path of one, which its own
    settings override) and ``limits``. ``[defaults]`` holds settings of all. Paths of networks, boards and
    run files begin at the folder of the file.

    Raises:
        BadArgument: if the file cannot be read, is not of this form, or two budgets share a name.
        UnknownName: for a setting or a limit that does not exist; names the nearest.
    """
    path = Path(path)
    data = _table(path)
    try:
        found = _Budgets.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadArgument(
            f"budgets {path}", f"{where}: {first['msg']}", "give [[budget]] tables with name and limits"
        ) from error
    names = [item.name for item in found.budget]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadArgument(f"budgets {path}", f"two budgets are called {twice!r}", "give each its own name")
    return tuple(_budgeted(path, item, found.defaults) for item in found.budget)


def _table(path: Path) -> Any:
    try:
        data: Any = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise BadArgument(f"budgets {path}", reason, "check the path") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadArgument(f"budgets {path}", f"is not TOML: {error}", "correct that line") from error
    if path.name != PYPROJECT:
        return data
    for key in TABLE:
        data = data.get(key) if isinstance(data, dict) else None
    if data is None:
        name = ".".join(TABLE)
        raise BadArgument(f"budgets {path}", f"has no table {name}", f"add [[{name}.budget]] tables")
    return data


def _budgeted(path: Path, item: _Budget, defaults: Mapping[str, Any]) -> Budgeted:
    try:
        settings: dict[str, Any] = {}
        if item.run is not None:
            run = path.parent / item.run
            settings = _here(run.parent, Experiment.read(run))
        settings = _merged(settings, _here(path.parent, {**defaults}))
        settings = _merged(settings, _here(path.parent, dict(item.model_extra or {})))
        limits = {name: quantity(name).parse(limit) for name, limit in item.limits.items()}
        return Budgeted(item.name, Experiment.from_dict(settings), limits)
    except McusimError as error:
        raise BadArgument(
            f"budget {item.name!r} of {path}: {error.thing}", error.reason, error.way_out
        ) from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return nested tables, those above over those below."""
    both = {**below}
    for key, value in above.items():
        old = both.get(key)
        both[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def _here(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose files are those beside the file that names them."""
    for key in ("model", "board"):
        value = settings.get(key)
        if isinstance(value, str) and (folder / value).is_file():
            settings[key] = str(folder / value)
    return settings
