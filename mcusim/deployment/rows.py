"""C kernels of convolutions in groups, transposed ones, products and normalised rows, with their records."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mcusim.core import SlotPart
from mcusim.deployment.context import StepContext, four, refusal, source_of, window
from mcusim.deployment.records import TYPES, Call
from mcusim.graph import Op, OpKind
from mcusim.kernels.columns import groups
from mcusim.kernels.moved_blocks import strides
from mcusim.kernels.reference.plain import gradient_ratio
from mcusim.kernels.reference.softmax import differences, exponentials
from mcusim.kernels.scales import multiplier_and_shift, quant_of, scale_of
from mcusim.lowering.step import StepOp

Made = tuple[str, str, dict[str, Any]]
LARGEST = 255 * 255
"""Of two int8, each less its zero point, the product."""


def filtered(context: StepContext, op: StepOp) -> Call:
    """Return the call of a convolution in groups, or of a transposed one."""
    source, x, y = source_of(op), op.reads[0], op.writes[0]
    grouped = source.kind is OpKind.GROUPED_CONV_2D
    return Call("mcusim_grouped" if grouped else "mcusim_transposed", "mcusim_convolution", {
        "x": context.at(x), "weight": context.parameter(source, SlotPart.WEIGHT),
        "bias": context.parameter(source, SlotPart.BIAS), "y": context.at(y), "mask": context.at(op.mask),
        "scratch": context.at(op.scratch), "window": _window(context, source),
        "x_zero": context.zero_of(source.inputs[0]), "weight_zero": context.zero_of(source.inputs[1]),
        "output": context.output(source), "groups": groups(source, context.tensors),
        **context.overlay(source),
    })  # fmt: skip


def filter_gradient(context: StepContext, op: StepOp) -> Made:
    """Return kernel and record of the gradient of either."""
    source = source_of(op)
    name = "mcusim_grad_grouped" if source.kind is OpKind.GROUPED_CONV_2D else "mcusim_grad_transposed"
    return name, "mcusim_grad_input", {
        "weight": context.parameter(source, SlotPart.WEIGHT), "factor": context.factors(source),
        "weight_zero": context.zero_of(source.inputs[1]), "window": _window(context, source),
        "groups": groups(source, context.tensors), **context.overlay(source),
    }  # fmt: skip


def _window(context: StepContext, source: Op) -> dict[str, int]:
    x, weight, y = (context.tensors[n] for n in (*source.inputs[:2], source.output))
    return window(source, x.shape, y.shape, weight.shape[1:3], (x.shape[3], y.shape[3]))


def _strides(context: StepContext, source: Op, index: int) -> tuple[list[int], int, int]:
    """Return the strides of a matrix: of its two stacks, 0 where it is broadcast, of its rows and columns."""
    what = f"op {source.name!r} ({source.kind})"
    shape = four(context.tensors[source.inputs[index]].shape, 1, what)
    own = strides(shape)
    stacks = [0 if n == 1 else s for n, s in zip(shape[:2], own, strict=False)]
    rows, columns = own[2:]
    return (stacks, columns, rows) if source.attributes.adjoint[index] else (stacks, rows, columns)


def _dims(context: StepContext, source: Op) -> tuple[list[int], int]:
    """Return the dimensions of a product, and over how many elements it sums.

    Raises:
        BadModel: if a number does not fit its field, or a sum 32 bits.
    """
    what = f"op {source.name!r} ({source.kind})"
    dims = four(context.tensors[source.output].shape, 1, what)
    inner = context.tensors[source.inputs[0]].shape[-2 if source.attributes.adjoint[0] else -1]
    narrow = context.tensors[source.output].dtype == "int8"
    if max(*dims, inner) > 65_535 or (narrow and inner * LARGEST >= 2**31):
        raise refusal(what, f"multiplies matrices of {dims} elements over {inner}, more than C kernels count")
    return dims, inner


def matrices(context: StepContext, op: StepOp) -> Call:
    """Return the call of BATCH_MATMUL."""
    fields = product(context, op)
    return Call("mcusim_matrices", "mcusim_product", fields | {"output": context.plain_output(source_of(op))})


def product(context: StepContext, op: StepOp) -> dict[str, Any]:
    """Return the record of BATCH_MATMUL but for its clamp."""
    source, y = source_of(op), op.writes[0]
    dims, inner = _dims(context, source)
    (a, a_rows, a_columns), (b, b_rows, b_columns) = (_strides(context, source, i) for i in range(2))
    scales = [scale_of(context.tensors[n]) for n in (*source.inputs, source.output)]
    factor = scales[0] * scales[1] / scales[2]
    multiplier, shift = multiplier_and_shift(factor)
    first, second = map(context.operand, context.operands(op))
    return {
        "a": first, "b": second, "y": context.at(y), "mask": context.at(op.mask), "dims": dims,
        "a_stride": [*a, a_rows, 0], "b_stride": [*b, 0, b_columns], "a_inner": a_columns, "b_inner": b_rows,
        "inner": inner, "a_zero": context.zero_of(source.inputs[0]),
        "b_zero": context.zero_of(source.inputs[1]), "multiplier": multiplier, "shift": shift,
        "factor": factor,
    }  # fmt: skip


def product_gradient(context: StepContext, op: StepOp) -> Made:
    """Return kernel and record of the gradient of one of the matrices."""
    source, index = source_of(op), op.index
    (*stacks, rows, columns), _ = _dims(context, source)
    own = four(context.tensors[source.inputs[index]].shape, 1, source.name)
    g = strides((*stacks, rows, columns))
    other, other_rows, other_columns = _strides(context, source, 1 - index)
    # Of Y = A B: A[r, k] gets the sum of G[r, c] B[k, c] over c, B[k, c] that of A[r, k] G[r, c] over r.
    if index == 0:
        places, theirs = (g[2], 0), (0, other_rows)
        along, theirs_along, count = g[3], other_columns, columns
    else:
        places, theirs = (0, g[3]), (other_columns, 0)
        along, theirs_along, count = g[2], other_rows, rows
    if source.attributes.adjoint[index]:
        places, theirs = places[::-1], theirs[::-1]
    scales = [scale_of(context.tensors[n]) for n in (*source.inputs, source.output)]
    name = source.inputs[1 - index]
    return "mcusim_grad_product", "mcusim_grad_product", {
        "other": context.operand(name), "other_zero": context.zero_of(name), "wide": context.in_16_bits(name),
        "dims": own,
        "g_stride": [*g[:2], *places], "other_stride": [*other, *theirs], "g_inner": along,
        "other_inner": theirs_along, "inner": count,
        "sums": [n if mine == 1 else 1 for n, mine in zip(stacks, own, strict=False)],
        "g_sum": g[:2], "other_sum": other, "factor": np.float32(scales[0] * scales[1] / scales[2]),
    }  # fmt: skip


def _rows(context: StepContext, op: StepOp) -> dict[str, Any]:
    source = source_of(op)
    x, y = context.tensors[source.inputs[0]], context.tensors[source.output]
    if x.shape[-1] * LARGEST >= 2**31:
        raise refusal(f"op {source.name!r} ({source.kind})", f"has rows of {x.shape[-1]:,} elements")
    return {
        "x": context.at(op.reads[0]), "y": context.at(op.writes[0]), "rows": prod(x.shape[:-1]),
        "columns": x.shape[-1], "x_scale": scale_of(x), "y_scale": scale_of(y),
        "x_zero": quant_of(x).zero_point, "y_zero": quant_of(y).zero_point,
        "fixed": context.model.arithmetic.fixed_point,
    }  # fmt: skip


def log_softmax(context: StepContext, op: StepOp) -> Call:
    """Return the call of LOG_SOFTMAX."""
    source, fields = source_of(op), _rows(context, op)
    if context.model.arithmetic.fixed_point:
        steps = differences(source, context.tensors)
        multiplier, shift = steps.factor
        back, back_shift = multiplier_and_shift(2.0 ** (31 - shift) / multiplier)
        table = exponentials(source, context.tensors).astype(np.int32)
        fields |= {
            "table": context.table(source, "exponentials", table), "multiplier": multiplier, "shift": shift,
            "back": back, "back_shift": back_shift, "radius": min(steps.radius, 255),
        }  # fmt: skip
    return Call("mcusim_log_softmax", "mcusim_rows", fields)


def l2_normalization(context: StepContext, op: StepOp) -> Call:
    """Return the call of L2_NORMALIZATION."""
    return Call("mcusim_l2", "mcusim_rows", _rows(context, op))


def log_softmax_gradient(context: StepContext, op: StepOp) -> Made:
    """Return kernel and record of the gradient of LOG_SOFTMAX."""
    source = source_of(op)
    ratio = gradient_ratio(source, context.tensors, 0)
    return "mcusim_grad_log_softmax", "mcusim_grad_softmax", _given(context, source.output, ratio)


def l2_gradient(context: StepContext, op: StepOp) -> Made:
    """Return kernel and record of the gradient of L2_NORMALIZATION."""
    source = source_of(op)
    ratio = np.float32(1 / scale_of(context.tensors[source.output]))
    return "mcusim_grad_l2", "mcusim_grad_softmax", _given(context, source.inputs[0], ratio)


def _given(context: StepContext, name: str, factor: np.float32) -> dict[str, Any]:
    """Return the rows that a gradient reads again."""
    tensor = context.tensors[name]
    return {
        "p": context.at(name), "rows": prod(tensor.shape[:-1]), "columns": tensor.shape[-1],
        "p_scale": scale_of(tensor), "factor": factor, "p_zero": quant_of(tensor).zero_point,
        "p_type": TYPES[tensor.dtype],
    }  # fmt: skip
