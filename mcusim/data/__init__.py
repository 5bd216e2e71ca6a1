"""Data sets, and the way from a picture to a network's input."""

from mcusim.data.arrays import from_arrays, load_arrays
from mcusim.data.augment import Augmentation
from mcusim.data.cifar10 import cifar10
from mcusim.data.dataset import Dataset, Split
from mcusim.data.image_folder import image_folder
from mcusim.data.named import DATASETS, open_data
from mcusim.data.preprocess import Preprocessor
from mcusim.data.splits import class_incremental, distribution_shift, shifted
from mcusim.data.synthetic import synthetic

__all__ = [
    "DATASETS",
    "Augmentation",
    "Dataset",
    "Preprocessor",
    "Split",
    "cifar10",
    "class_incremental",
    "distribution_shift",
    "from_arrays",
    "image_folder",
    "load_arrays",
    "open_data",
    "shifted",
    "synthetic",
]


def __dir__() -> list[str]:
    return sorted(__all__)
