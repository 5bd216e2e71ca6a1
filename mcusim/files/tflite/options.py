"""Attributes as the options of TFLite operators: the counterpart of `mcusim.files.tflite.operators`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.files.names import NAMES
from mcusim.files.tflite.flatbuffer_writer import Writer
from mcusim.files.tflite.operators import clamp_range, same_padding
from mcusim.files.tflite.schema import ACTIVATIONS, SAME, VALID
from mcusim.graph import WEIGHTED, Attributes, OpKind, OpTable, Tensor
from mcusim.graph.traits import BINARY, PAIRS, POOLS, RESIZES, UNARY

Options = Callable[[Attributes, list[Tensor], Tensor, Writer], int]
"""Writes the options of an operator; returns their offset."""


def fused_activation(clamp: tuple[float, float] | None, output: Tensor) -> int:
    """Return the fused activation whose range is ``clamp``.

    Raises:
        BadModel: if TFLite has no activation of that range.
    """
    for number in ACTIVATIONS:
        if clamp_range(output, number) == clamp:
            return number
    raise BadModel(f"tensor {output.name!r}", f"is clamped to {clamp}, which no TFLite activation does")


def options_of(
    kind: OpKind, attributes: Attributes, inputs: list[Tensor], output: Tensor, write: Writer
) -> tuple[int, int]:
    """Write the options of an operator; return their number in the union and their offset (0: none).

    Raises:
        BadModel: if the attributes have no form in TFLite.
    """
    union = NAMES[kind].tflite.options
    return union, OPTIONS[kind](attributes, inputs, output, write) if union else 0


def constant_of(kind: OpKind, attributes: Attributes, output: Tensor) -> NDArray[np.int32] | None:
    """Return what TFLite takes as a constant input and a graph here has as an attribute, if anything."""
    value = CONSTANTS[kind](attributes, output)
    return None if value is None else np.array(value, np.int32)


def _none(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table()


def _pool(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(
        padding=(0, "int8", _padding(a, inputs[0], a.kernel, output)),
        stride_w=(1, "int32", a.stride[1]),
        stride_h=(2, "int32", a.stride[0]),
        filter_width=(3, "int32", a.kernel[1]),
        filter_height=(4, "int32", a.kernel[0]),
        activation=(5, "int8", fused_activation(a.clamp, output)),
    )


def _fully_connected(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    kept = len(output.shape) != 2 or output.shape[0] != inputs[0].elements // inputs[1].shape[1]
    return write.table(
        activation=(0, "int8", fused_activation(a.clamp, output)), keep_num_dims=(2, "bool", kept)
    )


def _binary(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(activation=(0, "int8", fused_activation(a.clamp, output)))


def _concatenation(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    activation = fused_activation(a.clamp, output)
    return write.table(axis=(0, "int32", a.axes[0]), activation=(1, "int8", activation))


def _softmax(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(beta=(0, "float32", a.beta))


def _leaky_relu(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(alpha=(0, "float32", a.alpha))


def _gelu(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(approximate=(0, "bool", a.approximate))


def _mean(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(keep_dims=(0, "bool", len(output.shape) == len(inputs[0].shape)))


def _reshape(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(new_shape=(0, "offset", write.array(output.shape, "i4")))


def _arg_max(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(output_type=(0, "int8", 4 if output.dtype == "int64" else 2))


def _resize(first: int) -> Options:
    def options(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
        return write.table(
            align_corners=(first, "bool", a.align_corners),
            half_pixel_centers=(first + 1, "bool", a.half_pixel_centers),
        )

    return options


def _weighted(depthwise: bool) -> Options:
    def options(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
        return _convolution(depthwise, a, inputs, output, write)

    return options


def _convolution(depthwise: bool, a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    kernel = (inputs[1].shape[1], inputs[1].shape[2])
    padding = _padding(a, inputs[0], kernel, output)
    at = 4 if depthwise else 3
    fields = {
        "padding": (0, "int8", padding),
        "stride_w": (1, "int32", a.stride[1]),
        "stride_h": (2, "int32", a.stride[0]),
        "activation": (at, "int8", fused_activation(a.clamp, output)),
        "dilation_w": (at + 1, "int32", a.dilation[1]),
        "dilation_h": (at + 2, "int32", a.dilation[0]),
    }
    if depthwise:
        fields["multiplier"] = (3, "int32", output.shape[3] // inputs[0].shape[3])
    return write.table(**fields)


def _padding(a: Attributes, x: Tensor, kernel: tuple[int, int], output: Tensor) -> int:
    if a.padding == ((0, 0), (0, 0)):
        return VALID
    if a.padding == same_padding(x.shape, kernel, a.stride, a.dilation):
        return SAME
    raise BadModel(
        f"tensor {output.name!r}", f"is pooled with padding {a.padding}, which TFLite has no form for"
    )


OPTIONS: OpTable[Options] = OpTable(
    "TFLite options",
    {
        OpKind.CONV_2D: _weighted(depthwise=False),
        OpKind.DEPTHWISE_CONV_2D: _weighted(depthwise=True),
        OpKind.FULLY_CONNECTED: _fully_connected,
        **dict.fromkeys(BINARY, _binary),
        **dict.fromkeys((*PAIRS, *UNARY), _none),
        OpKind.GELU: _gelu,
        OpKind.LEAKY_RELU: _leaky_relu,
        **dict.fromkeys(POOLS, _pool),
        OpKind.PAD: _none,
        OpKind.MEAN: _mean,
        OpKind.RESHAPE: _reshape,
        OpKind.CONCATENATION: _concatenation,
        OpKind.TRANSPOSE: _none,
        OpKind.QUANTIZE: _none,
        OpKind.DEQUANTIZE: _none,
        OpKind.SOFTMAX: _softmax,
        OpKind.RESIZE_NEAREST_NEIGHBOR: _resize(0),
        OpKind.RESIZE_BILINEAR: _resize(2),
        OpKind.ARG_MAX: _arg_max,
    },
)


def _inputs_only(a: Attributes, output: Tensor) -> None:
    return None


CONSTANTS: OpTable[Callable[[Attributes, Tensor], Any]] = OpTable(
    "TFLite constant inputs",
    {
        **dict.fromkeys((*WEIGHTED, *BINARY, *PAIRS, *UNARY, *POOLS), _inputs_only),
        **dict.fromkeys((OpKind.QUANTIZE, OpKind.DEQUANTIZE, OpKind.SOFTMAX), _inputs_only),
        OpKind.CONCATENATION: _inputs_only,
        OpKind.PAD: lambda a, output: a.pads,
        OpKind.MEAN: lambda a, output: a.axes,
        OpKind.TRANSPOSE: lambda a, output: a.axes,
        OpKind.ARG_MAX: lambda a, output: a.axes[0],
        OpKind.RESHAPE: lambda a, output: output.shape,
        **dict.fromkeys(RESIZES, lambda a, output: output.shape[1:3]),
    },
)
