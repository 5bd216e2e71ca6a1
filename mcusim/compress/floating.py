"""A float network from whatever a person has: a `Model`, a file, or a PyTorch module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mcusim.compress.examples import Examples
from mcusim.core import BadArgument, BadData
from mcusim.data.arrays import parts_of
from mcusim.data.dataset import Dataset, Split
from mcusim.files.load import load
from mcusim.graph import Model

Shapes = tuple[int, ...] | tuple[tuple[int, ...], ...]
"""The shape of a module's input, or of each of several."""


def floating(network: Any, inputs: Examples | None = None, shape: Shapes | None = None) -> Model:
    """Return a float network as a `Model`.

    Args:
        network: a model; the name or path of one (``.onnx``, ``.tflite``, ``.json``, ``.npz``, ``.pt2``); or
            a PyTorch module, or what ``torch.export.export`` made of one.
        inputs: examples, from whose shape that of a module's input follows.
        shape: of a module's input, planes first with a batch of 1, if it does not follow, or those of all.

    Raises:
        BadArgument: if it is none of these.
        BadData: if the shape of a module's input does not follow from the examples.
        BadModel, UnknownName, MissingPackage: as the readers do.
    """
    if isinstance(network, Model):
        return network
    if isinstance(network, str | Path):
        return load(network)
    if type(network).__module__.startswith("torch") or hasattr(network, "state_dict"):
        from mcusim.files.torch.reader import from_torch

        exported = not hasattr(network, "eval")
        return from_torch(
            network, None if exported else shape or _planes_first(inputs), name=type(network).__name__.lower()
        )
    raise BadArgument(
        f"a network of type {type(network).__name__}", "is none", "give a model, a file or a module"
    )


def _planes_first(inputs: Examples | None) -> Shapes:
    """Return the shape of a module's inputs, as PyTorch has it, from examples with channels last."""
    if isinstance(inputs, Dataset):
        inputs = inputs.train
    given = inputs.images if isinstance(inputs, Split) else inputs
    parts = None if given is None else parts_of(given)
    if parts is not None:
        return tuple(_planes_before(part.shape[1:]) for part in parts.values())
    return _planes_before(() if given is None else np.asanyarray(given).shape[1:])


def _planes_before(example: tuple[int, ...]) -> tuple[int, ...]:
    if not example:
        raise BadData(
            "the examples", "do not say the shape of the module's input", "give shape=(1, 3, 32, 32)"
        )
    return (1, example[-1], *example[:-1]) if len(example) > 1 else (1, *example)
