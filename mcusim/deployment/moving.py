"""C kernels of what only moves elements, and of what is kept of an input, with their records."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from mcusim.core import Kind, Slot
from mcusim.deployment.context import ALL, StepContext, four, refusal, source_of
from mcusim.deployment.records import NOTHING, Call
from mcusim.deployment.text import NULL, CText
from mcusim.graph import DTYPES, Op
from mcusim.kernels.moved_blocks import moved_blocks, strides
from mcusim.kernels.reference.rescale import FAR, half_away
from mcusim.kernels.scales import clamp_of, quant_of, scale_of
from mcusim.lowering.step import StepOp

WORD = 4
"""Bytes that C fills with, again and again."""


def block(
    x: CText, y: CText, dims: list[int], x_stride: list[int], y_stride: list[int], size: int, **more: Any
) -> dict[str, Any]:
    """Return the record of a copied block of four dimensions."""
    return {
        "x": CText(f"(const uint8_t *){x}"), "y": CText(f"(uint8_t *){y}"), "dims": dims,
        "x_stride": x_stride, "y_stride": y_stride, "bytes": size, **more,
    }  # fmt: skip


def move(context: StepContext, name: str, blocks: list[dict[str, Any]], **more: Any) -> Call:
    """Return the call that copies some blocks."""
    copies = context.constants.records(f"copies_{name}", "mcusim_copy", blocks)
    return Call("mcusim_move", "mcusim_copies", {"copies": copies, "count": len(blocks), **more})


def reshape(context: StepContext, op: StepOp) -> Call:
    """Return the copy of RESHAPE; nothing where both are the same bytes."""
    x, y = op.reads[0], op.writes[0]
    if context.offset(x) == context.offset(y):
        return NOTHING
    size = DTYPES[context.held(y).dtype]
    rows = [1, 1, prod(context.shape(y)[:-1]), context.shape(y)[-1]]
    stride = [0, 0, rows[3], 1]
    return move(context, op.name, [block(context.at(x), context.at(y), rows, stride, stride, size)])


def pad(context: StepContext, op: StepOp) -> Call:
    """Return the call of PAD."""
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    what = f"op {source.name!r} ({source.kind})"
    dtype = context.held(y).dtype
    size, shape = DTYPES[dtype], context.shape(y)
    y_stride = strides(shape)
    start = sum(before * s for (before, _), s in zip(source.attributes.pads, y_stride, strict=True))
    fill = source.attributes.fill
    if fill is None:
        fill = context.zero_of(source.output) if dtype == "int8" else 0
    filled = np.full(1, fill, dtype).tobytes()
    if len(filled) > WORD and any(filled):
        raise refusal(what, f"fills {dtype} with {fill}, and C fills words of {WORD} bytes")
    inner = block(
        context.at(x), context.at(y, start), four(context.shape(x), 1, what),
        four(strides(context.shape(x)), 0, what), four(y_stride, 0, what), size,
    )  # fmt: skip
    return move(
        context, op.name, [inner], fill=CText(f"(uint8_t *){context.at(y)}"), fill_bytes=prod(shape) * size,
        fill_value=list(filled * (WORD // len(filled)) or bytes(WORD)),
    )  # fmt: skip


def concatenation(context: StepContext, op: StepOp) -> Call:
    """Return the call of CONCATENATION."""
    source, y = source_of(op), op.writes[0]
    shape = context.shape(y)
    axis = source.attributes.axes[0] % len(shape)
    outer, row = prod(shape[:axis]), prod(shape[axis:])
    size, start, blocks = DTYPES[context.held(y).dtype], 0, []
    for number, (name, own) in enumerate(zip(context.operands(op), source.inputs, strict=True)):
        part = prod(context.shape(name)[axis:])
        more = {"table": table} if (table := _joined(context, source, own, number)) != NULL else {}
        blocks.append(block(
            context.operand(name), context.at(y, start), [1, 1, outer, part], [0, 0, part, 1],
            [0, 0, row, 1], size, **more,
        ))  # fmt: skip
        start += part
    return move(context, op.name, blocks)


def _joined(context: StepContext, source: Op, name: str, number: int) -> CText:
    """Return the table that brings an input of CONCATENATION to the output's scale; NULL if it has that."""
    quant, y = context.tensors[name].quant, context.tensors[source.output]
    if quant is None or quant.same_as(y.quant):
        return NULL
    F = np.float32
    scale = F(scale_of(context.tensors[name])) * (F(1) / F(scale_of(y)))
    scaled = half_away(ALL.astype(F) * scale + F(-quant.zero_point) * scale)
    pre = np.clip(scaled, -FAR, FAR).astype(np.int64) + quant_of(y).zero_point
    return context.table(source, f"table{number}", np.clip(pre, *clamp_of(source)).astype(np.int8))


