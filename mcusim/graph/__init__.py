"""Floor 1: the network as data."""

from mcusim.graph.model import Arithmetic, Model, Preprocessing
from mcusim.graph.ops import CONVOLUTIONS, WEIGHTED, Attributes, Op, OpKind, Pads
from mcusim.graph.tensor import DTYPES, Quant, Tensor

__all__ = [
    "CONVOLUTIONS",
    "DTYPES",
    "WEIGHTED",
    "Arithmetic",
    "Attributes",
    "Model",
    "Op",
    "OpKind",
    "Pads",
    "Preprocessing",
    "Quant",
    "Tensor",
]
