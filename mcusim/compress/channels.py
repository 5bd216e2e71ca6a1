"""Which channels of a float network belong together: through sums, joins, slices and flattened maps.

Every channel of a layer gets a number. A tensor carries the numbers of its channels along one of its axes;
what moves elements moves the numbers, and what adds two tensors makes the numbers of both one. A channel that
some op uses in a way that cannot be followed is fixed: it stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.quantize import float_ops
from mcusim.graph import Model, Op, OpKind
from mcusim.graph.traits import Family

Numbers = NDArray[np.int64]
NONE = -1
"""The number of what no layer gives, as the zeros of a PAD."""
_MOVING = {Family.MOVE, Family.VIEW, Family.JOIN}
_ROWS = {Family.UNARY, Family.POOL, Family.RESIZE, Family.CONVERSION}
"""Families that give each channel from itself alone."""


class Along(NamedTuple):
    """The channels of a tensor: the axis along which they lie, and the number of each place on it."""

    axis: int
    numbers: Numbers


class Entries(NamedTuple):
    """Entries of a constant along an axis, and the channel that each belongs to."""

    constant: str
    axis: int
    numbers: Numbers
    read: str = ""
    """The activation whose channels a weight mixes."""


class Channels:
    """Follows the channels of a float network through all its ops.

    Attributes:
        along: by activation: where its channels lie; none for tensors that cannot be followed.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.along: dict[str, Along] = {}
        self._parts: dict[tuple[str, int], Entries] = {}
        self._same: list[int] = []
        self._layer: list[int] = []
        self._fixed: set[int] = set()
        for name in model.inputs:
            self._fix([self._fresh(name).numbers])
        for op in model.ops:
            self._follow(op)
        for name in model.outputs:
            self._release(name)

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return len(self._same)

    @property
    def parts(self) -> tuple[Entries, ...]:
        """What of the constants belongs to which channel, once for each axis of each."""
        return tuple(self._parts.values())

    def groups(self) -> list[list[list[int]]]:
        """Return groups of classes of numbers: a class stays or goes, and classes of a group are compared.

        Only classes that can go.
        """
        classes: dict[int, list[int]] = defaultdict(list)
        for number in range(len(self._same)):
            classes[self.root(number)].append(number)
        stays = {self.root(number) for number in self._fixed}
        together = list(range(max(self._layer, default=0) + 1))

        def top(layer: int) -> int:
            while together[layer] != layer:
                layer = together[layer]
            return layer

        for members in classes.values():
            for number in members[1:]:
                together[top(self._layer[number])] = top(self._layer[members[0]])
        found: dict[int, list[list[int]]] = defaultdict(list)
        for root, members in classes.items():
            if root not in stays:
                found[top(self._layer[root])].append(members)
        return [found[layer] for layer in sorted(found)]

    def root(self, number: int) -> int:
        """Return the number that stands for all that are one with this one."""
        while self._same[number] != number:
            self._same[number] = self._same[self._same[number]]
            number = self._same[number]
        return number

    def _fresh(self, name: str, axis: int | None = None) -> Along:
        """Number the channels of a tensor anew, along its last axis."""
        shape = self._model.tensors[name].shape
        place = len(shape) - 1 if axis is None else axis
        first, layer = len(self._same), max(self._layer, default=-1) + 1
        count = shape[place] if shape else 1
        self._same.extend(range(first, first + count))
        self._layer.extend([layer] * count)
        self.along[name] = Along(place, np.arange(first, first + count))
        return self.along[name]

    def _fix(self, numbers: Iterable[Numbers]) -> None:
        for each in numbers:
            self._fixed.update(int(n) for n in each.reshape(-1) if n != NONE)

    def _release(self, name: str) -> None:
        """Keep all channels of a tensor: what reads it cannot be followed."""
        if name in self.along:
            self._fix([self.along[name].numbers])

    def _part(self, part: Entries) -> None:
        """Note entries of a constant; what several ops read of one is one."""
        known = self._parts.setdefault((part.constant, part.axis), part)
        if known is not part:
            self._unite(known.numbers, part.numbers)

    def _unite(self, a: Numbers, b: Numbers) -> None:
        for one, other in zip(a.tolist(), b.tolist(), strict=True):
            if NONE in (one, other):
                self._fix([np.array([one, other])])
            else:
                self._same[self.root(other)] = self.root(one)

    def _follow(self, op: Op) -> None:
        traits, name = op.traits, op.inputs[0]
        if traits.weighted:
            self._weighted(op)
        elif traits.family in _MOVING:
            self._moved(op)
        elif traits.family in (Family.BINARY, Family.PAIR):
            self._combined(op)
        elif traits.family in _ROWS and name in self.along:
            same = len(self._model.tensors[name].shape) == len(self._model.tensors[op.output].shape)
            spatial = traits.family in (Family.POOL, Family.RESIZE) and self.along[name].axis != 3
            if same and not spatial:
                self.along[op.output] = self.along[name]
            else:
                self._cannot(op)
        elif traits.family is Family.REDUCTION:
            self._reduced(op)
        elif traits.family is Family.NORMALISATION and name in self.along:
            rank = len(self._model.tensors[name].shape)
            if self.along[name].axis in {axis % rank for axis in op.attributes.axes or (rank - 1,)}:
                self._cannot(op)
            else:
                self.along[op.output] = self.along[name]
        else:
            self._cannot(op)

    def _cannot(self, op: Op) -> None:
        for name in op.inputs:
            self._release(name)

    def _weighted(self, op: Op) -> None:
        given, weight = op.inputs[0], self._model.tensors[op.inputs[1]]
        shape = weight.shape
        if not weight.constant or op.kind is OpKind.GROUPED_CONV_2D:
            self._cannot(op)
            return
        found = self._columns(op) if op.kind is OpKind.FULLY_CONNECTED else self.along.get(given)
        rank = len(self._model.tensors[given].shape)
        dense = op.kind is OpKind.FULLY_CONNECTED
        if found is None or (not dense and found.axis != rank - 1):
            self._release(given)
            found = None
        if op.kind is OpKind.DEPTHWISE_CONV_2D:
            if found is None:
                return
            numbers = np.repeat(found.numbers, shape[3] // len(found.numbers))
            self.along[op.output] = Along(3, numbers)
            self._part(Entries(weight.name, 3, numbers))
        else:
            if found is None:
                found = Along(rank - 1, np.full(shape[-1], NONE))
            self._part(Entries(weight.name, len(shape) - 1, found.numbers, given))
            numbers = self._fresh(op.output).numbers
            self._part(Entries(weight.name, 0, numbers))
        for bias in op.inputs[2:]:
            self._part(Entries(bias, 0, numbers))

    def _columns(self, op: Op) -> Along | None:
        """Return the channels of what a fully connected op sees as rows."""
        count = self._model.tensors[op.inputs[1]].shape[1]
        whole = self._whole(op.inputs[0])
        return None if whole is None else _lying(whole.reshape(-1, count))

    def _whole(self, name: str, shape: tuple[int, ...] | None = None) -> Numbers | None:
        """Return the number of every element of a tensor."""
        own = self._model.tensors[name].shape
        if name not in self.along:
            return None
        axis, numbers = self.along[name]
        spread = np.broadcast_to(numbers.reshape([-1 if i == axis else 1 for i in range(len(own))]), own)
        return spread if shape is None else np.broadcast_to(spread, shape)

    def _moved(self, op: Op) -> None:
        operands: list[Any] = []
        for name in op.inputs:
            tensor = self._model.tensors[name]
            whole = np.full(tensor.shape, NONE) if tensor.constant else self._whole(name)
            if whole is None:
                self._cannot(op)
                return
            operands.append(whole.astype(np.float64))
        if op.attributes.fill is not None or op.kind is OpKind.PAD:
            operands[0] = operands[0] + 1  # what is filled is no channel
        moved = float_ops.FORWARD.of(op)(op, operands).reshape(self._model.tensors[op.output].shape)
        if op.attributes.fill is not None:
            self._cannot(op)
            return
        numbers = np.rint(moved).astype(np.int64) - (op.kind is OpKind.PAD)
        if op.kind is OpKind.PAD:  # pixels around a channel are of that channel
            numbers = self._padded(op, numbers)
        found = _lying(numbers)
        if found is None or not self._expressible(op, found):
            self._cannot(op)
        else:
            self.along[op.output] = found

    def _padded(self, op: Op, numbers: Numbers) -> Numbers:
        axis, own = self.along[op.inputs[0]]
        if any(op.attributes.pads[axis]):
            return numbers
        spread = own.reshape([-1 if i == axis else 1 for i in range(numbers.ndim)])
        return np.array(np.broadcast_to(spread, numbers.shape))

    def _expressible(self, op: Op, found: Along) -> bool:
        """True if the op can be written again for fewer channels."""
        given = self.along.get(op.inputs[0])
        if op.kind is OpKind.MIRROR_PAD and given is not None and any(op.attributes.pads[given.axis]):
            return False
        if op.kind is OpKind.STRIDED_SLICE and given is not None:
            cuts = dict(zip(op.attributes.axes, op.attributes.step, strict=True))
            return cuts.get(given.axis, 1) == 1
        if op.kind is OpKind.GATHER and given is not None:
            return given.axis not in op.attributes.axes
        return bool((found.numbers != NONE).all())

    def _combined(self, op: Op) -> None:
        shape = self._model.tensors[op.output].shape
        known = [n for n in op.inputs if not self._model.tensors[n].constant]
        if not known or any(name not in self.along for name in known):
            self._cannot(op)
            return
        found = []
        for name in known:
            axis = self.along[name].axis + len(shape) - len(self._model.tensors[name].shape)
            found.append(Along(axis, self.along[name].numbers))
        first = max(found, key=lambda each: len(each.numbers))
        for each in found:
            if each.axis != first.axis or len(each.numbers) != len(first.numbers):
                self._fix([each.numbers])  # one number for all channels, or channels along another axis
                if each.axis != first.axis and len(each.numbers) > 1:
                    self._fix([first.numbers])
            elif each is not first:
                self._unite(first.numbers, each.numbers)
        if shape[first.axis] != len(first.numbers):
            self._fix([first.numbers])
            return
        self.along[op.output] = first
        for name in op.inputs:
            tensor = self._model.tensors[name]
            axis = first.axis - len(shape) + len(tensor.shape)
            if tensor.constant and axis >= 0 and tensor.shape[axis] > 1:
                self._part(Entries(name, axis, first.numbers))

    def _reduced(self, op: Op) -> None:
        given, out = op.inputs[0], self._model.tensors[op.output].shape
        if given not in self.along:
            return
        axis, numbers = self.along[given]
        rank = len(self._model.tensors[given].shape)
        gone = {a % rank for a in op.attributes.axes}
        if axis in gone or op.kind is OpKind.ARG_MAX:
            self._cannot(op)
            return
        place = axis if len(out) == rank else axis - sum(a < axis for a in gone)
        if len(out) not in (rank, rank - len(gone)) or out[place] != len(numbers):
            self._cannot(op)
        else:
            self.along[op.output] = Along(place, numbers)


def _lying(numbers: Numbers) -> Along | None:
    """Return the one axis along which the numbers of a tensor differ; None if there are several."""
    differ = [
        axis
        for axis, size in enumerate(numbers.shape)
        if size > 1 and (np.take(numbers, [0], axis) != numbers).any()
    ]
    if len(differ) > 1 or not numbers.ndim:
        return None
    axis = differ[0] if differ else numbers.ndim - 1
    if not differ and numbers.shape[-1] > 1:
        return None  # one channel at several places, among which nothing can be chosen
    index = tuple(slice(None) if i == axis else 0 for i in range(numbers.ndim))
    return Along(axis, np.array(numbers[index]))
