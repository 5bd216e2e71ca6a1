"""The C kernel of every op of a forward pass on 16-bit activations, and its record."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from mcusim.core import SlotPart
from mcusim.deployment.context import (
    StepContext,
    broadcast,
    dense_rows,
    four,
    refusal,
    source_of,
    spans,
    window,
)
from mcusim.deployment.moving import concatenation
from mcusim.deployment.records import Call
from mcusim.deployment.rows import product
from mcusim.deployment.text import CText
from mcusim.graph import WEIGHTED, Op, OpKind, OpTable
from mcusim.graph.traits import FILTERS
from mcusim.kernels.columns import groups
from mcusim.kernels.reference.int16 import INT16, LEFT_SHIFT
from mcusim.kernels.reference.int16_curves import SIGMOIDS, multiplier_of, softmax_tables
from mcusim.kernels.reference.pool import mean_multiplier
from mcusim.kernels.scales import (
    accumulator_factors,
    limits_of,
    multiplier_and_shift,
    quant_of,
    rounds_once,
    scale_of,
)
from mcusim.lowering.step import StepOp

F = np.float32
Maker = Callable[[StepContext, StepOp], Call]
MOST_SHIFT = 14
"""Of a product of 64 bits by 16 of a multiplier: it is shifted to the right."""
MOST_COLUMNS = 65_535
"""Exponentials of 15 bits that 32 bits can sum."""


def forward_int16(context: StepContext, op: StepOp) -> Call:
    """Return the call of a forward op that reads or gives 16-bit activations.

    Raises:
        BadModel: if there is no C kernel for it; names the op.
    """
    source = source_of(op)
    return KERNELS.of(source)(context, op)


def halved(address: CText, *, constant: bool = True) -> CText:
    """Return the address of 16-bit numbers, or of biases, as a record of 8-bit ones holds it."""
    return CText(f"({'const ' if constant else ''}int8_t *){address}")


def _output(context: StepContext, source: Op) -> dict[str, Any]:
    """Return clamp and zero point."""
    low, high = limits_of(source, context.tensors)
    zero = quant_of(context.tensors[source.output]).zero_point
    return {"zero": zero, "low": low, "high": high}


def _scales(context: StepContext, source: Op) -> list[float]:
    return [scale_of(context.tensors[n]) for n in (*source.inputs, source.output)]


def _filter(context: StepContext, op: StepOp) -> Call:
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    tensors = context.tensors
    weight, bias = tensors[source.inputs[1]], context.parameter(source, SlotPart.BIAS)
    fields: dict[str, Any] = {
        "x": halved(context.at(x)), "weight": context.parameter(source, SlotPart.WEIGHT),
        "bias": CText(f"(const int32_t *){bias}"), "y": halved(context.at(y), constant=False),
        "mask": context.at(op.mask), "x_zero": context.zero_of(source.inputs[0]), "groups": 1,
        **context.overlay(source),
    }  # fmt: skip
    if source.kind is OpKind.FULLY_CONNECTED:
        outputs, inputs = weight.shape
        rows = dense_rows(source, prod(context.shape(x)), inputs)
        ones = dict.fromkeys(("h", "oh", "kh", "kw", "sh", "sw", "dh", "dw"), 1)
        fields["window"] = ones | {"w": rows, "ow": rows, "ci": inputs, "co": outputs}
    else:
        shapes = context.shape(x), context.shape(y)
        channels = (shapes[0][3], shapes[1][3])
        fields["window"] = window(source, *shapes, weight.shape[1:3], channels)
    fields |= {"output": _rescaled(context, source)}
    return Call(_filter_kernel(context, op, fields), "mcusim_convolution", fields)


def _filter_kernel(context: StepContext, op: StepOp, fields: dict[str, Any]) -> str:
    """Return the kernel of a layer with weights; add what its record needs beside."""
    source = source_of(op)
    weight, x = (context.tensors[n] for n in (source.inputs[1], source.inputs[0]))
    if source.kind is OpKind.FULLY_CONNECTED:
        if x.dtype == "int8":
            return "mcusim_dense_to_int16"
        once = rounds_once(source.kind, context.model.arithmetic)
        return "mcusim_dense_once_int16" if once else "mcusim_pointwise_int16"
    fields["scratch"] = context.at(op.scratch)
    if source.kind is OpKind.TRANSPOSE_CONV:
        return "mcusim_transposed_int16"
    if source.kind is OpKind.DEPTHWISE_CONV_2D:
        padding = source.attributes.padding
        fields |= {"bottom": padding[0][1], "right": padding[1][1]}
        plane = op.scratch is not None and fields["window"]["ci"] == fields["window"]["co"]
        return "mcusim_depthwise_plane_int16" if plane else "mcusim_depthwise_int16"
    if source.kind in FILTERS:
        fields["groups"] = groups(source, context.tensors)
    return "mcusim_pointwise_int16" if weight.shape[1:3] == (1, 1) else "mcusim_conv_int16"


def _rescaled(context: StepContext, source: Op) -> dict[str, Any]:
    """Return how the sums of a layer become 16-bit outputs."""
    tensors = context.tensors
    x, factors = tensors[source.inputs[0]], accumulator_factors(source, tensors)
    wide = x.dtype == "int16"
    if wide and rounds_once(source.kind, context.model.arithmetic):
        return context.once(source)
    fixed = [multiplier_and_shift(float(f)) for f in factors]
    narrow = not wide or (source.bias is not None and tensors[source.bias].dtype == "int32")
    if not narrow:
        _require_shift(source, max(shift for _, shift in fixed))
    return {
        "multiplier": context.table(source, "multiplier", np.array([m for m, _ in fixed], np.int32)),
        "shift": context.table(source, "shift", np.array([s for _, s in fixed], np.int8)),
        "rounding": CText("MCUSIM_FIXED" if narrow else "MCUSIM_UPPER"), **_output(context, source),
    }  # fmt: skip


def _require_shift(source: Op, shift: int) -> None:
    if shift > MOST_SHIFT:
        reason = f"rescales sums by more than {2**MOST_SHIFT:,}"
        raise refusal(f"op {source.name!r} ({source.kind})", reason)


def _pair(kernel: str, factors: Callable[[float, float, float], tuple[float, float, float]]) -> Maker:
    """Return the maker of an op on pairs, whose factors are of both inputs and of what they make."""

    def make(context: StepContext, op: StepOp) -> Call:
        source = source_of(op)
        INT16.of(source)(source, context.tensors)  # refuses what it cannot compare
        fixed = [multiplier_and_shift(f) for f in factors(*_scales(context, source))]
        name = "mcusim_mul_to_int8" if context.tensors[source.output].dtype == "int8" else kernel
        y = context.at(op.writes[0])
        return Call(name, "mcusim_binary", {
            **_operands(context, op), "y": y if name != kernel else halved(y, constant=False),
            "mask": context.at(op.mask), "multiplier": [m for m, _ in fixed],
            "shift": [s for _, s in fixed], "sign": -1 if source.kind is OpKind.SUB else 1,
            "output": _output(context, source),
        })  # fmt: skip

    return make


def _operands(context: StepContext, op: StepOp) -> dict[str, Any]:
    """Return where both operands lie, and how they are spread."""
    source, shape = source_of(op), context.shape(op.writes[0])
    what, names = f"op {source.name!r} ({source.kind})", context.operands(op)
    fields: dict[str, Any] = {"dims": four(shape, 1, what)}
    for key, name in zip("ab", names, strict=True):
        fields[key] = halved(context.operand(name))
        fields[f"{key}_stride"] = broadcast(context.shape(name), len(shape), what)
    return fields


def _add(a: float, b: float, y: float) -> tuple[float, float, float]:
    twice = 2 * max(a, b)
    return a / twice, b / twice, twice / ((1 << LEFT_SHIFT) * y)


def _square(a: float, b: float, y: float) -> tuple[float, float, float]:
    twice = 2 * max(a, b)
    return a / twice, b / twice, twice * twice / y


def _element(
    context: StepContext, op: StepOp, kernel: str, factors: tuple[float, float], **more: Any
) -> Call:
    """Return the call of a function of one element: the factors of what is not negative, and of what is."""
    source = source_of(op)
    x, y = (context.tensors[n] for n in (source.inputs[0], source.output))
    fixed = [multiplier_and_shift(f) for f in factors]
    return Call(kernel, "mcusim_element", {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]), "mask": context.at(op.mask),
        "count": prod(context.shape(op.writes[0])), "multiplier": [m for m, _ in fixed],
        "shift": [s for _, s in fixed], "x_zero": quant_of(x).zero_point,
        "x_bytes": 1 if x.dtype == "int8" else 2, "y_bytes": 1 if y.dtype == "int8" else 2,
        **_output(context, source), **more,
    })  # fmt: skip


def _same_real(context: StepContext, op: StepOp) -> Call:
    x, y = _scales(context, source_of(op))
    return _element(context, op, "mcusim_rescale_int16", (x / y, x / y))


def _leaky_relu(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    x, y = (F(scale) for scale in _scales(context, source))
    below = float(x * F(source.attributes.alpha) / y)
    return _element(context, op, "mcusim_rescale_int16", (float(x / y), below))


def _absolute(context: StepContext, op: StepOp) -> Call:
    x, y = (F(scale) for scale in _scales(context, source_of(op)))
    factor = float(x / y)
    return _element(context, op, "mcusim_rescale_int16", (factor, factor), magnitude=True, same=x == y)


def _curve(kernel: str) -> Maker:
    def make(context: StepContext, op: StepOp) -> Call:
        source = source_of(op)
        INT16.of(source)(source, context.tensors)  # refuses another scale than 2^-15
        multiplier, shift = multiplier_of(scale_of(context.tensors[source.inputs[0]]))
        return _element(
            context, op, kernel, (0.0, 0.0), multiplier=[multiplier, 0], shift=[shift, 0],
            sigmoids=context.table(source, "sigmoids", SIGMOIDS.astype(np.uint16)),
        )  # fmt: skip

    return make


def _softmax(context: StepContext, op: StepOp) -> Call:
    source, shape = source_of(op), context.shape(op.reads[0])
    INT16.of(source)(source, context.tensors)
    if shape[-1] > MOST_COLUMNS:
        raise refusal(f"op {source.name!r} ({source.kind})", f"has rows of {shape[-1]:,} elements")
    factor, exponentials, reciprocals = softmax_tables(source, context.tensors)
    return Call("mcusim_softmax_int16", "mcusim_wide_softmax", {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]), "rows": prod(shape[:-1]),
        "columns": shape[-1], "scratch": CText(f"(int32_t *){context.at(op.scratch)}"),
        "exponentials": context.table(source, "exponentials", exponentials.astype(np.int16)),
        "reciprocals": context.table(source, "reciprocals", reciprocals.astype(np.int16)),
        "multiplier": factor[0], "shift": factor[1],
    })  # fmt: skip


def _quantize(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    if context.tensors[source.inputs[0]].dtype != "float32":
        return _same_real(context, op)
    return Call("mcusim_quantize_int16", "mcusim_conversion", {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]),
        "count": prod(context.shape(op.writes[0])), "scale": scale_of(context.tensors[source.output]),
        "output": _output(context, source),
    })  # fmt: skip


def _dequantize(context: StepContext, op: StepOp) -> Call:
    return Call("mcusim_dequantize_int16", "mcusim_conversion", {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]),
        "count": prod(context.shape(op.writes[0])),
        "scale": scale_of(context.tensors[source_of(op).inputs[0]]),
    })  # fmt: skip


def _pool(context: StepContext, op: StepOp) -> Call:
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    low, high = limits_of(source, context.tensors)
    shapes, channels = (context.shape(x), context.shape(y)), context.shape(x)[3]
    average = source.kind is OpKind.AVERAGE_POOL_2D
    return Call(f"mcusim_{'average' if average else 'max'}_pool_int16", "mcusim_pool", {
        "x": halved(context.at(x)), "y": halved(context.at(y), constant=False), "mask": context.at(op.mask),
        "window": window(source, *shapes, source.attributes.kernel, (channels, channels)), "low": low,
        "high": high,
    })  # fmt: skip


def _reduction(context: StepContext, op: StepOp) -> Call:
    source = source_of(op)
    outer, reduced, inner = spans(source, context.shape(op.reads[0]))
    low, high = limits_of(source, context.tensors)
    fields: dict[str, Any] = {
        "x": halved(context.at(op.reads[0])), "y": halved(context.at(op.writes[0]), constant=False),
        "outer": outer, "reduced": reduced, "inner": inner, "low": low, "high": high,
    }  # fmt: skip
    if source.kind in (OpKind.REDUCE_MAX, OpKind.REDUCE_MIN):
        INT16.of(source)(source, context.tensors)  # refuses another scale
        least = source.kind is OpKind.REDUCE_MIN
        return Call("mcusim_extreme_int16", "mcusim_mean", fields | {"same": least})
    x, y = _scales(context, source)
    multiplier, shift = mean_multiplier(x / y, reduced if source.kind is OpKind.MEAN else 1)
    return Call("mcusim_total_int16", "mcusim_mean", fields | {"multiplier": multiplier, "shift": shift})


def _matrices(context: StepContext, op: StepOp) -> Call:
    source, fields = source_of(op), product(context, op)
    _require_shift(source, fields["shift"])
    return Call("mcusim_matrices_int16", "mcusim_product", {
        **fields, "a": halved(fields["a"]), "b": halved(fields["b"]),
        "y": halved(fields["y"], constant=False), "output": _output(context, source),
    })  # fmt: skip


KERNELS: OpTable[Maker] = OpTable(
    "16-bit C kernels",
    {
        **dict.fromkeys(WEIGHTED, _filter),
        OpKind.BATCH_MATMUL: _matrices,
        **dict.fromkeys((OpKind.ADD, OpKind.SUB), _pair("mcusim_add_int16", _add)),
        OpKind.MUL: _pair("mcusim_mul_int16", lambda a, b, y: (1.0, 1.0, a * b / y)),
        OpKind.SQUARED_DIFFERENCE: _pair("mcusim_squared_difference_int16", _square),
        OpKind.MINIMUM: _pair("mcusim_minimum_int16", lambda a, b, y: (1.0, 1.0, 1.0)),
        OpKind.MAXIMUM: _pair("mcusim_maximum_int16", lambda a, b, y: (1.0, 1.0, 1.0)),
        **dict.fromkeys((OpKind.MEAN, OpKind.SUM, OpKind.REDUCE_MAX, OpKind.REDUCE_MIN), _reduction),
        **dict.fromkeys((OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D), _pool),
        OpKind.CONCATENATION: concatenation,
        **dict.fromkeys((OpKind.RELU, OpKind.RELU6), _same_real),
        OpKind.LEAKY_RELU: _leaky_relu,
        OpKind.ABS: _absolute,
        OpKind.LOGISTIC: _curve("mcusim_logistic_int16"),
        OpKind.TANH: _curve("mcusim_tanh_int16"),
        OpKind.SOFTMAX: _softmax,
        OpKind.QUANTIZE: _quantize,
        OpKind.DEQUANTIZE: _dequantize,
    },
    absent=INT16.absent,
    way_out=INT16.way_out,
)
