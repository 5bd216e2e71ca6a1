"""The ops of a network, as data. Attribute names and meanings follow TFLite."""

from __future__ import annotations

from dataclasses import dataclass, field

from mcusim.graph.curves import CurveName
from mcusim.graph.kinds import OpKind
from mcusim.graph.traits import TRAITS, Traits

Pads = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right)) in elements; always explicit, SAME is resolved by the importer."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Parameters of an op; each kind reads the ones it has and the rest keep their defaults.

    ``clamp`` is the fused activation as a range of quantised output values, both ends included
    (int8: -128..127 where there is no activation, int16: -32768..32767). For float32 ops it is ``None`` or
    real bounds.
    """

    stride: tuple[int, int] = (1, 1)
    padding: Pads = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    """Window of a pooling op; a convolution's window is its weight's shape."""
    clamp: tuple[float, float] | None = (-128, 127)
    axes: tuple[int, ...] = ()
    """MEAN, SUM, REDUCE_*: reduced axes. CONCATENATION, ARG_MAX, SOFTMAX, GATHER: one. TRANSPOSE: all.
    STRIDED_SLICE: those it cuts, not negative. REVERSE: those it turns round."""
    pads: tuple[tuple[int, int], ...] = ()
    """PAD, MIRROR_PAD: (before, after) for every dimension."""
    fill: float | None = None
    """PAD: the stored number that it pads with; ``None`` is the one that stands for 0."""
    symmetric: bool = False
    """MIRROR_PAD: the edge itself is mirrored too."""
    shape: tuple[int, ...] = ()
    """RESHAPE, RESIZE_*, TRANSPOSE_CONV: the output shape. STRIDED_SLICE: how many it keeps an axis."""
    begin: tuple[int, ...] = ()
    step: tuple[int, ...] = ()
    """STRIDED_SLICE: the first that is kept along each of ``axes``, and how far the next one is."""
    repeats: tuple[int, ...] = ()
    """TILE: how often, along every dimension."""
    indices: tuple[int, ...] = ()
    """GATHER: which are taken along its axis."""
    adjoint: tuple[bool, bool] = (False, False)
    """BATCH_MATMUL: the last two dimensions of an input are read the other way round."""
    block: int = 1
    """DEPTH_TO_SPACE, SPACE_TO_DEPTH: the side of the square of pixels that share a place."""
    beta: float = 1.0
    """SOFTMAX; of a CURVE."""
    alpha: float = 0.0
    """LEAKY_RELU: the slope below zero. Of a CURVE."""
    curve: CurveName | None = None
    """CURVE: which function, of ``alpha`` and ``beta``."""
    approximate: bool = False
    """GELU: by a hyperbolic tangent instead of the error function."""
    part: tuple[tuple[int, int, int, int], ...] = ()
    """RESIZE_* of a patch, for rows and columns: the size and the new size of the whole image, and the first
    of each that belongs to the patch. Empty: the whole image."""
    align_corners: bool = False
    half_pixel_centers: bool = False
    unsigned: bool = False
    """The op is one of a uint8 network, shifted to int8: AVERAGE_POOL_2D and RESIZE_BILINEAR round as
    TFLite's uint8 kernels do (of the unsigned values), all other kinds are the same for both."""


@dataclass(frozen=True, slots=True)
class Op:
    """One op over named tensors.

    Inputs are ordered as in TFLite: ``(x, weight, bias)`` for weighted ops (bias may be absent),
    ``(a, b)`` for ops on two tensors (PRELU: the slopes below zero second). Every op has one output.
    """

    name: str
    kind: OpKind
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes = field(default_factory=Attributes)

    @property
    def traits(self) -> Traits:
        """What is true of all ops of this kind."""
        return TRAITS[self.kind]

    @property
    def weight(self) -> str | None:
        """Name of the weight tensor of a weighted op."""
        return self.inputs[1] if self.traits.weighted else None

    @property
    def bias(self) -> str | None:
        """Name of the bias tensor, if there is one."""
        return self.inputs[2] if self.traits.weighted and len(self.inputs) > 2 else None
