"""Energy from power by state: always modelled, with the spread between laboratories."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import Figure, Provenance
from mcusim.mcu.board import Board

BUSY_WRITE = "{board}.toml has no power.flash_write_mw: writing is taken at active power, clocks on"


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

    @property
    def figure(self) -> Figure:
        """The energy with its source; the band is that of times and powers, absent if neither has one."""
        ends = (self.low_mj, self.high_mj) if self.low_mj < self.high_mj else (None, None)
        return Figure(self.mj, "mJ", Provenance.MODELLED, self.source, *ends)


def energy(
    board: Board, active: Figure | float, flash_write: Figure | float = 0.0, sleep_s: float = 0.0
) -> Energy:
    """Return the energy of a span of time.

    Args:
        board: the board.
        active: seconds the core computes, with their band if they have one.
        flash_write: seconds the flash is erased or programmed while the core waits.
        sleep_s: seconds asleep with SRAM kept.

    Raises:
        BadBoard: if the active power, or (where there is sleep) the sleep power, is absent; names the
            field and the file.
    """
    active_mw: float = board.need("power.active_mw", "energy")
    power, notes = board.power, []
    writing = power.flash_write_mw
    if writing is None and _ends(flash_write)[1]:
        notes.append(BUSY_WRITE.format(board=board.name))
    sleeping: float = board.need("power.sleep_mw", "energy of sleep") if sleep_s else 0.0

    def total(end: int, power_mw: float | None) -> float:
        milliwatts = active_mw if power_mw is None else power_mw
        writing_mw = milliwatts if writing is None else writing
        return milliwatts * _ends(active)[end] + writing_mw * _ends(flash_write)[end] + sleeping * sleep_s

    return Energy(
        board, total(1, None), total(0, power.active_low_mw), total(2, power.active_high_mw),
        board.source("power.active_mw"), tuple(notes),
    )  # fmt: skip


def _ends(seconds: Figure | float) -> tuple[float, float, float]:
    """Return the lower end, the value and the upper end of a time; all the same where it has no band."""
    if not isinstance(seconds, Figure):
        return seconds, seconds, seconds
    low = seconds.value if seconds.low is None else seconds.low
    return low, seconds.value, seconds.value if seconds.high is None else seconds.high
