"""What is true of each kind of op, one row a kind; every set over kinds is taken from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Literal

from mcusim.graph.kinds import OpKind
from mcusim.graph.table import OpTable
from mcusim.graph.tensor import Quant


class Family(StrEnum):
    """Kinds that are alike in their inputs and in how their output follows from them."""

    CONVOLUTION = "convolution"
    """A window of weights slides over the image."""
    DENSE = "dense"
    """Weights once, no window."""
    FILTER = "filter"
    """A window of weights over groups of channels, or from each input to many outputs."""
    PRODUCT = "product"
    """Matrices of two inputs, multiplied."""
    BINARY = "binary"
    """Two inputs, element by element; the smaller one is broadcast."""
    PAIR = "pair"
    """The same without a fused activation."""
    UNARY = "unary"
    """One input, element by element; a table of 256 entries for int8."""
    POOL = "pool"
    """A window without weights slides over the image."""
    REDUCTION = "reduction"
    """Dimensions become one value."""
    NORMALISATION = "normalisation"
    """Every output depends on all inputs of its row."""
    CONVERSION = "conversion"
    """The same reals in another element type or with another scale."""
    VIEW = "view"
    """The same bytes under another shape: nothing moves."""
    MOVE = "move"
    """Elements change places only."""
    JOIN = "join"
    """Any number of inputs, side by side."""
    RESIZE = "resize"
    """The image on another grid."""


InPlace = Literal["never", "forward", "always"]
Reads = tuple[Literal["inputs", "output"], ...]
Scale = Literal["own", "input", "any", "none"] | Quant
Channels = Literal["mixed", "kept", "tied"]
Patch = Literal["no", "pixel", "window", "grid"]


@dataclass(frozen=True, slots=True)
class Traits:
    """A row. What has no default is decided for each kind: a wrong one gives wrong numbers, not an error."""

    family: Family
    loops: str
    """Loop nest a kernel library has for it, by which cycle profiles know it."""
    in_place: InPlace
    """``forward``: the output may overwrite an input that nobody needs any more; ``always``: and the input's
    gradient may overwrite the output's, element for element."""
    reads: Reads
    """Activations that the backward pass reads again, weighted ops aside: those save their input."""
    masked: bool
    """Gradient passes only where the clamp did not act: a mask of one bit an element is kept."""
    shaping: bool
    """It belongs to the block of the weighted op it follows, see ``mcusim.update.blocks``."""
    channels: Channels
    """Its output's channels: ``mixed`` from all of the input's, ``kept`` one to one, or ``tied`` in another
    way, which pruning does not follow."""
    scale: Scale
    """Scale of an int8 output: its ``own``, that of the ``input``, ``any`` (also the input's, and the op
    never looks at it), ``none`` where the output is no real number, or the one that TFLite fixes."""
    patch: Patch
    """How a spatial patch of its output follows from a patch of its input; ``grid``: as on another grid."""
    closing: bool
    """It may stand between the classifier and the network's output."""
    activation: tuple[float, float] | None = None
    """The range of reals it clamps to, if that is all it does."""
    unsigned: bool = False
    """TFLite rounds uint8 differently from int8."""

    @property
    def weighted(self) -> bool:
        """True if its second input is a weight, and its third, if there is one, a bias; both can learn."""
        return self.family in (Family.CONVOLUTION, Family.DENSE, Family.FILTER)

    @property
    def channel_axis(self) -> int:
        """Axis of a weight along which the output's channels lie: the last of (1, kh, kw, C_out), else the first."""
        return 3 if self.family is Family.CONVOLUTION and self.channels == "kept" else 0

    @property
    def fuses(self) -> bool:
        """True if TFLite can clamp its output as a part of it (a fused activation)."""
        return self.weighted or self.family in (Family.BINARY, Family.POOL)

    @property
    def inputs(self) -> tuple[int, int]:
        """Fewest and most inputs."""
        if self.weighted:
            return (2, 3)
        if self.family in (Family.BINARY, Family.PAIR, Family.PRODUCT):
            return (2, 2)
        return (1, 1024) if self.family is Family.JOIN else (1, 1)


