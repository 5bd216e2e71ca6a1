"""Convolutions between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: dilated ones, for devices without them.

The first deals the pixels out to phases, so that a window that skips some sees neighbours; the second puts
the phases together again. What lies between is read as ops on the whole image: the convolution gets the
dilation and the padding, views and ops on single elements stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mcusim.core import BadModel
from mcusim.files.tflite.spelled import Spelling
from mcusim.graph import CONVOLUTIONS, TRAITS, Attributes, Op, OpKind, Tensor
from mcusim.graph.shapes import infer
from mcusim.graph.traits import Family

TO_PHASES, FROM_PHASES = "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"
_SINGLE = (Family.UNARY, Family.BINARY, Family.PAIR)
Pad = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Phases:
    """A tensor of the file that holds the phases of an image."""

    whole: str
    """The tensor here that is the image."""
    blocks: Mapping[int, int]
    """Along a dimension of the image: how many phases."""
    pads: Mapping[int, Pad]
    """What is still to be padded, by dimension."""
    chain: tuple[int, ...] = ()
    """Places of the ops since the convolution, which comes first."""
    sides: Mapping[int, int] = field(default_factory=dict)
    """Which dimension of the convolution each one was."""


class Dilation:
    """What is read of such a stretch of a file: it adds to the reader's tensors and ops."""

    def __init__(self, tensors: dict[str, Tensor], ops: list[Op]) -> None:
        self.tensors, self.ops = tensors, ops
        self._phases: dict[str, Phases] = {}
        self._views: dict[int, dict[int, int]] = {}
        """By place of a view: which dimension it reads each of its own from."""

    def takes(self, name: str, inputs: list[str]) -> bool:
        """True if an operator begins such a stretch or lies in one."""
        return name in (TO_PHASES, FROM_PHASES) or any(tensor in self._phases for tensor in inputs)

    def deal(self, s: Spelling) -> None:
        """Read SPACE_TO_BATCH_ND."""
        x, output = s.inputs[0], s.outputs[0]
        blocks, flat = s.constant(1, "block"), s.constant(2, "padding")
        if len(flat) != 2 * len(blocks) or min((*blocks, 1)) < 1 or not 0 < len(blocks) < len(x.shape):
            raise BadModel("", f"deals {x.shape} out in blocks of {blocks} with padding {flat}")
        pads = {i + 1: (flat[2 * i], flat[2 * i + 1]) for i in range(len(blocks))}
        self._phases[output.name] = Phases(x.name, {i + 1: b for i, b in enumerate(blocks)}, pads)

    def convolve(self, kind: OpKind, names: list[str], output: Tensor, attributes: Attributes) -> None:
        """Read an operator that works on phases.

        Raises:
            BadModel: without a thing, if it is none that works on the whole image as well.
        """
        found = self._phases.get(names[0])
        if found is None or any(name in self._phases for name in names[1:]):
            raise self._fail(f"{kind} reads phases of two images")
        padded = any(any(pad) for pad in found.pads.values())
        if kind in CONVOLUTIONS:
            self._convolution(found, kind, names, output, attributes)
        elif TRAITS[kind].family in _SINGLE and not padded:
            self._add(found, kind, names, output, attributes, self.tensors[found.whole].shape, found)
        else:
            raise self._fail(f"{kind} stands between the convolution and its phases")

    def view(self, s: Spelling) -> None:
        """Read EXPAND_DIMS, SQUEEZE or RESHAPE that adds or drops dimensions of size 1 only.

        Raises:
            BadModel: without a thing, if it does anything else.
        """
        found, old, output = self._phases[s.inputs[0].name], s.inputs[0].shape, s.outputs[0]
        places = _matched(old, output.shape)
        whole = self.tensors[found.whole].shape
        if places is None:
            raise self._fail(f"a view of phases turns {old} into {output.shape}")
        new = {b: a for a, b in places.items()}
        shape = tuple(whole[new[i]] if i in new else 1 for i in range(len(output.shape)))
        moved = replace(
            found,
            blocks={places[a]: block for a, block in found.blocks.items()},
            pads={places[a]: pad for a, pad in found.pads.items()},
            sides={places[a]: side for a, side in found.sides.items()},
        )
        attributes = Attributes(shape=shape)
        self._views[len(self.ops)] = new
        self._add(found, OpKind.RESHAPE, [s.inputs[0].name], output, attributes, shape, moved)

    def gather(self, s: Spelling) -> None:
        """Read BATCH_TO_SPACE_ND: the image gets the name of its output, less what is cropped.

        Raises:
            BadModel: without a thing, if the phases were dealt out otherwise, or no convolution came between.
        """
        x, output = s.inputs[0], s.outputs[0]
        found = self._phases.get(x.name)
        blocks, flat = s.constant(1, "block"), s.constant(2, "crops")
        dealt = None if found is None else [found.blocks.get(i + 1, 1) for i in range(len(blocks))]
        if found is None or dealt != blocks or len(flat) != 2 * len(blocks) or not found.chain:
            raise self._fail(f"{FROM_PHASES} puts together what no {TO_PHASES} dealt out")
        crops = {i + 1: (flat[2 * i], flat[2 * i + 1]) for i in range(len(blocks))}
        self._crop(found, crops)
        last = self.ops[found.chain[-1]]
        self.ops[found.chain[-1]] = replace(last, name=output.name, output=output.name)
        self.tensors[output.name] = replace(self.tensors.pop(last.output), name=output.name)

    def holds(self, name: str) -> bool:
        """True if a tensor of the file holds phases."""
        return name in self._phases

    def _fail(self, reason: str) -> BadModel:
        return BadModel("", reason, f"supported between {TO_PHASES} and {FROM_PHASES}: one convolution")

    def _convolution(
        self, found: Phases, kind: OpKind, names: list[str], output: Tensor, a: Attributes
    ) -> None:
        if found.chain or a.stride != (1, 1) or a.dilation != (1, 1) or a.padding != ((0, 0), (0, 0)):
            raise self._fail(f"{kind} works on phases with stride {a.stride} and padding {a.padding}")
        dilation = (found.blocks.get(1, 1), found.blocks.get(2, 1))
        padding = (found.pads.get(1, (0, 0)), found.pads.get(2, (0, 0)))
        attributes = replace(a, dilation=dilation, padding=padding)
        after = replace(found, pads={}, sides={i: i for i in found.blocks})
        self._add(found, kind, names, output, attributes, (), after)

    def _add(
        self, found: Phases, kind: OpKind, names: list[str], output: Tensor, attributes: Attributes,
        shape: tuple[int, ...], after: Phases,
    ) -> None:  # fmt: skip
        whole = replace(output, name=f"{output.name}/whole", shape=shape)
        op = Op(whole.name, kind, (found.whole, *names[1:]), whole.name, attributes)
        self.tensors[whole.name] = whole
        self.tensors[whole.name] = replace(whole, shape=infer(op, self.tensors))
        started = found.chain or kind in CONVOLUTIONS
        chain = (*found.chain, len(self.ops)) if started else ()
        self.ops.append(op)
        self._phases[output.name] = replace(after, whole=whole.name, chain=chain)

    def _crop(self, found: Phases, crops: Mapping[int, Pad]) -> None:
        """Take what is cropped off the convolution's padding, and follow the sizes from there."""
        first = self.ops[found.chain[0]]
        padding = [list(side) for side in first.attributes.padding]
        for axis, (before, after) in crops.items():
            side = found.sides[axis] - 1 if before or after else 0
            padding[side][0] -= before
            padding[side][1] -= after
        if min(min(side) for side in padding) < 0:
            raise self._fail(f"crops {dict(crops)} reach further than the padding")
        (top, bottom), (left, right) = padding
        attributes = replace(first.attributes, padding=((top, bottom), (left, right)))
        self.ops[found.chain[0]] = replace(first, attributes=attributes)
        for place in found.chain:
            op, output = self.ops[place], self.tensors[self.ops[place].output]
            if op.kind is OpKind.RESHAPE:
                x, views = self.tensors[op.inputs[0]].shape, self._views[place]
                shape = tuple(x[views[i]] if i in views else 1 for i in range(len(output.shape)))
                self.ops[place] = op = replace(op, attributes=replace(op.attributes, shape=shape))
            self.tensors[output.name] = replace(output, shape=infer(op, self.tensors))


def _matched(old: tuple[int, ...], new: tuple[int, ...]) -> dict[int, int] | None:
    """Return which dimension of ``new`` each of ``old`` became; ``None`` if not only ones came or went."""
    places: dict[int, int] = {}
    i = j = 0
    while i < len(old) or j < len(new):
        if i < len(old) and j < len(new) and old[i] == new[j]:
            places[i] = j
            i, j = i + 1, j + 1
        elif j < len(new) and new[j] == 1:
            j += 1
        elif i < len(old) and old[i] == 1:
            i += 1
        else:
            return None
    return places
