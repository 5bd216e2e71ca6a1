"""The update schemes of this package, one file each; importing this registers them."""

from mcusim.update.schemes.bias import Bias
from mcusim.update.schemes.dense import Dense
from mcusim.update.schemes.dynamic import Dynamic
from mcusim.update.schemes.head import Head
from mcusim.update.schemes.last import Last
from mcusim.update.schemes.static import Static

__all__ = ["Bias", "Dense", "Dynamic", "Head", "Last", "Static"]
