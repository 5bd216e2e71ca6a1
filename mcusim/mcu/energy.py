"""Energy from power by state and by region of memory: always modelled, with the spread between laboratories.

The power of a chip is that of a board which ran a network: weights read from flash and activations in SRAM
are in it. What lies outside the chip is not: such a region has a power of its own while it keeps its
contents, and an energy for every byte that is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mcusim.core import Figure, Provenance
from mcusim.mcu.board import Board

BUSY_WRITE = "{board}.toml has no power.flash_write_mw: writing is taken at active power, clocks on"
UNKNOWN_REGION = "{board}.toml has no {field} of sram {region}: it is taken to cost nothing"
NJ_A_MJ = 1e6
NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of some time spent in each state, in millijoules.

    ``low_mj`` and ``high_mj`` use the lowest and highest active power published for the chip
    (laboratories measured the same board and library up to 1.7 times apart), and where times have a band,
    its ends: all that is uncertain at its end at once, which bounds both together.
    """

    board: Board
    mj: float
    low_mj: float
    high_mj: float
    source: str
    notes: tuple[str, ...] = ()
    """What was supposed where a figure is absent."""
    unknown: tuple[str, ...] = ()
    """What counts less than it is, for want of a figure."""
    parts: Mapping[str, float] = field(default_factory=dict, hash=False)
    """What ``mj`` is made of: ``computing``, ``flash writes``, ``sleep``, and regions outside the chip."""

    @property
    def figure(self) -> Figure:
        """The energy with its source; the band is that of times and powers, absent if neither has one."""
        ends = (self.low_mj, self.high_mj) if self.low_mj < self.high_mj else (None, None)
        return Figure(self.mj, "mJ", Provenance.MODELLED, self.source, *ends)


def energy(
    board: Board,
    active: Figure | float,
    flash_write: Figure | float = 0.0,
    sleep_s: float = 0.0,
    moved: Mapping[str, float] = NOTHING,
) -> Energy:
    """Return the energy of a span of time.

    Args:
        board: the board.
        active: seconds the core computes, with their band if they have one.
        flash_write: seconds the flash is erased or programmed while the core waits.
        sleep_s: seconds asleep with SRAM kept.
        moved: bytes read and written, by name of a region outside the chip.

    Raises:
        BadBoard: if the active power, or (where there is sleep) the sleep power, is absent; names the
            field and the file.
    """
    active_mw: float = board.need("power.active_mw", "energy")
    power = board.power
    writing = power.flash_write_mw
    unknown: list[str] = []
    busy = [BUSY_WRITE.format(board=board.name)] if writing is None and _ends(flash_write)[1] else []
    sleeping: float = board.need("power.sleep_mw", "energy of sleep") if sleep_s else 0.0
    transfers = _transfers(board, moved, unknown)
    ready_mw = {r.name: r.ready_mw for r in board.sram if r.ready_mw}

    def parts(end: int, power_mw: float | None) -> dict[str, float]:
        milliwatts = active_mw if power_mw is None else power_mw
        computing, writes = _ends(active)[end], _ends(flash_write)[end]
        writing_mw = milliwatts if writing is None else writing
        found = {"computing": milliwatts * computing, "flash writes": writing_mw * writes,
                 "sleep": sleeping * sleep_s}  # fmt: skip
        for name in sorted({*ready_mw, *transfers}):
            kept = ready_mw.get(name, 0.0) * (computing + writes + sleep_s)
            found[name] = kept + transfers.get(name, 0.0)
        return {what: part for what, part in found.items() if part}

    here = parts(1, None)
    return Energy(
        board, sum(here.values()), sum(parts(0, power.active_low_mw).values()),
        sum(parts(2, power.active_high_mw).values()), board.source("power.active_mw"), tuple(busy),
        tuple(unknown), here,
    )  # fmt: skip


def energy_at_most(board: Board, awake: Figure | float) -> Figure | None:
    """Return the energy, in millijoules, that a span of time takes at most; ``None`` if nothing bounds it.

    A limit of the supply says little beside a measurement, so it is asked for where there is none. The end
    of the band of the time is taken.

    Args:
        board: the board.
        awake: seconds, with their band if they have one.
    """
    bound = board.power.bound_mw
    if bound is None:
        return None
    source = board.source("power.bound_mw")
    return Figure(bound * _ends(awake)[2], "mJ", Provenance.MODELLED, f"{bound:,.0f} mW at most: {source}")


def _transfers(board: Board, moved: Mapping[str, float], unknown: list[str]) -> dict[str, float]:
    """Return the millijoules of bytes moved outside the chip, and add what is not known."""
    found = {}
    for region in board.sram:
        moves = moved.get(region.name, 0.0) if region.external else 0.0
        if not moves:
            continue
        if region.transfer_nj is None:
            unknown.append(UNKNOWN_REGION.format(board=board.name, field="transfer_nj", region=region.name))
        else:
            found[region.name] = region.transfer_nj * moves / NJ_A_MJ
    return found


def _ends(seconds: Figure | float) -> tuple[float, float, float]:
    """Return the lower end, the value and the upper end of a time; all the same where it has no band."""
    if not isinstance(seconds, Figure):
        return seconds, seconds, seconds
    low = seconds.value if seconds.low is None else seconds.low
    return low, seconds.value, seconds.value if seconds.high is None else seconds.high
