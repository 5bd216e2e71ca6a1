"""The C kernel of every op of a forward pass, and its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from mcusim.core import SlotPart
from mcusim.deployment.context import (
    ALL,
    WAY_OUT,
    StepContext,
    broadcast,
    dense_rows,
    four,
    refusal,
    source_of,
    spans,
    window,
)
from mcusim.deployment.int16 import forward_int16
from mcusim.deployment.moving import concatenation, moved, pad, reshape, transpose
from mcusim.deployment.records import TYPES, Call
from mcusim.deployment.rows import filtered, l2_normalization, log_softmax, matrices
from mcusim.deployment.text import CText
from mcusim.graph import DTYPES, Op, OpKind, OpTable
from mcusim.graph.traits import FILTERS, POOLS, UNARY
from mcusim.kernels.reference.int16 import is_int16
from mcusim.kernels.reference.moves import MOVES
from mcusim.kernels.reference.pairs import PAIRS, SQUARE_SHIFT
from mcusim.kernels.reference.pairs import values as pair_values
from mcusim.kernels.reference.pool import mean_multiplier
from mcusim.kernels.reference.shape import nearest, weights
from mcusim.kernels.reference.softmax import exponentials
from mcusim.kernels.reference.unary import bounds, values
from mcusim.kernels.scales import clamp_of, multiplier_and_shift, quant_of, rounds_once, scale_of
from mcusim.lowering.step import StepOp

Maker = Callable[[StepContext, StepOp], Call]
LARGEST_FLOAT = float(np.finfo(np.float32).max)


def forward(context: StepContext, op: StepOp) -> Call:
    """Return the call of a forward op.

    Raises:
        BadModel: if there is no C kernel for it; names the op.
    """
    source = source_of(op)
    if is_int16(source, context.tensors):
        call = forward_int16(context, op)
    else:
        call = FORWARD.of(source)(context, op)
    return context.homed(source, call) if source.traits.weighted else call


def _require(op: Op, context: StepContext, *dtypes: tuple[str, str]) -> None:
    found = (context.tensors[op.inputs[0]].dtype, context.tensors[op.output].dtype)
    if found not in dtypes:
        raise refusal(
            f"op {op.name!r} ({op.kind})", f"gives {found[1]} from {found[0]}, and no C kernel does"
        )


def _convolution(context: StepContext, op: StepOp) -> Call:
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    _require(source, context, ("int8", "int8"))
    weight = context.tensors[source.inputs[1]]
    depthwise = source.kind is OpKind.DEPTHWISE_CONV_2D
    channels = (context.shape(x)[3], context.shape(y)[3])
    found = window(source, context.shape(x), context.shape(y), weight.shape[1:3], channels)
    padding = source.attributes.padding
    if depthwise:
        plane = op.scratch is not None and channels[0] == channels[1]
        kernel = "mcusim_depthwise_plane" if plane else "mcusim_depthwise"
        if not plane and context.step.tensors[x].buffer == context.step.tensors[y].buffer:
            raise refusal(
                f"op {source.name!r} ({source.kind})", "overwrites its input without a plane of scratch"
            )
    else:
        kernel = "mcusim_pointwise" if weight.shape[1:3] == (1, 1) else "mcusim_conv"
    return Call(kernel, "mcusim_convolution", {
        "x": context.at(x), "weight": context.parameter(source, SlotPart.WEIGHT),
        "bias": context.parameter(source, SlotPart.BIAS), "y": context.at(y), "mask": context.at(op.mask),
        "scratch": context.at(op.scratch), "window": found, "x_zero": context.zero_of(source.inputs[0]),
        "weight_zero": context.zero_of(source.inputs[1]), "bottom": padding[0][1], "right": padding[1][1],
        "output": context.output(source), **context.overlay(source),
    })  # fmt: skip


def _dense(context: StepContext, op: StepOp) -> Call:
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    weight, output = context.tensors[source.inputs[1]], context.tensors[source.output]
    _require(source, context, ("int8", "int8"), ("int8", "int32"), ("float32", "float32"))
    fields: dict[str, Any] = {
        "x": context.at(x), "weight": context.parameter(source, SlotPart.WEIGHT),
        "bias": context.parameter(source, SlotPart.BIAS), "y": context.at(y), "mask": context.at(op.mask),
        "inputs": weight.shape[1], "outputs": weight.shape[0],
        "rows": dense_rows(source, prod(context.shape(x)), weight.shape[1]),
    }  # fmt: skip
    if weight.dtype == "float32":
        low, high = source.attributes.clamp or (-LARGEST_FLOAT, LARGEST_FLOAT)
        return context.dense(source, "float", fields | {"low": float(low), "high": float(high)})
    fields |= {
        "x_zero": context.zero_of(source.inputs[0]),
        "weight_zero": context.zero_of(source.inputs[1]),
    }
    if output.dtype == "int32":
        return context.dense(source, "int32", fields | {"output": context.beyond(source)})
    if rounds_once(source.kind, context.model.arithmetic):
        return context.dense(source, "once", fields | {"output": context.once(source)})
    return context.dense(source, "int8", fields | {"output": context.output(source)})


def _operands(context: StepContext, op: StepOp) -> dict[str, Any]:
    """Return where both operands lie, how they are spread, and their zero points."""
    source, y = source_of(op), op.writes[0]
    _require(source, context, ("int8", "int8"))
    names, shape = context.operands(op), context.shape(y)
    quants = [quant_of(context.tensors[n]) for n in source.inputs]
    fields: dict[str, Any] = dict(zip("ab", map(context.operand, names), strict=True))
    fields |= {"y": context.at(y), "mask": context.at(op.mask)}
    if all(context.shape(n) == shape for n in names):
        fields |= {"dims": [1, 1, 1, prod(shape)], "a_stride": [0, 0, 0, 1], "b_stride": [0, 0, 0, 1]}
    else:
        what = f"op {source.name!r} ({source.kind})"
        fields["dims"] = four(shape, 1, what)
        for key, name in zip(("a_stride", "b_stride"), names, strict=True):
            fields[key] = broadcast(context.shape(name), len(shape), what)
    if max(fields["dims"]) > 65_535:
        raise refusal(f"op {source.name!r} ({source.kind})", "has more than 65,535 elements in a row")
    return fields | {"a_zero": quants[0].zero_point, "b_zero": quants[1].zero_point}


def _binary(context: StepContext, op: StepOp) -> Call:
    source, fields = source_of(op), _operands(context, op)
    scales = [scale_of(context.tensors[n]) for n in (*source.inputs, source.output)]
    if source.kind is OpKind.MUL:
        factor = scales[0] * scales[1] / scales[2]
        multiplier, shift = multiplier_and_shift(factor)
        kernel = "mcusim_mul"
        fields |= {"multiplier": [0, 0, multiplier], "shift": [0, 0, shift], "y_scale": factor}
    else:
        twice = 2 * max(scales[:2])
        real = (scales[0] / twice, scales[1] / twice, twice / ((1 << 20) * scales[2]))
        fixed = [multiplier_and_shift(f) for f in real]
        kernel = "mcusim_add"
        fields |= {
            "multiplier": [m for m, _ in fixed], "shift": [s for _, s in fixed],
            "sign": -1 if source.kind is OpKind.SUB else 1,
            "a_scale": scales[0], "b_scale": scales[1], "y_scale": scales[2],
        }  # fmt: skip
    return Call(kernel, "mcusim_binary", fields | {"output": context.plain_output(source)})


PAIR_KERNELS = {
    OpKind.MINIMUM: "mcusim_minimum", OpKind.MAXIMUM: "mcusim_maximum", OpKind.PRELU: "mcusim_prelu",
    OpKind.SQUARED_DIFFERENCE: "mcusim_squared_difference", OpKind.DIV: "mcusim_div",
}  # fmt: skip
assert set(PAIR_KERNELS) == set(PAIRS), "every function of two elements has a C kernel"


def _pair(context: StepContext, op: StepOp) -> Call:
    source, fields = source_of(op), _operands(context, op)
    a, b, y = (scale_of(context.tensors[n]) for n in (*source.inputs, source.output))
    if context.model.arithmetic.fixed_point:
        pair_values(source, context.tensors, context.model.arithmetic)  # refuses what it cannot compare
    twice = 2.0 * max(a, b)
    real = {
        OpKind.SQUARED_DIFFERENCE: (a / twice, b / twice, twice * twice / ((1 << 2 * SQUARE_SHIFT) * y)),
        OpKind.PRELU: (a / y, a * b / y, 1.0),
        OpKind.DIV: (1.0, 1.0, a / (b * y)),
    }.get(source.kind, (1.0, 1.0, 1.0))
    fixed = [multiplier_and_shift(f) for f in real]
    return Call(PAIR_KERNELS[source.kind], "mcusim_binary", {
        **fields, "multiplier": [m for m, _ in fixed], "shift": [s for _, s in fixed],
        "a_scale": a, "b_scale": b, "y_scale": y, "output": context.plain_output(source),
    })  # fmt: skip


def _lookup(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    _require(source, context, ("int8", "int8"))
    pre = values(source, context.tensors, context.model.arithmetic)(ALL)
    low, high = bounds(source, context.tensors)
    fields: dict[str, Any] = {
        "x": context.at(op.reads[0]),
        "table": context.table(source, "table", np.clip(pre, low, high).astype(np.int8)),
        "y": context.at(op.writes[0]),
        "count": prod(context.shape(op.writes[0])),
    }
    if op.mask:
        inside = np.packbits((pre >= low) & (pre <= high), bitorder="little")
        fields |= {"mask": context.at(op.mask), "inside": context.table(source, "inside", inside)}
    return Call("mcusim_look_up", "mcusim_lookup", fields)


def _quantize(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    if context.tensors[source.inputs[0]].dtype == "int8":
        return _lookup(context, op)
    _require(source, context, ("float32", "int8"))
    return Call("mcusim_quantize", "mcusim_conversion", {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]),
        "count": prod(context.shape(op.writes[0])), "scale": scale_of(context.tensors[source.output]),
        "output": context.plain_output(source),
    })  # fmt: skip


def _dequantize(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    _require(source, context, ("int8", "float32"))
    x = context.tensors[source.inputs[0]]
    return Call("mcusim_dequantize", "mcusim_conversion", {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]),
        "count": prod(context.shape(op.writes[0])), "scale": scale_of(x), "zero": quant_of(x).zero_point,
    })  # fmt: skip


def _pool(context: StepContext, op: StepOp) -> Call:
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    _require(source, context, ("int8", "int8"))
    low, high = clamp_of(source)
    average = source.kind is OpKind.AVERAGE_POOL_2D
    channels = context.shape(x)[3]
    shapes = context.shape(x), context.shape(y)
    return Call("mcusim_average_pool" if average else "mcusim_max_pool", "mcusim_pool", {
        "x": context.at(x), "y": context.at(y), "mask": context.at(op.mask),
        "window": window(source, *shapes, source.attributes.kernel, (channels, channels)),
        "low": low, "high": high, "rounding": context.rounding, "is_unsigned": source.attributes.unsigned,
    })  # fmt: skip


def _mean(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    _require(source, context, ("int8", "int8"))
    x, y = context.tensors[source.inputs[0]], context.tensors[source.output]
    outer, reduced, inner = spans(source, context.shape(op.reads[0]))
    ratio = scale_of(x) / scale_of(y)
    multiplier, shift = mean_multiplier(ratio, reduced)
    low, high = clamp_of(source)
    return Call("mcusim_average", "mcusim_mean", {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]),
        "outer": outer, "reduced": reduced, "inner": inner,
        "x_zero": quant_of(x).zero_point, "y_zero": quant_of(y).zero_point, "low": low, "high": high,
        "multiplier": multiplier, "shift": shift, "rounding": context.rounding,
        "same": quant_of(x).same_as(quant_of(y)), "ratio": ratio,
    })  # fmt: skip


def _reduction(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    _require(source, context, ("int8", "int8"))
    x, y = context.tensors[source.inputs[0]], context.tensors[source.output]
    outer, reduced, inner = spans(source, context.shape(op.reads[0]))
    low, high = clamp_of(source)
    fields: dict[str, Any] = {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]), "outer": outer, "reduced": reduced,
        "inner": inner, "low": low, "high": high,
    }  # fmt: skip
    if source.kind is not OpKind.SUM:
        if not quant_of(x).same_as(quant_of(y)):
            raise refusal(f"op {source.name!r} ({source.kind})", "gives its input's numbers another scale")
        return Call("mcusim_extreme", "mcusim_mean", fields | {"same": source.kind is OpKind.REDUCE_MIN})
    ratio = scale_of(x) / scale_of(y)
    multiplier, shift = multiplier_and_shift(ratio)
    return Call("mcusim_total", "mcusim_mean", fields | {
        "x_zero": quant_of(x).zero_point, "y_zero": quant_of(y).zero_point, "multiplier": multiplier,
        "shift": shift, "rounding": context.rounding, "ratio": ratio,
    })  # fmt: skip


def _resize(context: StepContext, op: StepOp) -> Call:
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    (_, h, w, channels), (_, oh, ow, _) = context.shape(x), context.shape(y)
    fields: dict[str, Any] = {
        "x": context.at(x), "y": context.at(y), "h": h, "w": w, "oh": oh, "ow": ow, "channels": channels,
        "bytes": DTYPES[context.held(y).dtype],
    }  # fmt: skip
    # The patches of an image share its tables: each begins somewhere in them.
    parts = source.attributes.part or ((h, oh, 0, 0), (w, ow, 0, 0))
    whole = replace(source, attributes=replace(source.attributes, part=()))
    bilinear = source.kind is OpKind.RESIZE_BILINEAR
    for axis, keys in enumerate((("rows", "down", "top"), ("columns", "across", "left"))):
        size, new, low, first = parts[axis]
        fields[keys[2]] = low
        if not bilinear:
            index = nearest(whole, axis, size, new)
        else:
            both = weights(whole, axis, size, new)
            index = np.stack([i for i, _ in both])
            share = context.table(source, keys[1], np.stack([s for _, s in both]).astype(np.int32))
            fields[keys[1]] = CText(f"{share} + {first}")
            fields[f"all_{keys[0]}"] = new
        fields[keys[0]] = CText(f"{context.table(source, keys[0], index.astype(np.int16))} + {first}")
    if not bilinear:
        return Call("mcusim_resize_nearest", "mcusim_resize", fields)
    _require(source, context, ("int8", "int8"))
    if source.attributes.unsigned:
        raise refusal(f"op {source.name!r} ({source.kind})", "is of a uint8 network, whose grid is float32")
    low, high = clamp_of(source)
    return Call("mcusim_resize_bilinear", "mcusim_resize", fields | {"low": low, "high": high})


def _softmax(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    x, y = context.tensors[source.inputs[0]], context.tensors[source.output]
    shape = context.shape(op.reads[0])
    fields: dict[str, Any] = {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]), "rows": prod(shape[:-1]),
        "columns": shape[-1], "scratch": CText(f"(float *){context.at(op.scratch)}"),
        "x_float": x.dtype == "float32", "y_float": y.dtype == "float32",
    }  # fmt: skip
    if x.dtype == "int8" and context.model.arithmetic.fixed_point:
        table = exponentials(source, context.tensors).astype(np.int32)
        fields["table"] = context.table(source, "exponentials", table)
    else:
        scale = scale_of(x) if x.dtype == "int8" else 1.0
        fields["step"] = np.float32(scale * source.attributes.beta)
        if y.dtype == "int8":
            fields |= {"y_scale": scale_of(y), "y_zero": quant_of(y).zero_point}
    return Call("mcusim_softmax_rows", "mcusim_softmax", fields)


def _arg_max(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    x, y = op.reads[0], op.writes[0]
    dtype = context.held(x).dtype
    if dtype not in TYPES:
        raise refusal(f"op {source.name!r} ({source.kind})", f"reads {dtype}")
    outer, reduced, inner = spans(source, context.shape(x))
    return Call("mcusim_arg_max", "mcusim_argmax", {
        "x": context.at(x), "y": context.at(y), "outer": outer, "reduced": reduced, "inner": inner,
        "type": TYPES[dtype], "bytes": DTYPES[context.held(y).dtype],
    })  # fmt: skip


FORWARD: OpTable[Maker] = OpTable(
    "C kernels",
    {
        OpKind.CONV_2D: _convolution,
        OpKind.DEPTHWISE_CONV_2D: _convolution,
        OpKind.FULLY_CONNECTED: _dense,
        OpKind.ADD: _binary,
        OpKind.SUB: _binary,
        OpKind.MUL: _binary,
        **dict.fromkeys(UNARY, _lookup),
        **dict.fromkeys(POOLS, _pool),
        OpKind.QUANTIZE: _quantize,
        OpKind.DEQUANTIZE: _dequantize,
        OpKind.MEAN: _mean,
        **dict.fromkeys((OpKind.SUM, OpKind.REDUCE_MAX, OpKind.REDUCE_MIN), _reduction),
        **dict.fromkeys(PAIRS, _pair),
        **dict.fromkeys(MOVES, moved),
        OpKind.RESHAPE: reshape,
        OpKind.PAD: pad,
        OpKind.CONCATENATION: concatenation,
        OpKind.TRANSPOSE: transpose,
        OpKind.RESIZE_NEAREST_NEIGHBOR: _resize,
        OpKind.RESIZE_BILINEAR: _resize,
        OpKind.SOFTMAX: _softmax,
        OpKind.LOG_SOFTMAX: log_softmax,
        OpKind.L2_NORMALIZATION: l2_normalization,
        **dict.fromkeys(FILTERS, filtered),
        OpKind.BATCH_MATMUL: matrices,
        OpKind.ARG_MAX: _arg_max,
    },
    way_out=WAY_OUT,
)