def transpose(context: StepContext, op: StepOp) -> Call:
    """Return the call of TRANSPOSE."""
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    what = f"op {source.name!r} ({source.kind})"
    own = strides(context.shape(x))
    moved = [own[a] for a in source.attributes.axes]
    return move(context, op.name, [block(
        context.at(x), context.at(y), four(context.shape(y), 1, what), four(moved, 0, what),
        four(strides(context.shape(y)), 0, what), DTYPES[context.held(y).dtype],
    )])  # fmt: skip


def moved(context: StepContext, op: StepOp) -> Call:
    """Return the call of an op that cuts, repeats, gathers, turns around or mixes dimensions."""
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    what = f"op {source.name!r} ({source.kind})"
    size = DTYPES[context.held(y).dtype]
    blocks = [
        block(context.at(x, b.x), context.at(y, b.y), four(b.dims, 1, what), four(b.x_stride, 0, what),
              four(b.y_stride, 0, what), size)
        for b in moved_blocks(source, context.shape(x), context.shape(y))
    ]  # fmt: skip
    return move(context, op.name, blocks)


def crop_or_paste(context: StepContext, op: StepOp, *, crop: bool) -> Call:
    """Return the copy of a patch out of a tensor, or into it."""
    assert op.box is not None
    r0, r1, c0, c1 = op.box
    x, y = op.reads[0], op.writes[0]
    whole = strides(context.shape(x if crop else y))
    start = r0 * whole[1] + c0 * whole[2]
    dims = [1, r1 - r0, c1 - c0, context.shape(x)[3]]
    small = strides(dims)
    size = DTYPES[context.held(y).dtype]
    places = (context.at(x, start if crop else 0), context.at(y, 0 if crop else start))
    ways = (whole, small) if crop else (small, whole)
    return move(context, op.name, [block(*places, dims, *ways, size)])


def keep(context: StepContext, op: StepOp) -> Call:
    """Return the copy of a state's new value to where the next invocation reads it."""
    x, y = op.reads[0], op.writes[0]
    ways = [0, 0, 0, 1]
    size = DTYPES[context.held(y).dtype]
    call = move(context, op.name, [block(
        context.operand(x), context.at(y), [1, 1, 1, prod(context.shape(y))], ways, ways, size
    )])  # fmt: skip
    return replace(call, kernel="mcusim_keep_state")


def save(context: StepContext, op: StepOp) -> Call:
    """Return the copy of the selected channels of an input, of all pixels or of those of a pattern."""
    source = source_of(op)
    x, channels = op.reads[0], Slot(source.name, Kind.CHANNELS)
    shape = context.shape(x)
    keeper = {
        "x": CText(f"(const uint8_t *){context.at(x)}"), "y": CText(f"(uint8_t *){context.at(op.writes[0])}"),
        "channels": context.at(channels), "pixels": prod(shape[:-1]), "of": shape[-1],
        "count": prod(context.shape(channels)), "bytes": DTYPES[context.held(x).dtype],
    }  # fmt: skip
    if source.name not in context.step.saved_pixels:
        return Call("mcusim_keep", "mcusim_keeper", keeper)
    fields = {"keeper": keeper, "pattern": context.pattern(source)}
    return Call("mcusim_keep_pixels", "mcusim_pixel_keeper", fields)
