"""Real inputs that a network is calibrated or refitted with, from arrays or from a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.fields import joined, renamed
from mcusim.data.arrays import Examples as Arrays
from mcusim.data.arrays import parts_of
from mcusim.data.dataset import Dataset, Split
from mcusim.data.inputs import Inputs
from mcusim.graph import Model

Examples = Arrays | Dataset | Split
"""Prepared inputs, ``[N, ...]`` real values (NHWC) for each input, or a data set to draw examples from."""


def real_inputs(model: Model, examples: Examples, count: int, seed: int = 0) -> NDArray[Any]:
    """Return inputs of a float network, as records of several; of a data set ``count`` examples are drawn.

    Raises:
        BadData: if the examples cannot become this network's input.
    """
    if isinstance(examples, Dataset):
        examples = examples.train
    if isinstance(examples, Split):
        images = renamed(examples.sample(count, seed).images, model.inputs)
        return Inputs(model, images)(images)
    parts = parts_of(examples)
    if parts is None:
        return np.ascontiguousarray(examples, np.float32)
    return renamed(joined("examples", parts), model.inputs)
