"""Attributes as the options of TFLite operators: the counterpart of `mcusim.files.tflite.operators`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.files.names import NAMES, Tflite
from mcusim.files.tflite.flatbuffer_writer import Writer
from mcusim.files.tflite.operators import clamp_range, same_padding
from mcusim.files.tflite.schema import ACTIVATIONS, SAME, VALID
from mcusim.graph import WEIGHTED, Attributes, OpKind, OpTable, Tensor
from mcusim.graph.traits import BINARY, PAIRS, POOLS, PRODUCTS, REDUCTIONS, RESIZES, UNARY

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
    union = operator_of(kind).options
    return union, OPTIONS[kind](attributes, inputs, output, write) if union else 0


def operator_of(kind: OpKind, op: str = "") -> Tflite:
    """Return the operator that a kind is; ``op`` names the op in an error.

    Raises:
        BadModel: if TFLite has none.
    """
    found = NAMES[kind].tflite
    if found is None:
        reason = "is no operator of TFLite"
        raise BadModel(f"op {op!r} ({kind})", reason, "save it as .npz or .onnx")
    return found


def constants_of(
    kind: OpKind, attributes: Attributes, inputs: list[Tensor], output: Tensor
) -> list[NDArray[np.int32]]:
    """Return what TFLite takes as constant inputs and a graph here has as attributes."""
    return [np.array(value, np.int32) for value in CONSTANTS[kind](attributes, inputs, output)]


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


def _transpose_conv(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    kernel = (inputs[1].shape[1], inputs[1].shape[2])
    same = a.padding == same_padding(output.shape, kernel, a.stride, (1, 1))
    if not same and a.padding != ((0, 0), (0, 0)):
        raise BadModel(
            f"tensor {output.name!r}", f"is spread with padding {a.padding}, which TFLite has no form for"
        )
    return write.table(
        padding=(0, "int8", SAME if same else VALID),
        stride_w=(1, "int32", a.stride[1]),
        stride_h=(2, "int32", a.stride[0]),
        activation=(3, "int8", fused_activation(a.clamp, output)),
    )


def _batch_matmul(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(x=(0, "bool", a.adjoint[0]), y=(1, "bool", a.adjoint[1]))


def _gelu(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(approximate=(0, "bool", a.approximate))


def _mean(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(keep_dims=(0, "bool", len(output.shape) == len(inputs[0].shape)))


def _reshape(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(new_shape=(0, "offset", write.array(output.shape, "i4")))


def _strided_slice(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    turned = (first + step * count < 0 for first, step, count in zip(a.begin, a.step, a.shape, strict=True))
    ends = sum(1 << axis for axis, through in zip(a.axes, turned, strict=True) if through)
    return write.table(end_mask=(1, "int32", ends))


def _gather(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(axis=(0, "int32", a.axes[0]))


def _mirror_pad(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(mode=(0, "int8", int(a.symmetric)))


def _block(a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    return write.table(block_size=(0, "int32", a.block))


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
        OpKind.GROUPED_CONV_2D: _weighted(depthwise=False),
        OpKind.TRANSPOSE_CONV: _transpose_conv,
        OpKind.BATCH_MATMUL: _batch_matmul,
        OpKind.FULLY_CONNECTED: _fully_connected,
        **dict.fromkeys(BINARY, _binary),
        **dict.fromkeys((*PAIRS, *UNARY), _none),
        OpKind.GELU: _gelu,
        OpKind.LEAKY_RELU: _leaky_relu,
        **dict.fromkeys(POOLS, _pool),
        OpKind.PAD: _none,
        **dict.fromkeys(REDUCTIONS, _mean),
        OpKind.RESHAPE: _reshape,
        OpKind.CONCATENATION: _concatenation,
        OpKind.TRANSPOSE: _none,
        OpKind.STRIDED_SLICE: _strided_slice,
        **dict.fromkeys((OpKind.TILE, OpKind.REVERSE), _none),
        OpKind.GATHER: _gather,
        OpKind.MIRROR_PAD: _mirror_pad,
        **dict.fromkeys((OpKind.DEPTH_TO_SPACE, OpKind.SPACE_TO_DEPTH), _block),
        OpKind.QUANTIZE: _none,
        OpKind.DEQUANTIZE: _none,
        OpKind.SOFTMAX: _softmax,
        **dict.fromkeys((OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION), _none),
        OpKind.RESIZE_NEAREST_NEIGHBOR: _resize(0),
        OpKind.RESIZE_BILINEAR: _resize(2),
        OpKind.ARG_MAX: _arg_max,
    },
)


def _inputs_only(a: Attributes, inputs: list[Tensor], output: Tensor) -> tuple[Any, ...]:
    return ()


_NORMALISATIONS = (OpKind.SOFTMAX, OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION)


def _bounds(a: Attributes, inputs: list[Tensor], output: Tensor) -> tuple[Any, ...]:
    """Return begin, end and strides of every dimension; the end mask takes care of ends before the first."""
    shape, cuts = inputs[0].shape, dict(zip(a.axes, zip(a.begin, a.step, a.shape, strict=True), strict=True))
    spans = [cuts.get(i, (0, 1, size)) for i, size in enumerate(shape)]
    ends = [first + step * count for first, step, count in spans]
    return [s[0] for s in spans], [max(end, 0) for end in ends], [s[1] for s in spans]


CONSTANTS: OpTable[Callable[[Attributes, list[Tensor], Tensor], tuple[Any, ...]]] = OpTable(
    "TFLite constant inputs",
    {
        **dict.fromkeys((*WEIGHTED, *PRODUCTS, *BINARY, *PAIRS, *UNARY, *POOLS), _inputs_only),
        **dict.fromkeys((OpKind.QUANTIZE, OpKind.DEQUANTIZE, *_NORMALISATIONS), _inputs_only),
        OpKind.CONCATENATION: _inputs_only,
        OpKind.PAD: lambda a, x, y: (a.pads,),
        **dict.fromkeys(REDUCTIONS, lambda a, x, y: (a.axes,)),
        OpKind.TRANSPOSE: lambda a, x, y: (a.axes,),
        OpKind.STRIDED_SLICE: _bounds,
        OpKind.TILE: lambda a, x, y: (a.repeats,),
        OpKind.GATHER: lambda a, x, y: (a.indices,),
        OpKind.REVERSE: lambda a, x, y: (a.axes,),
        OpKind.MIRROR_PAD: lambda a, x, y: (a.pads,),
        **dict.fromkeys((OpKind.DEPTH_TO_SPACE, OpKind.SPACE_TO_DEPTH), _inputs_only),
        OpKind.ARG_MAX: lambda a, x, y: (a.axes[0],),
        OpKind.RESHAPE: lambda a, x, y: (y.shape,),
        **dict.fromkeys(RESIZES, lambda a, x, y: (y.shape[1:3],)),
    },
)
