"""Data sets, and the way from a picture to a network's input."""

from mcusim.data.arrays import from_arrays, load_arrays
from mcusim.data.augment import Augmentation
from mcusim.data.cifar10 import cifar10
from mcusim.data.corruptions import corrupted
from mcusim.data.dataset import Dataset, Split
from mcusim.data.front_end import FrontEnd
from mcusim.data.image_folder import image_folder
from mcusim.data.named import DATASETS, open_data
from mcusim.data.preprocess import Preprocessor
from mcusim.data.sounds import sounds
from mcusim.data.splits import class_incremental, distribution_shift, shifted
from mcusim.data.streams import by_class, by_domain, by_group
from mcusim.data.synthetic import synthetic
from mcusim.data.tables import from_frame, from_torch, load_table
from mcusim.data.validation import with_validation

__all__ = [
    "DATASETS",
    "Augmentation",
    "Dataset",
    "FrontEnd",
    "Preprocessor",
    "Split",
    "by_class",
    "by_domain",
    "by_group",
    "cifar10",
    "class_incremental",
    "corrupted",
    "distribution_shift",
    "from_arrays",
    "from_frame",
    "from_torch",
    "image_folder",
    "load_arrays",
    "load_table",
    "open_data",
    "shifted",
    "sounds",
    "synthetic",
    "with_validation",
]


def __dir__() -> list[str]:
    return sorted(__all__)
