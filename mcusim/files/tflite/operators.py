"""The options of TFLite operators as attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mcusim.core import BadModel
from mcusim.files.tflite import flatbuffer
from mcusim.files.tflite.schema import ACTIVATIONS, NONE, SAME, VALID
from mcusim.graph import CONVOLUTIONS, LIMITS, TRAITS, Attributes, OpKind, OpTable, Pads, Tensor
from mcusim.graph.traits import BINARY, CLAMPS, PAIRS, POOLS, REDUCTIONS, RESIZES, UNARY


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator with its tensors and its table of options (absent: all defaults)."""

    kind: OpKind
    inputs: list[Tensor]
    output: Tensor
    options: flatbuffer.FlatTable | None

    def integer(self, field: int, default: int = 0) -> int:
        """Return an int32 option."""
        return default if self.options is None else self.options.integer(field, 4, default)

    def byte(self, field: int) -> int:
        """Return an enumeration stored in a byte."""
        return 0 if self.options is None else self.options.integer(field, 1)

    def boolean(self, field: int) -> bool:
        """Return a boolean option."""
        return self.options is not None and self.options.boolean(field)

    def constant(self, index: int, what: str) -> list[int]:
        """Return the values of a constant input, at most 16 integers.

        Raises:
            BadModel: if the input is missing, no constant, or no short list of integers.
        """
        tensor = self.inputs[index] if index < len(self.inputs) else None
        if tensor is None or tensor.data is None or tensor.dtype not in ("int32", "int64"):
            raise BadModel(
                "", f"its {what} is no constant list of integers", "dynamic shapes are not supported"
            )
        if tensor.elements > 16:
            raise BadModel("", f"its {what} has {tensor.elements} entries")
        return [int(v) for v in np.asarray(tensor.data).reshape(-1)]


def clamp_range(output: Tensor, activation: int) -> tuple[float, float] | None:
    """Return a fused activation as a range of output values, as TFLite computes it.

    The bounds are divided by the scale in float32, rounded half away from zero, and cut off at the ends
    of the type (``CalculateActivationRangeQuantized``); a float32 output keeps the real bounds.

    Raises:
        BadModel: if the activation is unknown, or its bounds do not fit the output's scale.
    """
    if activation not in ACTIVATIONS:
        raise BadModel(
            "", f"has the fused activation {activation}", "supported: none, RELU, RELU_N1_TO_1, RELU6"
        )
    return clamp_to(output, ACTIVATIONS[activation])


