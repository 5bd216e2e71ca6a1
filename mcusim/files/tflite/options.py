"""Attributes as the options of TFLite operators: the counterpart of `mcusim.files.tflite.operators`."""

from __future__ import annotations

from mcusim.core import BadModel
from mcusim.files.tflite.flatbuffer_writer import Writer
from mcusim.files.tflite.operators import clamp_range, same_padding
from mcusim.files.tflite.schema import ACTIVATIONS, SAME, VALID
from mcusim.graph import Attributes, OpKind, Tensor

# Numbers of the members of the union BuiltinOptions.
_OPTIONS: dict[OpKind, int] = {
    OpKind.CONV_2D: 1,
    OpKind.DEPTHWISE_CONV_2D: 2,
    OpKind.AVERAGE_POOL_2D: 5,
    OpKind.MAX_POOL_2D: 5,
    OpKind.FULLY_CONNECTED: 8,
    OpKind.SOFTMAX: 9,
    OpKind.CONCATENATION: 10,
    OpKind.ADD: 11,
    OpKind.RESIZE_BILINEAR: 15,
    OpKind.RESHAPE: 17,
    OpKind.MUL: 21,
    OpKind.PAD: 22,
    OpKind.TRANSPOSE: 26,
    OpKind.MEAN: 27,
    OpKind.SUB: 28,
    OpKind.ARG_MAX: 40,
    OpKind.DEQUANTIZE: 46,
    OpKind.RESIZE_NEAREST_NEIGHBOR: 74,
    OpKind.HARD_SWISH: 91,
    OpKind.QUANTIZE: 92,
}


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
    a, union = attributes, _OPTIONS.get(kind, 0)
    match kind:
        case OpKind.CONV_2D | OpKind.DEPTHWISE_CONV_2D:
            return union, _convolution(kind, a, inputs, output, write)
        case OpKind.AVERAGE_POOL_2D | OpKind.MAX_POOL_2D:
            return union, write.table(
                padding=(0, "int8", _padding(a, inputs[0], a.kernel, output)),
                stride_w=(1, "int32", a.stride[1]),
                stride_h=(2, "int32", a.stride[0]),
                filter_width=(3, "int32", a.kernel[1]),
                filter_height=(4, "int32", a.kernel[0]),
                activation=(5, "int8", fused_activation(a.clamp, output)),
            )
        case OpKind.FULLY_CONNECTED:
            kept = len(output.shape) != 2 or output.shape[0] != inputs[0].elements // inputs[1].shape[1]
            return union, write.table(
                activation=(0, "int8", fused_activation(a.clamp, output)), keep_num_dims=(2, "bool", kept)
            )
        case OpKind.ADD | OpKind.SUB | OpKind.MUL:
            return union, write.table(activation=(0, "int8", fused_activation(a.clamp, output)))
        case OpKind.CONCATENATION:
            activation = fused_activation(a.clamp, output)
            return union, write.table(axis=(0, "int32", a.axes[0]), activation=(1, "int8", activation))
        case OpKind.SOFTMAX:
            return union, write.table(beta=(0, "float32", a.beta))
        case OpKind.MEAN:
            return union, write.table(keep_dims=(0, "bool", len(output.shape) == len(inputs[0].shape)))
        case OpKind.RESHAPE:
            shape = write.array(output.shape, "i4")
            return union, write.table(new_shape=(0, "offset", shape))
        case OpKind.ARG_MAX:
            return union, write.table(output_type=(0, "int8", 4 if output.dtype == "int64" else 2))
        case OpKind.RESIZE_BILINEAR | OpKind.RESIZE_NEAREST_NEIGHBOR:
            first = 2 if kind is OpKind.RESIZE_BILINEAR else 0
            return union, write.table(
                align_corners=(first, "bool", a.align_corners),
                half_pixel_centers=(first + 1, "bool", a.half_pixel_centers),
            )
        case _:
            return union, write.table() if union else 0


def _convolution(kind: OpKind, a: Attributes, inputs: list[Tensor], output: Tensor, write: Writer) -> int:
    kernel = (inputs[1].shape[1], inputs[1].shape[2])
    padding = _padding(a, inputs[0], kernel, output)
    depthwise = kind is OpKind.DEPTHWISE_CONV_2D
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
