"""Data sets, and the way from a picture to a network's input."""

from mcusim.data.cifar10 import cifar10
from mcusim.data.dataset import Dataset, Split
from mcusim.data.synthetic import synthetic

__all__ = ["Dataset", "Split", "cifar10", "synthetic"]
