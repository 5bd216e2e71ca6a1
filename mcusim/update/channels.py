"""The channels of a network that can learn: what selecting one means and what it costs.

Everywhere in this project a *channel* of a layer is an input channel: it selects the features that
must be saved and the weights that multiply them. A depthwise channel selects input and output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, UnknownName
from mcusim.core.frozen import FrozenDict
from mcusim.core.remember import remembered
from mcusim.graph import Model, Op, OpKind
from mcusim.graph.outputs import heads
from mcusim.kernels.columns import gather


@dataclass(frozen=True, slots=True)
class Layer:
    """The learnable side of one weighted op.

    Attributes:
        op: name of the op.
        channels: number of input channels.
        channel_weights: weights that one channel selects.
        channel_features: elements of the input that one channel selects, the saved activations.
    """

    op: str
    channels: int
    channel_weights: int
    channel_features: int

    @property
    def weights(self) -> int:
        """Number of weights of the whole layer."""
        return self.channels * self.channel_weights


def layer(model: Model, op: Op) -> Layer:
    """Return the learnable side of ``op``, a convolution or fully connected op."""
    weight = model.tensors[op.inputs[1]]
    dense = op.kind is OpKind.FULLY_CONNECTED
    channels = (weight if dense else model.tensors[op.inputs[0]]).shape[-1]
    features = prod(model.tensors[op.inputs[0]].shape) // channels
    return Layer(op.name, channels, weight.elements // channels, features)


def trunk(model: Model) -> tuple[Op, ...]:
    """Return the ops with weights in execution order, the head excluded.

    For the published networks these are ``model.convolutions``; hidden fully connected layers,
    as autoencoders have them, count like 1x1 convolutions. Weights that several ops read do not learn.
    """
    uses = readers(model)
    return tuple(
        op
        for op in model.ops
        if op.traits.weighted
        and op.name not in heads(model)
        and model.tensors[op.inputs[1]].constant
        and uses[op.inputs[1]] == 1
    )


@remembered(limit=1)
def readers(model: Model) -> Mapping[str, int]:
    """Return how many ops read each tensor."""
    return FrozenDict(Counter(name for op in model.ops for name in set(op.inputs)))


@remembered(limit=1)
def layers(model: Model) -> Mapping[str, Layer]:
    """Return the learnable side of every op of the trunk, by op name, in execution order.

    Kept as long as the model: a scheme that redraws in every iteration asks for it each time.
    """
    return FrozenDict({op.name: layer(model, op) for op in trunk(model)})


def trunk_weights(model: Model) -> int:
    """Return the number of weights of the trunk: what a fraction of the weights refers to."""
    return sum(model.tensors[op.inputs[1]].elements for op in trunk(model))


def biases(model: Model, ops: tuple[Op, ...]) -> tuple[str, ...]:
    """Return the names of those ``ops`` that have a bias which can learn."""
    return tuple(op.name for op in ops if bias_can_learn(model, op))


def bias_can_learn(model: Model, op: Op) -> bool:
    """True if ``op`` has a constant bias of its own in a type that learns; int64, of 16 bits, is none."""
    bias = None if op.bias is None else model.tensors[op.bias]
    if bias is None or not bias.constant or bias.dtype == "int64":
        return False
    return readers(model)[bias.name] == 1


def require(model: Model, name: str) -> Layer:
    """Return the layer called ``name``.

    Raises:
        UnknownName: if the trunk of the model has no such layer; suggests the nearest names.
    """
    known = layers(model)
    if name not in known:
        raise UnknownName(f"layer of {model.name}", name, known)
    return known[name]


def last(model: Model, count: int | None) -> tuple[Op, ...]:
    """Return the last ``count`` ops of the trunk, or all of them if it is ``None``.

    Raises:
        BadArgument: if there are fewer.
    """
    ops = trunk(model)
    if count is None:
        return ops
    if not 0 <= count <= len(ops):
        raise BadArgument(
            f"the last {count} layers of {model.name}", f"do not exist: it has {len(ops)}", "ask for fewer"
        )
    return ops[len(ops) - count :]


def every_channel(model: Model, ops: tuple[Op, ...]) -> dict[str, NDArray[np.int32]]:
    """Return all channels of the given ops of the trunk."""
    return {op.name: np.arange(layer(model, op).channels, dtype=np.int32) for op in ops}


def channel_norms(model: Model, op: Op) -> NDArray[np.float64]:
    """Return the L2 norm of the integer weights of each input channel of ``op``."""
    data = model.tensors[op.inputs[1]].data
    if data is None:
        raise BadArgument(f"op {op.name}", "has no constant weight", "choose a layer whose weights are known")
    squares = np.square(data.astype(np.float64))
    count = layer(model, op).channels
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        squares = squares.reshape(-1, count, squares.shape[-1] // count).sum(axis=2)
    if op.kind is OpKind.GROUPED_CONV_2D:
        squares = gather(op, squares, np.arange(count, dtype=np.int32), count).reshape(count, -1).T
    norms: NDArray[np.float64] = np.sqrt(squares.reshape(-1, count).sum(axis=0))
    return norms