_CONV, _DENSE, _BINARY, _PAIR, _UNARY, _POOL = (
    Family.CONVOLUTION, Family.DENSE, Family.BINARY, Family.PAIR, Family.UNARY, Family.POOL,
)  # fmt: skip
_FILTER, _PRODUCT = Family.FILTER, Family.PRODUCT
_REDUCE, _NORM, _CONVERT, _VIEW, _MOVE, _JOIN, _RESIZE = (
    Family.REDUCTION, Family.NORMALISATION, Family.CONVERSION, Family.VIEW, Family.MOVE, Family.JOIN,
    Family.RESIZE,
)  # fmt: skip
_UNIT = Quant.of(1 / 256, -128)
"""[0, 1) in 256 steps."""
_SIGNED = Quant.of(1 / 128, 0)
"""[-1, 1) in 256 steps."""
_LOGS = Quant.of(16 / 256, 127)
"""(-16, 0] in 256 steps."""
_YES, _NO = True, False  # of one width, so that columns line up
_X: Reads = ("inputs",)
_Y: Reads = ("output",)
_XY: Reads = ("inputs", "output")

TRAITS: OpTable[Traits] = OpTable("traits", {
    # kind                           family    loops              in_place   reads masked shaping channels scale    patch     closing
    OpKind.CONV_2D:           Traits(_CONV,    "conv",            "never",   (),   _YES,  _NO,  "mixed", "own",   "window", _NO),
    OpKind.DEPTHWISE_CONV_2D: Traits(_CONV,    "depthwise",       "forward", (),   _YES,  _NO,  "kept",  "own",   "window", _NO),
    OpKind.FULLY_CONNECTED:   Traits(_DENSE,   "fully_connected", "never",   (),   _YES,  _NO,  "mixed", "own",   "no",     _NO),
    OpKind.GROUPED_CONV_2D:   Traits(_FILTER,  "conv",            "never",   (),   _YES,  _NO,  "tied",  "own",   "no",     _NO),
    OpKind.TRANSPOSE_CONV:    Traits(_FILTER,  "conv",            "never",   (),   _YES,  _NO,  "tied",  "own",   "no",     _NO),
    OpKind.BATCH_MATMUL:      Traits(_PRODUCT, "fully_connected", "never",   _X,   _YES,  _NO,  "tied",  "own",   "no",     _NO),
    OpKind.ADD:               Traits(_BINARY,  "add",             "always",  (),   _YES,  _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.SUB:               Traits(_BINARY,  "add",             "always",  (),   _YES,  _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.MUL:               Traits(_BINARY,  "elementwise",     "forward", _X,   _YES,  _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.DIV:               Traits(_BINARY,  "elementwise",     "forward", _X,   _YES,  _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.MINIMUM:           Traits(_PAIR,    "elementwise",     "forward", _X,   _NO,   _NO,  "kept",  "input", "pixel",  _NO),
    OpKind.MAXIMUM:           Traits(_PAIR,    "elementwise",     "forward", _X,   _NO,   _NO,  "kept",  "input", "pixel",  _NO),
    OpKind.SQUARED_DIFFERENCE: Traits(_PAIR,   "elementwise",     "forward", _X,   _YES,  _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.PRELU:             Traits(_PAIR,    "elementwise",     "forward", _X,   _NO,   _YES, "kept",  "own",   "pixel",  _NO),
    OpKind.PAD:               Traits(_MOVE,    "copy",            "never",   (),   _NO,   _YES, "kept",  "input", "no",     _NO),
    OpKind.MEAN:              Traits(_REDUCE,  "pool",            "never",   (),   _NO,   _NO,  "kept",  "own",   "no",     _NO),
    OpKind.SUM:               Traits(_REDUCE,  "pool",            "never",   (),   _NO,   _NO,  "tied",  "own",   "no",     _NO),
    OpKind.REDUCE_MAX:        Traits(_REDUCE,  "pool",            "never",   _X,   _NO,   _NO,  "tied",  "input", "no",     _NO),
    OpKind.REDUCE_MIN:        Traits(_REDUCE,  "pool",            "never",   _X,   _NO,   _NO,  "tied",  "input", "no",     _NO),
    OpKind.AVERAGE_POOL_2D:   Traits(_POOL,    "pool",            "never",   (),   _YES,  _NO,  "kept",  "input", "no",     _NO, unsigned=True),
    OpKind.MAX_POOL_2D:       Traits(_POOL,    "pool",            "never",   _XY,  _NO,   _NO,  "kept",  "input", "window", _NO),
    OpKind.RESHAPE:           Traits(_VIEW,    "reshape",         "always",  (),   _NO,   _NO,  "tied",  "any",   "no",     _YES),
    OpKind.CONCATENATION:     Traits(_JOIN,    "copy",            "never",   (),   _NO,   _NO,  "tied",  "own",   "no",     _NO),
    OpKind.TRANSPOSE:         Traits(_MOVE,    "copy",            "never",   (),   _NO,   _NO,  "tied",  "any",   "no",     _NO),
    OpKind.STRIDED_SLICE:     Traits(_MOVE,    "copy",            "never",   (),   _NO,   _NO,  "tied",  "any",   "no",     _NO),
    OpKind.TILE:              Traits(_MOVE,    "copy",            "never",   (),   _NO,   _NO,  "tied",  "any",   "no",     _NO),
    OpKind.GATHER:            Traits(_MOVE,    "copy",            "never",   (),   _NO,   _NO,  "tied",  "any",   "no",     _NO),
    OpKind.REVERSE:           Traits(_MOVE,    "copy",            "never",   (),   _NO,   _NO,  "tied",  "any",   "no",     _NO),
    OpKind.MIRROR_PAD:        Traits(_MOVE,    "copy",            "never",   (),   _NO,   _YES, "tied",  "any",   "no",     _NO),
    OpKind.DEPTH_TO_SPACE:    Traits(_MOVE,    "copy",            "never",   (),   _NO,   _NO,  "tied",  "any",   "no",     _NO),
    OpKind.SPACE_TO_DEPTH:    Traits(_MOVE,    "copy",            "never",   (),   _NO,   _NO,  "tied",  "any",   "no",     _NO),
    OpKind.QUANTIZE:          Traits(_CONVERT, "elementwise",     "always",  (),   _NO,   _YES, "tied",  "own",   "no",     _YES),
    OpKind.DEQUANTIZE:        Traits(_CONVERT, "elementwise",     "never",   (),   _NO,   _NO,  "tied",  "own",   "no",     _YES),
    OpKind.RELU:              Traits(_UNARY,   "elementwise",     "always",  (),   _YES,  _YES, "kept",  "own",   "pixel",  _YES, (0.0, inf)),
    OpKind.RELU6:             Traits(_UNARY,   "elementwise",     "always",  (),   _YES,  _YES, "kept",  "own",   "pixel",  _YES, (0.0, 6.0)),
    OpKind.RELU_N1_TO_1:      Traits(_UNARY,   "elementwise",     "always",  (),   _YES,  _YES, "kept",  "own",   "pixel",  _YES, (-1.0, 1.0)),
    OpKind.RELU_0_TO_1:       Traits(_UNARY,   "elementwise",     "always",  (),   _YES,  _YES, "kept",  "own",   "pixel",  _YES, (0.0, 1.0)),
    OpKind.LEAKY_RELU:        Traits(_UNARY,   "elementwise",     "forward", _X,   _NO,   _YES, "kept",  "own",   "pixel",  _YES),
    OpKind.HARD_SWISH:        Traits(_UNARY,   "elementwise",     "forward", _X,   _NO,   _YES, "kept",  "own",   "pixel",  _NO),
    OpKind.LOGISTIC:          Traits(_UNARY,   "elementwise",     "forward", _Y,   _NO,   _NO,  "kept",  _UNIT,   "pixel",  _YES),
    OpKind.TANH:              Traits(_UNARY,   "elementwise",     "forward", _Y,   _NO,   _YES, "kept",  _SIGNED, "pixel",  _YES),
    OpKind.ELU:               Traits(_UNARY,   "elementwise",     "forward", _X,   _NO,   _YES, "kept",  "own",   "pixel",  _NO),
    OpKind.GELU:              Traits(_UNARY,   "elementwise",     "forward", _X,   _NO,   _YES, "kept",  "own",   "pixel",  _NO),
    OpKind.ABS:               Traits(_UNARY,   "elementwise",     "forward", _X,   _NO,   _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.SQRT:              Traits(_UNARY,   "elementwise",     "forward", _Y,   _NO,   _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.RSQRT:             Traits(_UNARY,   "elementwise",     "forward", _Y,   _NO,   _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.EXP:               Traits(_UNARY,   "elementwise",     "forward", _Y,   _NO,   _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.LOG:               Traits(_UNARY,   "elementwise",     "forward", _X,   _NO,   _NO,  "kept",  "own",   "pixel",  _NO),
    OpKind.CURVE:             Traits(_UNARY,   "elementwise",     "forward", _X,   _NO,   _YES, "kept",  "own",   "pixel",  _NO),
    OpKind.SOFTMAX:           Traits(_NORM,    "softmax",         "never",   _Y,   _NO,   _NO,  "tied",  _UNIT,   "no",     _YES),
    OpKind.LOG_SOFTMAX:       Traits(_NORM,    "softmax",         "never",   _Y,   _NO,   _NO,  "tied",  _LOGS,   "no",     _YES),
    OpKind.L2_NORMALIZATION:  Traits(_NORM,    "softmax",         "never",   _X,   _NO,   _NO,  "tied",  _SIGNED, "no",     _YES),
    OpKind.RESIZE_NEAREST_NEIGHBOR: Traits(_RESIZE, "copy",       "never",   (),   _NO,   _NO,  "tied",  "input", "grid",     _NO),
    OpKind.RESIZE_BILINEAR:   Traits(_RESIZE,  "elementwise",     "never",   (),   _NO,   _NO,  "tied",  "input", "grid",     _NO, unsigned=True),
    OpKind.ARG_MAX:           Traits(_REDUCE,  "elementwise",     "never",   (),   _NO,   _NO,  "tied",  "none",  "no",     _YES),
})  # fmt: skip


def kinds(true: Callable[[Traits], object]) -> tuple[OpKind, ...]:
    """Return the kinds of whose traits ``true`` holds, in the order of the enumeration."""
    return tuple(kind for kind, traits in TRAITS.items() if true(traits))


CONVOLUTIONS = kinds(lambda t: t.family is Family.CONVOLUTION)
WEIGHTED = kinds(lambda t: t.weighted)
FILTERS = kinds(lambda t: t.family is Family.FILTER)
PRODUCTS = kinds(lambda t: t.family is Family.PRODUCT)
BINARY = kinds(lambda t: t.family is Family.BINARY)
PAIRS = kinds(lambda t: t.family is Family.PAIR)
UNARY = kinds(lambda t: t.family is Family.UNARY)
MOVES = kinds(lambda t: t.family is Family.MOVE)
POOLS = kinds(lambda t: t.family is Family.POOL)
RESIZES = kinds(lambda t: t.family is Family.RESIZE)
REDUCTIONS = kinds(lambda t: t.family is Family.REDUCTION and t.scale != "none")
CLAMPS = kinds(lambda t: t.activation)
"""Ops that do nothing but clamp."""
