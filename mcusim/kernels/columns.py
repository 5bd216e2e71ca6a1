"""Weights seen one input channel at a time, which is how their gradients are computed and selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors

Channels = NDArray[np.int32]


def groups(op: Op, tensors: Tensors) -> int:
    """Return into how many groups the channels of a weighted op fall that do not meet; 1 for most."""
    return _groups(op, tensors[op.inputs[1]].shape, tensors[op.inputs[0]].shape[-1])


def _groups(op: Op, weight: tuple[int, ...], inputs: int) -> int:
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        return inputs
    return inputs // weight[3] if op.kind is OpKind.GROUPED_CONV_2D else 1


@dataclass(frozen=True, slots=True)
class Strides:
    """Where the weights of one input channel lie, counted in elements of the whole weight.

    Weight ``(t, c)`` of ``channel``, of its ``taps`` and the ``outputs`` it meets, is element
    ``channel // depth * group + channel % depth * self.channel + t * tap + c * output``.
    """

    depth: int
    group: int
    channel: int
    taps: int
    tap: int
    outputs: int
    output: int


def strides(op: Op, tensors: Tensors) -> Strides:
    """Return where the weights of the input channels of a weighted op lie."""
    weight = tensors[op.inputs[1]].shape
    count, taps = groups(op, tensors), int(np.prod(weight[1:-1], dtype=np.int64))
    outputs = weight[op.traits.channel_axis]
    own = outputs // count
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        return Strides(depth=1, group=own, channel=0, taps=taps, tap=outputs, outputs=own, output=1)
    depth = weight[-1]
    group = own * taps * depth
    return Strides(depth, group, channel=1, taps=taps, tap=depth, outputs=own, output=taps * depth)


def gather(op: Op, weight: Array, channels: Channels, inputs: int) -> Array:
    """Return the weights of ``channels`` as contiguous blocks (n, kh, kw, outputs).

    Outputs are those that a channel meets: C_out, of a depthwise op its multiplier, of groups as many as are
    in one. Fully connected: (n, out). ``inputs`` is the number of input channels of ``op``.
    """
    view, places = _columns(op, weight, inputs, channels)
    return np.ascontiguousarray(view[places])


def scatter(op: Op, weight: Array, channels: Channels, inputs: int, blocks: Array) -> None:
    """Write the blocks of ``channels`` into ``weight``."""
    view, places = _columns(op, weight, inputs, channels)
    view[places] = blocks


def of_outputs(op: Op, values: Array, weight: tuple[int, ...], channels: Channels, inputs: int) -> Array:
    """Return one value an output (C_out,) as those of the outputs that each of ``channels`` meets.

    That is (n, outputs), or all of them, (C_out,), where every channel meets every output.
    """
    count = _groups(op, weight, inputs)
    return values if count == 1 else values.reshape(count, -1)[channels // (inputs // count)]


def _columns(op: Op, weight: Array, inputs: int, channels: Channels) -> tuple[Array, Any]:
    """Return a view of a weight with its input channels first, and where ``channels`` are in it."""
    if op.kind is OpKind.FULLY_CONNECTED:
        return weight.T, channels
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        _, height, width, outputs = weight.shape
        return weight.reshape(height, width, inputs, outputs // inputs).transpose(2, 0, 1, 3), channels
    count = _groups(op, weight.shape, inputs)
    if count == 1:
        return weight.transpose(3, 1, 2, 0), channels
    outputs, height, width, depth = weight.shape
    grouped = weight.reshape(count, outputs // count, height, width, depth)
    return grouped.transpose(0, 4, 2, 3, 1), (channels // depth, channels % depth)
