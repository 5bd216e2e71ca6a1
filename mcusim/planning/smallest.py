"""The least SRAM that a scheme can learn in."""

from __future__ import annotations

from dataclasses import replace

from mcusim.graph import Model
from mcusim.mcu.board import Board, SramRegion
from mcusim.planning.placement import make_plan, planned
from mcusim.planning.plan import Plan
from mcusim.planning.settings import Settings
from mcusim.planning.unconstrained import ROOM_BYTES
from mcusim.update.scheme import Scheme

GRAIN = 1024
"""Bytes to which the bisection narrows: a plan that needs less by fewer is not looked for."""


def smallest(model: Model, board: Board, scheme: Scheme, settings: Settings) -> Plan:
    """Return the plan with the lowest peak that planning finds when it is asked for less and less SRAM.

    Residency and patches that the settings leave open are chosen anew for each size, so that weights move to
    flash and the front is cut in patches where that saves anything. Asked for too little, planning gives the
    lowest peak it found: it narrows the bisection from above, as what fits does.

    Args:
        model: the network.
        board: its flash counts; of its SRAM, which may be too small, only the regions' speed does not.
        scheme: what learns.
        settings: all but ``sram``, which is ignored.
    """
    roomy = replace(board, sram=(SramRegion("as much as it takes", ROOM_BYTES),))
    settings = replace(settings, sram=None)
    best, low = planned(model, roomy, scheme, settings), 0
    while best.peak_bytes - low > GRAIN:
        asked = (low + best.peak_bytes) // 2
        found = planned(model, roomy, scheme, replace(settings, sram=asked))
        if found.peak_bytes > asked:
            low = asked
        best = min(best, found, key=lambda plan: plan.peak_bytes)
    return make_plan(model, board if best.peak_bytes <= board.sram_bytes else roomy, scheme, fixed(best))


def fixed(plan: Plan) -> Settings:
    """Return the settings that ask for a plan again, in no more SRAM than it needs."""
    return replace(Settings.fixed(plan.settings), sram=plan.peak_bytes)
