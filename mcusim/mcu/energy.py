"""Energy from power by state: always modelled, with the spread between laboratories."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import Figure, Provenance
from mcusim.mcu.board import Board

BUSY_WRITE = "{board}.toml has no power.flash_write_mw: writing is taken at active power, clocks on"


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of some time spent in each state, in millijoules.

    ``low_mj`` and ``high_mj`` use the lowest and highest active power published for the chip:
    laboratories measured the same board and library up to 1.7 times apart.
    """

    board: Board
    mj: float
    low_mj: float
    high_mj: float
    source: str
    notes: tuple[str, ...] = ()

    @property
    def figure(self) -> Figure:
        """The energy with its source; the error band is the spread between laboratories."""
        spread = max(self.high_mj - self.mj, self.mj - self.low_mj) / self.mj if self.mj else None
        known = self.board.power.active_low_mw is not None or self.board.power.active_high_mw is not None
        return Figure(self.mj, "mJ", Provenance.MODELLED, self.source, None, spread if known else None)


def energy(board: Board, active_s: float, flash_write_s: float = 0.0, sleep_s: float = 0.0) -> Energy:
    """Return the energy of a span of time.

    Args:
        board: the board.
        active_s: seconds the core computes.
        flash_write_s: seconds the flash is erased or programmed while the core waits.
        sleep_s: seconds asleep with SRAM kept.

    Raises:
        BadBoard: if the active power, or (where there is sleep) the sleep power, is absent; names the
            field and the file.
    """
    active: float = board.need("power.active_mw", "energy")
    power, notes = board.power, []
    writing = power.flash_write_mw
    if writing is None and flash_write_s:
        notes.append(BUSY_WRITE.format(board=board.name))
    sleeping: float = board.need("power.sleep_mw", "energy of sleep") if sleep_s else 0.0

    def total(active_mw: float) -> float:
        writing_mw = active_mw if writing is None else writing
        return active_mw * active_s + writing_mw * flash_write_s + sleeping * sleep_s

    low = active if power.active_low_mw is None else power.active_low_mw
    high = active if power.active_high_mw is None else power.active_high_mw
    return Energy(
        board, total(active), total(low), total(high), board.source("power.active_mw"), tuple(notes)
    )
