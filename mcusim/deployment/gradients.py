"""The C kernel of every gradient with respect to an input, and its record."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from mcusim.core import SlotPart
from mcusim.deployment.context import (
    ALL,
    StepContext,
    broadcast,
    dense_rows,
    four,
    refusal,
    source_of,
    spans,
    window,
)
from mcusim.deployment.records import TYPES, Call
from mcusim.deployment.rows import filter_gradient, l2_gradient, log_softmax_gradient, product_gradient
from mcusim.deployment.text import NULL, CText
from mcusim.graph import QUANTISED, WEIGHTED, OpKind, OpTable
from mcusim.graph.traits import CLAMPS, FILTERS, RESIZES, UNARY
from mcusim.kernels.moved_blocks import BLOCKS, origins, strides
from mcusim.kernels.reference.moves import MOVES
from mcusim.kernels.reference.pairs import PAIRS
from mcusim.kernels.reference.plain import gradient_ratio
from mcusim.kernels.reference.shape import nearest, weights
from mcusim.kernels.reference.unary import FUNCTIONS
from mcusim.kernels.scales import limits_of, quant_of, scale_of
from mcusim.lowering.backward import gradient_name
from mcusim.lowering.forward import backward_activations
from mcusim.lowering.step import StepOp

SHORT = {"float32": "f32", "int16": "i16", "int8": "i8"}
ERROR_TYPES = (
    ("float32", "float32"), ("float32", "int16"), ("float32", "int8"), ("int16", "int16"), ("int8", "int8"),
)  # fmt: skip
"""Types of (output's gradient, input's gradient) that the kernels are compiled for."""


def grad_input(context: StepContext, op: StepOp) -> Call:
    """Return the call of a gradient with respect to an input.

    Raises:
        BadModel: if there is no C kernel for it; names the op.
    """
    source = source_of(op)
    kernel, struct, fields = GRADIENTS.of(source)(context, op)
    g, gx = gradient_name(source.output), op.writes[0]
    pair = (context.held(g).dtype, context.held(gx).dtype)
    if pair not in ERROR_TYPES:
        raise refusal(f"op {source.name!r} ({source.kind})", f"takes {pair[0]} errors to {pair[1]}")
    shared = {
        "g": context.at(g, fields.pop("start", 0)), "gx": context.at(gx), "mask": context.at(op.mask),
        "accumulate": op.accumulate, "from": context.error(g), "to": context.error(gx),
    }  # fmt: skip
    if struct == "mcusim_grad_pair":
        fields["plain"] = shared | fields["plain"]
        shared = {}
    if struct == "mcusim_grad_moved":
        shared["from_error"] = shared.pop("from")
    if struct in ("mcusim_grad_moved", "mcusim_grad_extreme"):
        assert shared.pop("mask") == NULL, "what is only moved or chosen has no clamp of its own"
    suffix = "_".join(SHORT[dtype] for dtype in pair)
    call = Call(f"{kernel}_{suffix}", struct, shared | fields)
    return context.homed(source, call) if source.traits.weighted else call


Made = tuple[str, str, dict[str, Any]]


def _weighted(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    tensors = context.tensors
    weight, x, y = tensors[source.inputs[1]], tensors[source.inputs[0]], tensors[source.output]
    fields: dict[str, Any] = {
        "weight": context.parameter(source, SlotPart.WEIGHT), "factor": context.factors(source),
        "weight_zero": context.zero_of(source.inputs[1]), "weight_float": weight.dtype == "float32",
        **context.overlay(source),
    }  # fmt: skip
    if source.kind is OpKind.FULLY_CONNECTED:
        rows = dense_rows(source, x.elements, weight.shape[1])
        fields["window"] = {"ow": rows, "ci": weight.shape[1], "co": weight.shape[0]}
        if fields["weight_float"] and "columns" in fields:
            fields["columns"] = CText(f"(const int8_t *){fields['columns']}")
        return "mcusim_grad_input_dense", "mcusim_grad_input", fields
    fields["window"] = window(source, x.shape, y.shape, weight.shape[1:3], (x.shape[3], y.shape[3]))
    if source.kind is OpKind.DEPTHWISE_CONV_2D:
        return "mcusim_grad_input_depthwise", "mcusim_grad_input", fields
    padded = sum(map(sum, source.attributes.padding))
    if weight.shape[1:3] == (1, 1) and source.attributes.stride == (1, 1) and not padded:
        fields["scratch"] = CText(f"(float *){context.at(op.scratch)}")
        return "mcusim_grad_input_pointwise", "mcusim_grad_input", fields
    return "mcusim_grad_input_conv", "mcusim_grad_input", fields


def _plain(
    context: StepContext,
    op: StepOp,
    factor: Any,
    *,
    dims: list[int] | None = None,
    stride: list[int] | None = None,
    **more: Any,
) -> Made:
    """Return the record of a gradient that passes on one element at a time."""
    source = source_of(op)
    count = prod(context.shape(op.writes[0]))
    if dims is None:
        dims, stride = _row(count), [0, 0, _row(count)[3], 1]
    if max(dims) > 65_535:
        raise refusal(f"op {source.name!r} ({source.kind})", "has more than 65,535 elements in a row")
    ones = {"sums": [1, 1, 1, 1]}
    return "mcusim_grad_plain", "mcusim_grad_plain", {
        "dims": dims, "stride": stride, **ones, "factor": float(factor), **more,
    }  # fmt: skip


def _row(count: int) -> list[int]:
    """Return ``count`` elements as dimensions that fit their fields."""
    rows = next((n for n in range(1, count + 1) if count % n == 0 and count // n <= 65_535), 1)
    return [1, 1, rows, count // rows]


def _scaled(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    ratio = gradient_ratio(source, context.tensors, op.index)
    factor = -ratio if source.kind is OpKind.SUB and op.index == 1 else ratio
    return _summed(context, op, factor)


def _summed(context: StepContext, op: StepOp, factor: Any, slope: dict[str, Any] | None = None) -> Made:
    """Return a gradient that sums over the dimensions along which its input was broadcast."""
    source = source_of(op)
    what = f"op {source.name!r} ({source.kind})"
    shape, out = context.shape(op.writes[0]), context.tensors[source.output].shape
    more: dict[str, Any] = dict(slope or {})
    other = more.pop("other", out)
    if shape == out == other:
        if slope:
            more["slope_stride"] = [0, 0, _row(prod(shape))[3], 1]
        return _plain(context, op, factor, **more)
    padded = (1,) * (len(out) - len(shape)) + shape
    reduced = [i for i in range(len(out)) if padded[i] == 1 and out[i] > 1]
    own = four(strides(out), 0, what)
    lead = 4 - len(out)
    inside = [1, 1, 1, 1]
    for i in reduced:
        inside[lead + i] = out[i]
    if slope:
        theirs = broadcast(other, len(out), what)
        more |= {"slope_stride": theirs, "slope_sum_stride": theirs}
    made = _plain(context, op, factor, dims=four(padded, 1, what), stride=own, **more)
    made[2].update(sums=inside, sum_stride=own)
    return made


def _multiply(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    name = source.inputs[1 - op.index]
    s_a, s_b = (scale_of(context.tensors[n]) for n in source.inputs)
    factor = np.float32(s_a * s_b / scale_of(context.tensors[source.output]))
    slope = {
        "slope_of": context.operand(name), "slope_zero": context.zero_of(name),
        "wide": context.in_16_bits(name), "other": context.tensors[name].shape,
    }  # fmt: skip
    return _summed(context, op, factor, slope)


FUNCTION_NAMES = {
    OpKind.MINIMUM: CText("MCUSIM_LEAST"), OpKind.MAXIMUM: CText("MCUSIM_MOST"),
    OpKind.SQUARED_DIFFERENCE: CText("MCUSIM_SQUARED"), OpKind.PRELU: CText("MCUSIM_SLOPED"),
    OpKind.DIV: CText("MCUSIM_QUOTIENT"),
}  # fmt: skip


def _pair(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    own, other = source.inputs[op.index], source.inputs[1 - op.index]
    slope = {
        "slope_of": context.operand(other), "slope_zero": context.zero_of(other),
        "wide": context.in_16_bits(other), "other": context.tensors[other].shape,
    }  # fmt: skip
    _, _, plain = _summed(context, op, 1.0, slope)
    scales = [scale_of(context.tensors[n]) for n in (own, other, source.output)]
    return "mcusim_grad_pair", "mcusim_grad_pair", {
        "plain": plain, "own": context.operand(own), "own_scale": scales[0], "other_scale": scales[1],
        "ratio": np.float32(scales[0] / scales[2]), "own_zero": context.zero_of(own),
        "function": FUNCTION_NAMES[source.kind], "second": op.index == 1,
    }  # fmt: skip


def _moved(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    what = f"op {source.name!r} ({source.kind})"
    x, y = context.shape(op.writes[0]), context.tensors[source.output].shape
    own = strides(y)
    if source.kind in BLOCKS:
        b = source.attributes.block
        if source.kind is OpKind.DEPTH_TO_SPACE:
            dims, stride = [x[0] * x[1], x[2], b, x[3] // b], [b * own[1], x[3] // b, own[1], 1]
        else:
            dims, stride = [x[0] * x[1] // b, b, x[2] // b, b * x[3]], [own[1], b * x[3], own[2], 1]
        return _plain(context, op, 1.0, dims=dims, stride=stride)
    first, places = [], []
    for axis in range(len(x)):
        outputs, begins = origins(source, axis, x)
        places.append(context.table(source, f"from{axis}", outputs))
        first.append(context.table(source, f"first{axis}", begins))
    lead = 4 - len(x)
    one = [context.table(source, "from_one", np.zeros(1, np.uint16))] * lead
    all_of_one = [context.table(source, "first_one", np.arange(2, dtype=np.uint16))] * lead
    return "mcusim_grad_moved", "mcusim_grad_moved", {
        "dims": four(x, 1, what), "stride": four(own, 0, what), "first": [*all_of_one, *first],
        "from": [*one, *places],
    }  # fmt: skip


def _extreme(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    outer, reduced, inner = spans(source, context.shape(op.writes[0]))
    return "mcusim_grad_extreme", "mcusim_grad_extreme", {
        "x": context.at(source.inputs[0]), "wide": context.in_16_bits(source.inputs[0]),
        "outer": outer, "reduced": reduced, "inner": inner,
        "least": source.kind is OpKind.REDUCE_MIN,
    }  # fmt: skip


def _sum(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    outer, reduced, inner = spans(source, context.shape(op.writes[0]))
    ratio = gradient_ratio(source, context.tensors, 0)
    return _plain(context, op, ratio, dims=[1, outer, reduced, inner], stride=[0, inner, 0, 1])


def _unary(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    function = FUNCTIONS.of(source)
    if function.slope is None:
        return _scaled(context, op)
    known = source.output if source.traits.reads == ("output",) else source.inputs[0]
    if context.tensors[known].dtype == "int16":
        return _curve(context, op, known)
    quant = quant_of(context.tensors[known])
    real = (ALL - quant.zero_point).astype(np.float32) * np.float32(quant.scale[0])
    slopes = function.slope(source, real) * gradient_ratio(source, context.tensors, 0)
    (read,) = backward_activations(source)
    fields: dict[str, Any] = {
        "slope_of": context.at(read), "slope": context.table(source, "slope", slopes.astype(np.float32)),
        "slope_stride": [0, 0, _row(prod(context.shape(read)))[3], 1],
    }  # fmt: skip
    return _plain(context, op, 1.0, **fields)


CURVE_NAMES = {
    OpKind.LOGISTIC: CText("MCUSIM_SIGMOID"), OpKind.TANH: CText("MCUSIM_TANGENT"),
    OpKind.LEAKY_RELU: CText("MCUSIM_LEAKY"), OpKind.ABS: CText("MCUSIM_MAGNITUDE"),
}  # fmt: skip


def _curve(context: StepContext, op: StepOp, known: str) -> Made:
    """Return the record of a function of one 16-bit element, whose slopes are too many for a table."""
    source = source_of(op)
    _, _, plain = _plain(context, op, 1.0, wide=True)
    return "mcusim_grad_pair", "mcusim_grad_pair", {
        "plain": plain, "own": context.at(known), "own_scale": scale_of(context.tensors[known]),
        "other_scale": source.attributes.alpha, "ratio": gradient_ratio(source, context.tensors, 0),
        "function": CURVE_NAMES[source.kind],
    }  # fmt: skip


def _reshape(context: StepContext, op: StepOp) -> Made:
    return _plain(context, op, 1.0)


def _mean(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    outer, reduced, inner = spans(source, context.shape(op.writes[0]))
    factor = gradient_ratio(source, context.tensors, 0) / np.float32(reduced)
    return _plain(context, op, factor, dims=[1, outer, reduced, inner], stride=[0, inner, 0, 1])


def _pad(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    what = f"op {source.name!r} ({source.kind})"
    own = strides(context.tensors[source.output].shape)
    start = sum(before * s for (before, _), s in zip(source.attributes.pads, own, strict=True))
    dims = four(context.shape(op.writes[0]), 1, what)
    return _plain(context, op, 1.0, dims=dims, stride=four(own, 0, what), start=start)


def _concatenation(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    out, shape = context.tensors[source.output].shape, context.shape(op.writes[0])
    axis = source.attributes.axes[0] % len(out)
    start = sum(prod(context.tensors[n].shape[axis:]) for n in source.inputs[: op.index])
    dims = [1, 1, prod(shape[:axis]), prod(shape[axis:])]
    ratio = gradient_ratio(source, context.tensors, op.index)
    return _plain(context, op, ratio, dims=dims, stride=[0, 0, prod(out[axis:]), 1], start=start)


def _transpose(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    what = f"op {source.name!r} ({source.kind})"
    out = strides(context.tensors[source.output].shape)
    back = [out[source.attributes.axes.index(d)] for d in range(len(out))]
    dims = four(context.shape(op.writes[0]), 1, what)
    return _plain(context, op, 1.0, dims=dims, stride=four(back, 0, what))


def _pool(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    x, y = context.tensors[source.inputs[0]], context.tensors[source.output]
    low, high = limits_of(source, context.tensors)
    channels = (x.shape[3], x.shape[3])
    fields: dict[str, Any] = {
        "window": window(source, x.shape, y.shape, source.attributes.kernel, channels), "low": low,
        "high": high,
    }  # fmt: skip
    if source.kind is OpKind.AVERAGE_POOL_2D:
        return "mcusim_grad_average_pool", "mcusim_grad_pool", fields
    name = source.inputs[0]
    fields |= {"x": context.at(name), "wide": context.in_16_bits(name)}
    return "mcusim_grad_max_pool", "mcusim_grad_pool", fields


def _softmax(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    y = context.tensors[source.output]
    whole = y.quant if y.dtype in QUANTISED else None
    factor = gradient_ratio(source, context.tensors, 0) * np.float32(source.attributes.beta)
    return "mcusim_grad_softmax", "mcusim_grad_softmax", {
        "p": context.at(source.output), "rows": prod(y.shape[:-1]), "columns": y.shape[-1],
        "p_scale": 0.0 if whole is None else float(whole.scale[0]), "factor": factor,
        "p_zero": 0 if whole is None else whole.zero_point, "p_type": TYPES[y.dtype],
    }  # fmt: skip


def _resize(context: StepContext, op: StepOp) -> Made:
    source = source_of(op)
    (_, h, w, channels), (_, oh, ow, _) = (
        context.tensors[n].shape for n in (source.inputs[0], source.output)
    )
    fields: dict[str, Any] = {"h": h, "w": w, "oh": oh, "ow": ow, "channels": channels}
    for axis, keys, size, new in ((0, ("rows", "down"), h, oh), (1, ("columns", "across"), w, ow)):
        if source.kind is OpKind.RESIZE_NEAREST_NEIGHBOR:
            index = nearest(source, axis, size, new)
        else:
            both = weights(source, axis, size, new)
            index = np.stack([i for i, _ in both])
            unit = np.float32(1 if source.attributes.unsigned else 1 / 1024)
            share = np.stack([s for _, s in both]).astype(np.float32) * unit
            fields[keys[1]] = context.table(source, f"share_{keys[1]}", share)
        fields[keys[0]] = context.table(source, keys[0], index.astype(np.int16))
    return "mcusim_grad_resize", "mcusim_grad_resize", fields


GRADIENTS: OpTable[Callable[[StepContext, StepOp], Made]] = OpTable(
    "C gradients of inputs",
    {
        **dict.fromkeys(WEIGHTED, _weighted),
        **dict.fromkeys(UNARY, _unary),
        **dict.fromkeys(CLAMPS, _scaled),
        OpKind.ADD: _scaled,
        OpKind.SUB: _scaled,
        OpKind.MUL: _multiply,
        OpKind.QUANTIZE: _scaled,
        OpKind.DEQUANTIZE: _scaled,
        OpKind.RESHAPE: _reshape,
        OpKind.MEAN: _mean,
        OpKind.SUM: _sum,
        **dict.fromkeys((OpKind.REDUCE_MAX, OpKind.REDUCE_MIN), _extreme),
        **dict.fromkeys(PAIRS, _pair),
        **dict.fromkeys(MOVES, _moved),
        OpKind.AVERAGE_POOL_2D: _pool,
        OpKind.MAX_POOL_2D: _pool,
        OpKind.PAD: _pad,
        OpKind.CONCATENATION: _concatenation,
        OpKind.TRANSPOSE: _transpose,
        OpKind.SOFTMAX: _softmax,
        **dict.fromkeys(RESIZES, _resize),
        **dict.fromkeys(FILTERS, filter_gradient),
        OpKind.BATCH_MATMUL: product_gradient,
        OpKind.LOG_SOFTMAX: log_softmax_gradient,
        OpKind.L2_NORMALIZATION: l2_gradient,
    },
    absent={OpKind.ARG_MAX: "gives the number of the largest element, which has no gradient"},
    way_out="let only layers behind it learn, or use mcusim train, which simulates it",
)
