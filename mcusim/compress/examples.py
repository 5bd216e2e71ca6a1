"""Real inputs that a network is calibrated or refitted with, from arrays or from a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.data.dataset import Dataset, Split
from mcusim.data.preprocess import Preprocessor
from mcusim.graph import Model

Examples = NDArray[Any] | Dataset | Split
"""Prepared inputs, ``[N, ...]`` real values (NHWC), or a data set whose training examples are drawn from."""


def real_inputs(model: Model, examples: Examples, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return inputs of a float network; arrays are taken whole, of a data set ``count`` examples are drawn.

    Raises:
        BadData: if the examples cannot become this network's input.
    """
    if isinstance(examples, Dataset):
        examples = examples.train
    if isinstance(examples, Split):
        prepare = Preprocessor(model, examples.image_shape, examples.images.dtype.name)
        examples = prepare(examples.sample(count, seed).images)
    return np.ascontiguousarray(examples, np.float32)