def clamp_to(output: Tensor, real: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return a range of reals as one of output values; see `clamp_range`."""
    if output.dtype not in ("int8", "int16") or output.quant is None:
        return real
    floor, ceiling = LIMITS[output.dtype]
    if real is None:
        return (floor, ceiling)

    scale, zero_point = np.float32(output.quant.scale[0]), output.quant.zero_point

    def quantised(value: float) -> int:
        with np.errstate(over="ignore"):
            scaled = float(np.clip(np.float32(value) / scale, -(2.0**31), 2.0**31))
        return zero_point + (int(scaled + 0.5) if scaled >= 0 else -int(0.5 - scaled))

    low, high = max(floor, quantised(real[0])), min(ceiling, quantised(real[1]))
    if low > high:
        raise BadModel("", f"its fused activation leaves no value: {low} to {high}")
    return (low, high)


def padding_of(
    operator: Operator, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Pads:
    """Return the padding of an operator, whose mode is its first option, as explicit numbers.

    Raises:
        BadModel: if the mode is neither SAME nor VALID.
    """
    mode, shape = operator.byte(0), operator.inputs[0].shape
    if mode not in (SAME, VALID):
        raise BadModel("", f"has padding mode {mode}", "supported: SAME, VALID")
    if mode == VALID or len(shape) != 4:
        return ((0, 0), (0, 0))
    return same_padding(shape, kernel, stride, dilation)


def same_padding(
    shape: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Pads:
    """Return what SAME means for an NHWC shape; an odd row or column goes to the bottom or right."""
    pads = []
    for i in range(2):
        windows = -(-shape[1 + i] // stride[i])
        total = (windows - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - shape[1 + i]
        pads.append((max(total, 0) // 2, max(total, 0) - max(total, 0) // 2))
    return (pads[0], pads[1])


def attributes_of(operator: Operator) -> tuple[int, Attributes]:
    """Return how many inputs stay inputs, and the attributes that the options and the rest amount to.

    Raises:
        BadModel: without a thing: the caller knows the operator's index and tensors.
    """
    return READ[operator.kind](operator)


def _plain(operator: Operator) -> tuple[int, Attributes]:
    return 1, Attributes(clamp=clamp_range(operator.output, NONE))


def _clamp(operator: Operator) -> tuple[int, Attributes]:
    return 1, Attributes(clamp=clamp_to(operator.output, TRAITS[operator.kind].activation))


def _gelu(operator: Operator) -> tuple[int, Attributes]:
    return 1, Attributes(approximate=operator.boolean(0), clamp=clamp_range(operator.output, NONE))


def _pair(operator: Operator) -> tuple[int, Attributes]:
    return 2, Attributes(clamp=clamp_range(operator.output, NONE))


def _leaky_relu(operator: Operator) -> tuple[int, Attributes]:
    alpha = 0.0 if operator.options is None else operator.options.real(0)
    return 1, Attributes(alpha=alpha, clamp=clamp_range(operator.output, NONE))


def _windowed(operator: Operator) -> tuple[int, Attributes]:
    return len(operator.inputs), _convolution(operator)


def _fully_connected(operator: Operator) -> tuple[int, Attributes]:
    if operator.byte(1):
        raise BadModel("", "has shuffled weights", "convert it with default weights")
    return len(operator.inputs), Attributes(clamp=clamp_range(operator.output, operator.byte(0)))


def _binary(operator: Operator) -> tuple[int, Attributes]:
    return 2, Attributes(clamp=clamp_range(operator.output, operator.byte(0)))


def _concatenation(operator: Operator) -> tuple[int, Attributes]:
    clamp = clamp_range(operator.output, operator.byte(1))
    return len(operator.inputs), Attributes(axes=(operator.integer(0),), clamp=clamp)


def _pad(operator: Operator) -> tuple[int, Attributes]:
    flat = operator.constant(1, "padding")
    if len(flat) % 2:
        raise BadModel("", f"pads by {flat}", "it needs two numbers a dimension")
    pads = tuple(zip(flat[::2], flat[1::2], strict=True))
    return 1, Attributes(pads=pads, clamp=clamp_range(operator.output, NONE))


def _along(what: str) -> Callable[[Operator], tuple[int, Attributes]]:
    def read(operator: Operator) -> tuple[int, Attributes]:
        axes = tuple(operator.constant(1, what))
        return 1, Attributes(axes=axes, clamp=clamp_range(operator.output, NONE))

    return read


def _transpose_conv(operator: Operator) -> tuple[int, Attributes]:
    """The reader has put the inputs into the order of other convolutions."""
    x, weight, shape = operator.inputs[0], operator.inputs[1].shape, operator.output.shape
    stride = (operator.integer(2), operator.integer(1))
    if len(weight) != 4 or len(shape) != 4 or len(x.shape) != 4 or min(stride) < 1:
        raise BadModel("", f"has a weight of shape {weight}, stride {stride} and gives {shape}")
    padding: Pads = ((0, 0), (0, 0))
    if operator.byte(0) == SAME:
        padding = same_padding(shape, (weight[1], weight[2]), stride, (1, 1))
    return len(operator.inputs), Attributes(
        stride=stride, padding=padding, shape=shape, clamp=clamp_range(operator.output, operator.byte(3))
    )


def _batch_matmul(operator: Operator) -> tuple[int, Attributes]:
    adjoint = (operator.boolean(0), operator.boolean(1))
    return 2, Attributes(adjoint=adjoint, clamp=clamp_range(operator.output, NONE))


def _log_softmax(operator: Operator) -> tuple[int, Attributes]:
    axes = (len(operator.inputs[0].shape) - 1,)
    return 1, Attributes(axes=axes, clamp=clamp_range(operator.output, NONE))


def _mirror_pad(operator: Operator) -> tuple[int, Attributes]:
    used, attributes = _pad(operator)
    return used, replace(attributes, symmetric=bool(operator.byte(0)))


def _block(operator: Operator) -> tuple[int, Attributes]:
    return 1, Attributes(block=operator.integer(0), clamp=clamp_range(operator.output, NONE))


def _other_names(operator: Operator) -> tuple[int, Attributes]:
    raise BadModel("", "is read as the ops it amounts to")


def _arg_max(operator: Operator) -> tuple[int, Attributes]:
    return 1, Attributes(axes=tuple(operator.constant(1, "axis")), clamp=None)


def _reshape(operator: Operator) -> tuple[int, Attributes]:
    output = operator.output
    return 1, Attributes(shape=output.shape, clamp=clamp_range(output, NONE))


def _softmax(operator: Operator) -> tuple[int, Attributes]:
    beta = 0.0 if operator.options is None else operator.options.real(0)
    axes = (len(operator.inputs[0].shape) - 1,)
    return 1, Attributes(beta=beta, axes=axes, clamp=clamp_range(operator.output, NONE))


def _convolution(operator: Operator) -> Attributes:
    depthwise = operator.kind is OpKind.DEPTHWISE_CONV_2D
    activation, dilation_at = (4, 5) if depthwise else (3, 4)
    stride = (operator.integer(2), operator.integer(1))
    dilation = (operator.integer(dilation_at + 1, 1), operator.integer(dilation_at, 1))
    weight = operator.inputs[1].shape if len(operator.inputs) > 1 else ()
    if len(weight) != 4 or min(*stride, *dilation) < 1:
        raise BadModel("", f"has a weight of shape {weight}, stride {stride}, dilation {dilation}")
    return Attributes(
        stride=stride,
        dilation=dilation,
        padding=padding_of(operator, (weight[1], weight[2]), stride, dilation),
        clamp=clamp_range(operator.output, operator.byte(activation)),
    )


def _pool(operator: Operator) -> tuple[int, Attributes]:
    stride = (operator.integer(2), operator.integer(1))
    kernel = (operator.integer(4), operator.integer(3))
    if min(*stride, *kernel) < 1:
        raise BadModel("", f"has stride {stride} and window {kernel}")
    return 1, Attributes(
        stride=stride,
        kernel=kernel,
        padding=padding_of(operator, kernel, stride, (1, 1)),
        clamp=clamp_range(operator.output, operator.byte(5)),
    )


def _resize(operator: Operator) -> tuple[int, Attributes]:
    size = operator.constant(1, "size")
    shape = operator.output.shape
    if len(shape) != 4 or size != list(shape[1:3]):
        raise BadModel("", f"asks for the size {size} and gives shape {shape}")
    first = 2 if operator.kind is OpKind.RESIZE_BILINEAR else 0
    return 1, Attributes(
        shape=shape,
        align_corners=operator.boolean(first),
        half_pixel_centers=operator.boolean(first + 1),
        clamp=clamp_range(operator.output, 0),
    )


READ: OpTable[Callable[[Operator], tuple[int, Attributes]]] = OpTable(
    "TFLite attributes",
    {
        **dict.fromkeys((*CONVOLUTIONS, OpKind.GROUPED_CONV_2D), _windowed),
        OpKind.TRANSPOSE_CONV: _transpose_conv,
        OpKind.BATCH_MATMUL: _batch_matmul,
        OpKind.FULLY_CONNECTED: _fully_connected,
        **dict.fromkeys(BINARY, _binary),
        **dict.fromkeys(PAIRS, _pair),
        **dict.fromkeys(UNARY, _plain),
        OpKind.GELU: _gelu,
        **dict.fromkeys(CLAMPS, _clamp),
        OpKind.LEAKY_RELU: _leaky_relu,
        **dict.fromkeys(POOLS, _pool),
        **dict.fromkeys(RESIZES, _resize),
        OpKind.PAD: _pad,
        **dict.fromkeys(REDUCTIONS, _along("list of axes")),
        OpKind.TRANSPOSE: _along("permutation"),
        **dict.fromkeys((OpKind.STRIDED_SLICE, OpKind.TILE, OpKind.GATHER), _other_names),
        OpKind.REVERSE: _along("list of axes"),
        OpKind.MIRROR_PAD: _mirror_pad,
        **dict.fromkeys((OpKind.DEPTH_TO_SPACE, OpKind.SPACE_TO_DEPTH), _block),
        OpKind.ARG_MAX: _arg_max,
        OpKind.CONCATENATION: _concatenation,
        OpKind.RESHAPE: _reshape,
        OpKind.SOFTMAX: _softmax,
        **dict.fromkeys((OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION), _log_softmax),
        OpKind.QUANTIZE: _plain,
        OpKind.DEQUANTIZE: _plain,
    },
)
