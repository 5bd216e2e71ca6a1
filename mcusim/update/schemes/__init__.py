"""The update schemes of this package, one file each; ``mcusim.update.scheme.SCHEMES`` names them."""

from mcusim.update.schemes.adapters import Adapters
from mcusim.update.schemes.bias import Bias
from mcusim.update.schemes.dense import Dense
from mcusim.update.schemes.dynamic import Dynamic
from mcusim.update.schemes.head import Head
from mcusim.update.schemes.last import Last
from mcusim.update.schemes.medyate import MeDyate
from mcusim.update.schemes.none import NoUpdate
from mcusim.update.schemes.static import Static
from mcusim.update.schemes.tinyprop import TinyProp
from mcusim.update.schemes.tinytrain import TinyTrain
from mcusim.update.schemes.trady import TraDy

__all__ = [
    "Adapters",
    "Bias",
    "Dense",
    "Dynamic",
    "Head",
    "Last",
    "MeDyate",
    "NoUpdate",
    "Static",
    "TinyProp",
    "TinyTrain",
    "TraDy",
]  # fmt: skip
