"""What file formats call each kind of op. A unary op is read and written by its names alone."""

from __future__ import annotations

from typing import NamedTuple

from mcusim.graph import OpKind, OpTable


class Tflite(NamedTuple):
    """An operator in TFLite's schema."""

    code: int
    """Its number among the builtin operators."""
    version: int
    """The version in which it takes int8."""
    options: int
    """The number of its options in the union ``BuiltinOptions``; 0 if it has none."""


class FileNames(NamedTuple):
    """Names of one kind of op; of ONNX and PyTorch all that are, or can become, this kind."""

    tflite: Tflite | None
    """None where TFLite has no such operator."""
    onnx: tuple[str, ...]
    torch: tuple[str, ...]


_CURVES_OF_ONNX = (
    "Erf", "Softplus", "Softsign", "Mish", "Selu", "Celu", "Elu", "ThresholdedRelu", "Shrink", "Sin", "Cos",
)  # fmt: skip
_CURVES_OF_TORCH = (
    "erf", "softplus", "mish", "mish_", "selu", "selu_", "celu", "celu_", "elu", "elu_",
    "log_sigmoid", "threshold", "hardshrink", "softshrink", "sin", "cos",
)  # fmt: skip
NAMES: OpTable[FileNames] = OpTable(
    "names in files",
    {
        OpKind.CONV_2D: FileNames(Tflite(3, 3, 1), ("Conv",), ("conv2d",)),
        OpKind.DEPTHWISE_CONV_2D: FileNames(Tflite(4, 3, 2), ("Conv",), ("conv2d",)),
        OpKind.FULLY_CONNECTED: FileNames(Tflite(9, 5, 8), ("Gemm", "MatMul"), ("linear",)),
        OpKind.GROUPED_CONV_2D: FileNames(Tflite(3, 3, 1), ("Conv",), ("conv2d",)),
        OpKind.TRANSPOSE_CONV: FileNames(Tflite(67, 3, 49), ("ConvTranspose",), ("conv_transpose2d",)),
        OpKind.BATCH_MATMUL: FileNames(Tflite(126, 2, 101), ("MatMul",), ("matmul", "bmm")),
        OpKind.ADD: FileNames(Tflite(0, 2, 11), ("Add",), ("add", "add_")),
        OpKind.SUB: FileNames(Tflite(41, 2, 28), ("Sub",), ("sub",)),
        OpKind.MUL: FileNames(Tflite(18, 2, 21), ("Mul",), ("mul", "mul_")),
        OpKind.DIV: FileNames(Tflite(42, 2, 29), ("Div",), ("div",)),
        OpKind.MINIMUM: FileNames(Tflite(57, 2, 39), ("Min",), ("minimum",)),
        OpKind.MAXIMUM: FileNames(Tflite(55, 2, 39), ("Max",), ("maximum",)),
        OpKind.SQUARED_DIFFERENCE: FileNames(Tflite(99, 2, 76), (), ()),
        OpKind.PRELU: FileNames(Tflite(54, 1, 0), ("PRelu",), ("prelu", "_prelu_kernel")),
        OpKind.PAD: FileNames(Tflite(34, 2, 22), ("Pad",), ("pad", "constant_pad_nd")),
        OpKind.MEAN: FileNames(Tflite(40, 2, 27), ("GlobalAveragePool", "ReduceMean"), ("mean.dim",)),
        OpKind.SUM: FileNames(Tflite(74, 2, 27), ("ReduceSum",), ("sum.dim_IntList",)),
        OpKind.REDUCE_MAX: FileNames(Tflite(82, 2, 27), ("ReduceMax", "GlobalMaxPool"), ("amax",)),
        OpKind.REDUCE_MIN: FileNames(Tflite(89, 2, 27), ("ReduceMin",), ("amin",)),
        OpKind.AVERAGE_POOL_2D: FileNames(Tflite(1, 2, 5), ("AveragePool",), ("avg_pool2d",)),
        OpKind.MAX_POOL_2D: FileNames(Tflite(17, 2, 5), ("MaxPool",), ("max_pool2d",)),
        OpKind.RESHAPE: FileNames(Tflite(22, 1, 17), ("Reshape", "Flatten"), ("reshape", "view", "flatten")),
        OpKind.CONCATENATION: FileNames(Tflite(2, 2, 10), ("Concat",), ("cat",)),
        OpKind.TRANSPOSE: FileNames(Tflite(39, 2, 26), ("Transpose",), ("permute",)),
        OpKind.STRIDED_SLICE: FileNames(Tflite(45, 2, 32), ("Slice", "Split"), ("slice", "split", "select")),
        OpKind.TILE: FileNames(Tflite(69, 2, 51), ("Tile", "Expand"), ("repeat", "expand")),
        OpKind.GATHER: FileNames(Tflite(36, 2, 23), ("Gather",), ("index_select",)),
        OpKind.REVERSE: FileNames(Tflite(105, 3, 81), (), ("flip",)),
        OpKind.MIRROR_PAD: FileNames(Tflite(100, 2, 77), ("Pad",), ("pad",)),
        OpKind.DEPTH_TO_SPACE: FileNames(Tflite(5, 1, 94), ("DepthToSpace",), ("pixel_shuffle",)),
        OpKind.SPACE_TO_DEPTH: FileNames(Tflite(26, 2, 19), ("SpaceToDepth",), ("pixel_unshuffle",)),
        OpKind.QUANTIZE: FileNames(Tflite(114, 1, 92), ("QuantizeLinear",), ()),
        OpKind.DEQUANTIZE: FileNames(Tflite(6, 2, 46), ("DequantizeLinear",), ()),
        OpKind.RELU: FileNames(Tflite(19, 2, 0), ("Relu",), ("relu", "relu_")),
        OpKind.RELU6: FileNames(Tflite(21, 2, 0), ("Clip",), ("relu6",)),
        OpKind.RELU_N1_TO_1: FileNames(Tflite(20, 1, 0), ("Clip",), ("hardtanh",)),
        OpKind.RELU_0_TO_1: FileNames(Tflite(152, 1, 0), ("Clip",), ("clamp",)),
        OpKind.LEAKY_RELU: FileNames(Tflite(98, 2, 75), ("LeakyRelu",), ("leaky_relu", "leaky_relu_")),
        OpKind.HARD_SWISH: FileNames(Tflite(117, 1, 91), ("HardSwish",), ("hardswish", "hardswish_")),
        OpKind.LOGISTIC: FileNames(Tflite(14, 2, 0), ("Sigmoid",), ("sigmoid",)),
        OpKind.TANH: FileNames(Tflite(28, 2, 0), ("Tanh",), ("tanh",)),
        OpKind.ELU: FileNames(Tflite(111, 1, 0), ("Elu",), ("elu", "elu_")),
        OpKind.GELU: FileNames(Tflite(150, 2, 116), ("Gelu",), ("gelu",)),
        OpKind.ABS: FileNames(Tflite(101, 2, 78), ("Abs",), ("abs",)),
        OpKind.SQRT: FileNames(Tflite(75, 2, 0), ("Sqrt",), ("sqrt",)),
        OpKind.RSQRT: FileNames(Tflite(76, 2, 0), (), ("rsqrt",)),
        OpKind.EXP: FileNames(Tflite(47, 2, 33), ("Exp",), ("exp",)),
        OpKind.LOG: FileNames(Tflite(73, 2, 0), ("Log",), ("log",)),
        OpKind.CURVE: FileNames(None, _CURVES_OF_ONNX, _CURVES_OF_TORCH),
        OpKind.SOFTMAX: FileNames(Tflite(25, 2, 9), ("Softmax",), ("softmax",)),
        OpKind.LOG_SOFTMAX: FileNames(Tflite(50, 2, 36), ("LogSoftmax",), ("log_softmax",)),
        OpKind.L2_NORMALIZATION: FileNames(Tflite(11, 2, 12), ("LpNormalization",), ()),
        OpKind.RESIZE_NEAREST_NEIGHBOR: FileNames(Tflite(97, 3, 74), ("Resize",), ("upsample_nearest2d",)),
        OpKind.RESIZE_BILINEAR: FileNames(Tflite(23, 3, 15), ("Resize",), ("upsample_bilinear2d",)),
        OpKind.ARG_MAX: FileNames(Tflite(56, 2, 40), ("ArgMax",), ()),
    },
)
