"""A board with room for everything: for analyses done on a computer, and as an upper bound."""

from __future__ import annotations

from dataclasses import replace

from mcusim.mcu.board import Board, SramRegion

ROOM_BYTES = 1 << 30


def unconstrained(board: Board) -> Board:
    """Return the board with 1 GiB of SRAM and of flash, all else (clock, profile, power) unchanged.

    No such chip exists; its name says so. Give ``Session`` an ``sram`` of what the step needs, since
    the arena is as large as the budget.
    """
    return replace(
        board,
        name=f"{board.name}-unconstrained",
        title=f"{board.title}, with unlimited memory",
        sram=(SramRegion("unconstrained", ROOM_BYTES),),
        flash=replace(board.flash, bytes=ROOM_BYTES),
    )
