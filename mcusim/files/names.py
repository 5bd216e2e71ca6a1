"""What file formats call each kind of op. A unary op is read and written by its names alone."""

from __future__ import annotations

from typing import NamedTuple

from mcusim.graph import OpKind, Table


class Tflite(NamedTuple):
    """An operator in TFLite's schema."""

    code: int
    """Its number among the builtin operators."""
    version: int
    """The version in which it takes int8."""
    options: int
    """The number of its options in the union ``BuiltinOptions``; 0 if it has none."""


class Names(NamedTuple):
    """Names of one kind of op; of ONNX and PyTorch all that are, or can become, this kind."""

    tflite: Tflite
    onnx: tuple[str, ...]
    torch: tuple[str, ...]


NAMES: Table[Names] = Table(
    "names in files",
    {
        OpKind.CONV_2D: Names(Tflite(3, 3, 1), ("Conv",), ("conv2d",)),
        OpKind.DEPTHWISE_CONV_2D: Names(Tflite(4, 3, 2), ("Conv",), ("conv2d",)),
        OpKind.FULLY_CONNECTED: Names(Tflite(9, 5, 8), ("Gemm", "MatMul"), ("linear",)),
        OpKind.ADD: Names(Tflite(0, 2, 11), ("Add",), ("add", "add_")),
        OpKind.SUB: Names(Tflite(41, 2, 28), ("Sub",), ("sub",)),
        OpKind.MUL: Names(Tflite(18, 2, 21), ("Mul",), ("mul", "mul_")),
        OpKind.PAD: Names(Tflite(34, 2, 22), ("Pad",), ("pad", "constant_pad_nd")),
        OpKind.MEAN: Names(Tflite(40, 2, 27), ("GlobalAveragePool", "ReduceMean"), ("mean.dim",)),
        OpKind.AVERAGE_POOL_2D: Names(Tflite(1, 2, 5), ("AveragePool",), ("avg_pool2d",)),
        OpKind.MAX_POOL_2D: Names(Tflite(17, 2, 5), ("MaxPool",), ("max_pool2d",)),
        OpKind.RESHAPE: Names(Tflite(22, 1, 17), ("Reshape", "Flatten"), ("reshape", "view", "flatten")),
        OpKind.CONCATENATION: Names(Tflite(2, 2, 10), ("Concat",), ("cat",)),
        OpKind.TRANSPOSE: Names(Tflite(39, 2, 26), ("Transpose",), ("permute",)),
        OpKind.QUANTIZE: Names(Tflite(114, 1, 92), ("QuantizeLinear",), ()),
        OpKind.DEQUANTIZE: Names(Tflite(6, 2, 46), ("DequantizeLinear",), ()),
        OpKind.RELU: Names(Tflite(19, 2, 0), ("Relu",), ("relu", "relu_")),
        OpKind.RELU6: Names(Tflite(21, 2, 0), ("Clip",), ("relu6",)),
        OpKind.LEAKY_RELU: Names(Tflite(98, 2, 75), ("LeakyRelu",), ("leaky_relu", "leaky_relu_")),
        OpKind.HARD_SWISH: Names(Tflite(117, 1, 91), ("HardSwish",), ("hardswish", "hardswish_")),
        OpKind.LOGISTIC: Names(Tflite(14, 2, 0), ("Sigmoid",), ("sigmoid",)),
        OpKind.TANH: Names(Tflite(28, 2, 0), ("Tanh",), ("tanh",)),
        OpKind.SOFTMAX: Names(Tflite(25, 2, 9), ("Softmax",), ("softmax",)),
        OpKind.RESIZE_NEAREST_NEIGHBOR: Names(Tflite(97, 3, 74), ("Resize",), ("upsample_nearest2d",)),
        OpKind.RESIZE_BILINEAR: Names(Tflite(23, 3, 15), ("Resize",), ("upsample_bilinear2d",)),
        OpKind.ARG_MAX: Names(Tflite(56, 2, 40), ("ArgMax",), ()),
    },
)
