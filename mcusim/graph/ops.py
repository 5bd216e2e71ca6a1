"""The ops of a network, as data. Attribute names and meanings follow TFLite."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class OpKind(StrEnum):
    """What an op computes."""

    CONV_2D = "conv_2d"
    DEPTHWISE_CONV_2D = "depthwise_conv_2d"
    FULLY_CONNECTED = "fully_connected"
    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    PAD = "pad"
    MEAN = "mean"
    AVERAGE_POOL_2D = "average_pool_2d"
    MAX_POOL_2D = "max_pool_2d"
    RESHAPE = "reshape"
    CONCATENATION = "concatenation"
    TRANSPOSE = "transpose"
    QUANTIZE = "quantize"
    DEQUANTIZE = "dequantize"
    RELU = "relu"
    RELU6 = "relu6"
    HARD_SWISH = "hard_swish"
    LOGISTIC = "logistic"
    SOFTMAX = "softmax"
    RESIZE_NEAREST_NEIGHBOR = "resize_nearest_neighbor"
    RESIZE_BILINEAR = "resize_bilinear"
    ARG_MAX = "arg_max"


CONVOLUTIONS = (OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D)
WEIGHTED = (*CONVOLUTIONS, OpKind.FULLY_CONNECTED)

Pads = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right)) in elements; always explicit, SAME is resolved by the importer."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Parameters of an op; each kind reads the ones it has and the rest keep their defaults.

    ``clamp`` is the fused activation as a range of quantised output values, both ends included
    (int8: -128..127 where there is no activation). For float32 ops it is ``None`` or real bounds.
    """

    stride: tuple[int, int] = (1, 1)
    padding: Pads = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    """Window of a pooling op; a convolution's window is its weight's shape."""
    clamp: tuple[float, float] | None = (-128, 127)
    axes: tuple[int, ...] = ()
    """MEAN: reduced axes. CONCATENATION, ARG_MAX, SOFTMAX: one axis. TRANSPOSE: the permutation."""
    pads: tuple[tuple[int, int], ...] = ()
    """PAD: (before, after) for every dimension."""
    shape: tuple[int, ...] = ()
    """RESHAPE, RESIZE_*: the output shape."""
    beta: float = 1.0
    """SOFTMAX."""
    align_corners: bool = False
    half_pixel_centers: bool = False
    unsigned: bool = False
    """The op is one of a uint8 network, shifted to int8: AVERAGE_POOL_2D and RESIZE_BILINEAR round as
    TFLite's uint8 kernels do (of the unsigned values), all other kinds are the same for both."""


@dataclass(frozen=True, slots=True)
class Op:
    """One op over named tensors.

    Inputs are ordered as in TFLite: ``(x, weight, bias)`` for weighted ops (bias may be absent),
    ``(a, b)`` for ADD, SUB, MUL. Every op has one output.
    """

    name: str
    kind: OpKind
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes = field(default_factory=Attributes)

    @property
    def weight(self) -> str | None:
        """Name of the weight tensor of a weighted op."""
        return self.inputs[1] if self.kind in WEIGHTED else None

    @property
    def bias(self) -> str | None:
        """Name of the bias tensor, if there is one."""
        return self.inputs[2] if self.kind in WEIGHTED and len(self.inputs) > 2 else None
