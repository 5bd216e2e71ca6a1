"""QuantizeLinear and DequantizeLinear: where an ONNX graph says how its numbers are stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.files.onnx.graph import (
    Const,
    Int8Tensor,
    OnnxGraph,
    Shape,
    Value,
    View,
    onnx_shape,
)
from mcusim.files.onnx.proto import Node
from mcusim.graph import Quant


def _scales(g: OnnxGraph, node: Node, shape: Shape) -> tuple[Quant, str]:
    """Return the quantisation a Quantize- or DequantizeLinear node states, and its integer type."""
    scale, zero_point = g.constant(node, 1), g.constant(node, 2)
    if scale is None or scale.data.size > 2**20 or scale.data.ndim > 1:
        raise node.fail("has no constant scale")
    kind = str(zero_point.data.dtype) if zero_point is not None else "uint8"
    zeros = np.zeros(1, np.int64) if zero_point is None else zero_point.data.reshape(-1).astype(np.int64)
    scales = scale.data.astype(np.float32).reshape(-1)
    if not len(scales) or not len(zeros):
        raise node.fail("has no scale or zero point")
    if len(scales) == 1:
        return Quant(scales, int(zeros[0])), kind
    axis = node.integer("axis", 1)
    axis += len(shape) if axis < 0 else 0
    if not 0 <= axis < len(shape) or shape[axis] != len(scales) or zeros.any():
        raise node.fail(f"has {len(scales)} scales for {shape} along {axis}, or zero points a channel")
    return Quant(scales, 0, axis), kind


def _signed(quant: Quant, kind: str) -> Quant:
    return replace(quant, zero_point=quant.zero_point - 128) if kind == "uint8" else quant


def quantize(g: OnnxGraph, node: Node) -> Value:
    """Return the value behind a QuantizeLinear node."""
    x = g.value(node, 0)
    quant, kind = _scales(g, node, onnx_shape(g.shape(x)))
    if kind not in ("int8", "uint8") or (kind == "uint8" and quant.per_channel):
        raise node.fail(f"makes {kind}", "supported: int8, and uint8 with one scale")
    return g.quantised(node, x, _signed(quant, kind))


def dequantize(g: OnnxGraph, node: Node) -> Value:
    """Return the value behind a DequantizeLinear node."""
    raw = g.raw_inputs.pop(node.inputs[0], None) if node.inputs else None
    if raw is not None:
        quant, kind = _scales(g, node, raw)
        g.values[node.inputs[0]] = Int8Tensor(g.build.activation(node.inputs[0], raw, _signed(quant, kind)))
        return View(node.inputs[0])
    x = g.value(node, 0)
    if isinstance(x, Int8Tensor):
        quant, kind = _scales(g, node, ())
        if not _signed(quant, kind).same_as(g.build[x.name].quant):
            raise node.fail("reads integers with another scale than they were written with")
        return View(x.name)
    if isinstance(x, Const) and x.quant is not None:  # a constant that a QuantizeLinear rounded
        quant, kind = _scales(g, node, x.data.shape)
        if not _signed(quant, kind).same_as(x.quant):
            raise node.fail("reads integers with another scale than they were written with")
        return x
    if not isinstance(x, Const) or x.data.dtype not in (np.int8, np.uint8, np.int32):
        raise node.fail("reads no int8, uint8 or int32 values")
    quant, _ = _scales(g, node, x.data.shape)
    if x.data.dtype == np.uint8:
        if quant.per_channel:
            raise node.fail("is uint8 with a scale a channel", "use int8")
        return Const((x.data ^ np.uint8(128)).view(np.int8), _signed(quant, "uint8"))
    return Const(x.data, quant)
