"""A convolution and the pool behind it bound to memory: a few rows of the one for each row of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcusim.engine.buffers import Buffers
from mcusim.graph import Model, Op
from mcusim.kernels.compiled.move import copying
from mcusim.kernels.compiled.rows import Rows
from mcusim.kernels.forward import bound
from mcusim.kernels.pooled import turns
from mcusim.lowering.step import StepOp


def bind_pooled(
    op: StepOp, model: Model, buffers: Buffers, kernel: Callable[[Op], Any]
) -> Callable[[], None]:
    """Return the call of an op that computes a convolution and its pool, by kernels of parts of both."""
    assert op.source is not None
    assert op.pool is not None
    x, y, band = (buffers.view(name) for name in (*op.reads, *op.writes))
    calls: list[Callable[[], Any]] = []
    for row, turn in enumerate(turns(op.source, op.pool, model.tensors)):
        if turn.drop and turn.keep:
            calls.append(copying(band[:, turn.drop : turn.drop + turn.keep], band[:, : turn.keep]))
        if turn.convolution is not None:
            made, part = band[:, turn.keep : turn.held], (x[:, turn.first : turn.last],)
            calls.append(bound(kernel(turn.convolution), part, made))
        calls.append(bound(kernel(turn.pool), (band[:, : turn.held],), y[:, row : row + 1]))

    return Rows(*calls)
