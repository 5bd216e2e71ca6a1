"""What firmware takes beside the tensors that are placed: stack, statics, code, and the source of each."""

from __future__ import annotations

from mcusim.core import Figure, Provenance
from mcusim.mcu.board import Board
from mcusim.mcu.library import CODE, RUNTIME

FIELDS = {"stack": "stack_bytes", "statics": "static_bytes", "code": "code_bytes"}
DEFAULTS = {
    "stack": "default, from stacks measured in inference, with room for interrupts and a print",
    "statics": "default: driver handles, state of the C library, a copy of the vector table",
    "code": "default, from images of MLPerf Tiny v0.7, with room for backward kernels",
}
"""What the figures of a board are that states none of its own, see ``mcusim.mcu.board.Runtime``."""


FITTED = {"statics": RUNTIME, "code": CODE}


def allowances(board: Board) -> dict[str, Figure]:
    """Return the bytes of stack, statics and code on a board."""
    found = {}
    for name, field in FIELDS.items():
        path = f"runtime.{field}"
        if name in FITTED and board.runtime.fitted and board.runtime.step is None:
            value = getattr(board.runtime, field)
            found[name] = Figure(value, "B", Provenance.CALIBRATED, FITTED[name].source)
            continue
        source = board.source(path) if board.has_source(path) else DEFAULTS[name]
        found[name] = Figure(getattr(board.runtime, field), "B", Provenance.MODELLED, source)
    return found
