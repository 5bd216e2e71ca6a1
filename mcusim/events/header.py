"""What a trace says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mcusim.core.errors import BadTrace
from mcusim.events.schema import SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Header:
    """Where a trace comes from. Empty or zero where it is not known.

    ``formats`` names what was stored how, for instance ``{"error": "int8", "weight": "int8+res8"}``.
    ``sram_bytes`` is the capacity the run had, ``clock_hz`` turns cycles into time, every block
    starts at a multiple of ``align`` bytes.
    """

    model: str = ""
    board: str = ""
    scheme: str = ""
    seed: int = 0
    formats: Mapping[str, str] = field(default_factory=dict)
    sram_bytes: int = 0
    profile: str = ""
    planner: str = ""
    clock_hz: int = 0
    align: int = 8
    schema: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Return one line of JSON, the same for equal headers."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        return json.dumps({**data, "formats": dict(self.formats)}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Header:
        """Read what :meth:`to_json` wrote.

        Raises:
            BadTrace: not such a text, or of another schema version.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadTrace("trace header", "is not JSON", "record the trace again") from error
        if not isinstance(data, dict):
            raise BadTrace("trace header", "is not an object", "record the trace again")
        version = data.get("schema")
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise BadTrace(
                "trace header",
                f"has schema version {version!r}, and this is version {SCHEMA_VERSION}",
                "read it with the mcusim that wrote it, or record the trace again",
            )
        return cls(**{f.name: _checked(f.name, f.type, data.get(f.name)) for f in fields(cls)})


def _checked(name: str, kind: Any, value: Any) -> Any:
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    if name == "formats" and isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return value
    raise BadTrace("trace header", f"has {name} {value!r:.60}", "record the trace again")
