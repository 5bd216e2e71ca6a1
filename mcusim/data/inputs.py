"""Examples as what a network takes: one input, or several side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadData
from mcusim.core.fields import field_of, joined, names_of
from mcusim.data.augment import Augmentation
from mcusim.data.looks import Looks
from mcusim.data.preprocess import Preprocessor
from mcusim.graph import Model

Array = NDArray[Any]
Prepare = Callable[..., Array]


class Inputs:
    """Turns examples of the kind of ``images`` into the inputs of a network.

    Of one input the prepared array itself is given, of several an array of records, a field for each. Records
    with more fields than the network has inputs are fine: those it has are taken. Of a network that keeps
    state an example is a sequence ``[times, ...]`` of what it takes at once.

    Args:
        model: the network.
        images: examples ``[N, ...]``, or records of several arrays; ``[N, times, ...]`` with state.
        augmentation: random variants, or looks; the same for all inputs of an example.
        seed: of those variants.

    Raises:
        BadData: if such examples cannot become these inputs, or do not have one of them.
    """

    def __init__(
        self, model: Model, images: Array, *, augmentation: Augmentation | Looks | None = None, seed: int = 0
    ) -> None:
        self.names, self._sequences = model.inputs, bool(model.states)
        if len(self.names) > 1 and not names_of(images):
            raise BadData(
                f"examples of {images.dtype} {images.shape[1:]}",
                f"are one array, and {model.name} has {len(self.names)} inputs: {', '.join(self.names)}",
                "give an array for each, as {'NAME': array} or as x/NAME in a file",
            )
        self._parts = {}
        for name in self.names:
            given = field_of(images, name, "examples")
            if self._sequences and len(given.shape) < 1 + len(model.tensors[name].shape):
                times = " x ".join(map(str, ("n", "times", *model.tensors[name].shape[1:])))
                raise BadData(
                    f"examples of {given.dtype} {given.shape[1:]}",
                    f"are single moments, and {model.name} keeps state from one to the next",
                    f"give sequences, {times}",
                )
            self._parts[name] = Preprocessor(
                model, self._one(given).shape[1:], given.dtype.name, augmentation=augmentation, seed=seed,
                tensor=model.tensors[name],
            )  # fmt: skip

    def __call__(self, images: Array, index: NDArray[np.int64] | None = None, **variants: Any) -> Array:
        """Return ``images`` as the network takes them; see ``Preprocessor``."""
        times = field_of(images, self.names[0], "examples").shape[1] if self._sequences else 1
        if times > 1:  # all moments of a sequence are varied alike
            index = None if index is None else np.repeat(index, times)
            variants = {n: np.repeat(v, times) if n == "variant" else v for n, v in variants.items()}
        ready = {}
        for name, prepare in self._parts.items():
            given = field_of(images, name, "examples")
            x = prepare(self._one(given), index, **variants)
            ready[name] = x.reshape(len(given), -1, *x.shape[1:]) if self._sequences else x
        return joined("the inputs", ready) if len(ready) > 1 else next(iter(ready.values()))

    def check_range(self, images: Array) -> None:
        """Say so where many values saturate; see ``Preprocessor.check_range``."""
        for name, prepare in self._parts.items():
            prepare.check_range(self._one(field_of(images, name, "examples")))

    def _one(self, given: Array) -> Array:
        """Return what goes in at once, a row each: examples, or all moments of sequences."""
        return given.reshape(-1, *given.shape[2:]) if self._sequences else given
