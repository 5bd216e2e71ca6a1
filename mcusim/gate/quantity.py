"""What a budget can limit: its unit, how people write it, and how it is read from a plan."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mcusim.core import BadArgument, Figure, Provenance, UnknownName
from mcusim.core.units import parse_bytes

if TYPE_CHECKING:
    from mcusim.planning.plan import Plan

_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ]+)\s*")
_MILLISECONDS = {"us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3}
_MILLIJOULES = {"uj": 1e-3, "µj": 1e-3, "μj": 1e-3, "mj": 1.0, "j": 1e3}


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that a plan costs.

    Attributes:
        name: as budgets and baselines spell it.
        unit: of its numbers.
        help: what it is, in a few words.
        parse: a limit as it is written -> number in ``unit``; raises ``BadArgument``.
        measure: a plan -> the figure; raises ``McusimError`` where the board lacks what it takes.
    """

    name: str
    unit: str
    help: str
    parse: Callable[[str | float], float]
    measure: Callable[[Plan], Figure]

    def text(self, value: float) -> str:
        """Return a number with its unit: bytes in full, others to four digits."""
        return f"{value:,.0f} {self.unit}" if self.unit == "B" else f"{value:,.4g} {self.unit}"


def _scaled(factors: Mapping[str, float], example: str) -> Callable[[str | float], float]:
    def parse(text: str | float) -> float:
        match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
        factor = factors.get(match[2].lower()) if match else None
        value = float(match[1]) * factor if match and factor else math.nan
        if not 0 < value < math.inf:
            raise BadArgument(
                f"limit {text!r}", "is no positive number with its unit", f"write it like {example}"
            )
        return value

    return parse


def _exact(value: int) -> Figure:
    return Figure(value, "B", Provenance.EXACT, "counted")


def _time(plan: Plan) -> Figure:
    if plan.estimate is None:
        plan.board.need("profile", "the time of a step")
    assert plan.estimate is not None
    return plan.estimate.time_ms


def _energy(plan: Plan) -> Figure:
    from mcusim.mcu.energy import energy

    return energy(plan.board, _time(plan).scaled(1e-3, "s")).figure


def _bytes(text: str | float) -> float:
    return parse_bytes(int(text) if isinstance(text, float) and text.is_integer() else str(text))


_ALL = (
    Quantity("sram", "B", "peak of SRAM, all roles and holes", _bytes, lambda p: _exact(p.peak_bytes)),
    Quantity("flash", "B", "flash taken", _bytes, lambda p: _exact(p.flash.total_bytes)),
    Quantity("time", "ms", "time of a step", _scaled(_MILLISECONDS, '"120 ms" or "0.2 s"'), _time),
    Quantity("energy", "mJ", "energy of a step", _scaled(_MILLIJOULES, '"9 mJ" or "800 uJ"'), _energy),
)
QUANTITIES: Mapping[str, Quantity] = MappingProxyType({item.name: item for item in _ALL})
"""In the order in which tables list them. Sizes are limits on exact counts; time and energy on a model."""


def quantity(name: str) -> Quantity:
    """Return the quantity of a name.

    Raises:
        UnknownName: if there is none; names the nearest.
    """
    if name not in QUANTITIES:
        raise UnknownName("limit", name, QUANTITIES)
    return QUANTITIES[name]
