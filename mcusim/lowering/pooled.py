"""Emits a convolution and the pool behind it as one: row by row, without the tensor between them."""

from __future__ import annotations

from mcusim.core import Kind, Phase, Role, Slot
from mcusim.graph import Model, Op
from mcusim.kernels.pooled import band_rows, can_pool, pooled_order
from mcusim.kernels.reach import row_bytes
from mcusim.kernels.scratch import scratch_bytes
from mcusim.lowering.action import Action
from mcusim.lowering.builder import Builder
from mcusim.lowering.gradients import activations
from mcusim.lowering.work import forward_work


def saves_room(model: Model, op: Op, following: Op) -> bool:
    """True if ``op`` and the one that follows, both frozen, are a pair that takes less room row by row.

    Only the pool may read what lies between, and its output with the band takes less than that. A pool over
    the whole image has a band as high as the image, and gains nothing.
    """
    if not can_pool(op, following, model.tensors):
        return False
    between, tensors = model.tensors[op.output], model.tensors
    readers = [other for other in model.ops for _, name in activations(model, other) if name == between.name]
    if (
        len(readers) != 1
        or between.name in model.outputs
        or any(s.after == between.name for s in model.states)
    ):
        return False
    return tensors[following.output].bytes + _band_bytes(model, op, following) < between.bytes


def emit_pooled(builder: Builder, model: Model, op: Op, pool: Op) -> None:
    """Emit the two: the first does the work of both, the second has the cost of its own."""
    tensors = model.tensors
    output = tensors[pool.output]
    builder.tensor(output.name, output.shape, output.dtype, Role.ACTIVATION)
    between = tensors[op.output]
    shape = (1, band_rows(op, pool, tensors), *between.shape[2:])
    band = builder.tensor(Slot(pool.name, Kind.SCRATCH), shape, between.dtype, Role.SCRATCH)
    x, work = op.inputs[0], forward_work(op, tensors)
    builder.op(
        op.name, Action.POOLED, Phase.FORWARD, source=op, pool=pool, reads=(x,), writes=(output.name, band),
        work=work, scratch_bytes=scratch_bytes(op, tensors, "forward"),
        overlaps={x: pooled_order(op, pool, tensors)}, partly={x: work.sram_read, output.name: 0},
    )  # fmt: skip
    builder.op(
        pool.name, Action.POOL, Phase.FORWARD, source=pool, reads=(band,), writes=(output.name,),
        work=forward_work(pool, tensors),
    )  # fmt: skip


def _band_bytes(model: Model, op: Op, pool: Op) -> int:
    return band_rows(op, pool, model.tensors) * row_bytes(model.tensors[op.output])
