"""Floor 1: the network as data."""

from mcusim.graph.kinds import OpKind
from mcusim.graph.model import Arithmetic, Model, Preprocessing
from mcusim.graph.ops import Attributes, Op, Pads
from mcusim.graph.states import StreamState
from mcusim.graph.table import OpTable
from mcusim.graph.tensor import DTYPES, LIMITS, QUANTISED, Quant, Tensor
from mcusim.graph.traits import CONVOLUTIONS, TRAITS, WEIGHTED

__all__ = [
    "CONVOLUTIONS",
    "DTYPES",
    "LIMITS",
    "QUANTISED",
    "TRAITS",
    "WEIGHTED",
    "Arithmetic",
    "Attributes",
    "Model",
    "Op",
    "OpKind",
    "OpTable",
    "Pads",
    "Preprocessing",
    "Quant",
    "StreamState",
    "Tensor",
]
