"""TFLite operators that are other operators of a graph here: EXPAND_DIMS is a RESHAPE, SPLIT a few slices.

Each becomes a chain of steps. What lies between the first and the last is a tensor that the file does not
have; it is named after the operator's output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mcusim.core import BadModel
from mcusim.files.tflite.flatbuffer import FlatTable
from mcusim.files.tflite.operators import Operator, clamp_to
from mcusim.graph import Attributes, OpKind, Tensor


@dataclass(frozen=True, slots=True)
class SpelledOp:
    """One op of the chain."""

    kind: OpKind
    inputs: tuple[Tensor, ...]
    output: Tensor
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Spelling:
    """An operator as the file has it, with any number of outputs."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    options: FlatTable | None

    def integer(self, field: int, default: int = 0) -> int:
        """Return an int32 option."""
        return default if self.options is None else self.options.integer(field, 4, default)

    def constant(self, index: int, what: str) -> list[int]:
        """Return a constant input as integers.

        Raises:
            BadModel: if it is missing or computed.
        """
        return Operator(OpKind.RESHAPE, self.inputs, self.outputs[0], self.options).constant(index, what)

    def axis(self, given: int, rank: int) -> int:
        """Return a dimension counted from the front.

        Raises:
            BadModel: if there is none.
        """
        if not -rank <= given < rank:
            raise BadModel("", f"works along dimension {given} of {rank}")
        return given % rank


def _attributes(output: Tensor, **named: object) -> Attributes:
    return Attributes(clamp=clamp_to(output, None), **named)  # type: ignore[arg-type]


def reshape(x: Tensor, output: Tensor) -> SpelledOp:
    """Return the same elements under the output's shape."""
    return SpelledOp(OpKind.RESHAPE, (x,), output, _attributes(output, shape=output.shape))


def _cut(x: Tensor, output: Tensor, cuts: dict[int, tuple[int, int, int]]) -> list[SpelledOp]:
    """Return the steps that keep (first, step, how many) along some dimensions, under the output's shape."""
    cuts = {axis: cut for axis, cut in cuts.items() if cut != (0, 1, x.shape[axis])}
    if not cuts:
        return [reshape(x, output)]
    kept = tuple(cuts[i][2] if i in cuts else size for i, size in enumerate(x.shape))
    part = output if kept == output.shape else replace(output, name=f"{output.name}/part", shape=kept)
    steps = [
        SpelledOp(
            OpKind.STRIDED_SLICE, (x,), part,
            _attributes(
                part, axes=tuple(cuts), begin=tuple(c[0] for c in cuts.values()),
                step=tuple(c[1] for c in cuts.values()), shape=tuple(c[2] for c in cuts.values()),
            ),
        )
    ]  # fmt: skip
    return steps if part is output else [*steps, reshape(part, output)]


def _strided_slice(s: Spelling) -> list[SpelledOp]:
    x = s.inputs[0]
    begin, end, strides = (s.constant(i, what) for i, what in ((1, "begin"), (2, "end"), (3, "strides")))
    masks = [s.integer(i) for i in range(5)]
    offset = s.options is not None and s.options.boolean(5)
    if not len(begin) == len(end) == len(strides) or 0 in strides:
        raise BadModel("", f"cuts from {begin} to {end} in steps of {strides}")
    cuts: dict[int, tuple[int, int, int]] = {}
    axis = 0
    for i, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        begins, ends, ellipsis, new, shrinks = (bool(mask & 1 << i) for mask in masks)
        if ellipsis:
            named = sum(1 for j in range(i + 1, len(begin)) if not masks[3] & 1 << j)
            axis = len(x.shape) - named
            continue
        if new:
            continue
        if axis >= len(x.shape):
            raise BadModel("", f"cuts more dimensions than {x.shape} has")
        size = x.shape[axis]
        if shrinks:
            cuts[axis] = (s.axis(first, size), 1, 1)
        else:
            stop = first + last if offset else last
            span = range(*slice(None if begins else first, None if ends else stop, step).indices(size))
            if not len(span):
                raise BadModel("", f"keeps nothing of dimension {axis} of {x.shape}")
            cuts[axis] = (span.start, step, len(span))
        axis += 1
    return _cut(x, s.outputs[0], cuts)


def _slice(s: Spelling) -> list[SpelledOp]:
    x, begin, size = s.inputs[0], s.constant(1, "begin"), s.constant(2, "size")
    if not len(begin) == len(size) == len(x.shape):
        raise BadModel("", f"cuts {size} from {begin} out of {x.shape}")
    counts = [x.shape[i] - begin[i] if count == -1 else count for i, count in enumerate(size)]
    return _cut(x, s.outputs[0], {i: (b, 1, n) for i, (b, n) in enumerate(zip(begin, counts, strict=True))})


def _parts(s: Spelling, x: Tensor, axis: int, sizes: list[int]) -> list[SpelledOp]:
    if len(sizes) != len(s.outputs) or sum(sizes) != x.shape[axis] or min(sizes) < 1:
        raise BadModel("", f"cuts {x.shape} along {axis} into {len(s.outputs)} parts of {sizes}")
    steps, first = [], 0
    for output, count in zip(s.outputs, sizes, strict=True):
        steps += _cut(x, output, {axis: (first, 1, count)})
        first += count
    return steps


def _split(s: Spelling) -> list[SpelledOp]:
    x = s.inputs[1]
    axis, count = s.axis(s.constant(0, "axis")[0], len(x.shape)), len(s.outputs)
    return _parts(s, x, axis, [x.shape[axis] // count] * count)


def _split_v(s: Spelling) -> list[SpelledOp]:
    x, sizes = s.inputs[0], s.constant(1, "sizes")
    axis = s.axis(s.constant(2, "axis")[0], len(x.shape))
    known = sum(size for size in sizes if size != -1)
    return _parts(s, x, axis, [x.shape[axis] - known if size == -1 else size for size in sizes])


def _unpack(s: Spelling) -> list[SpelledOp]:
    x = s.inputs[0]
    return _parts(s, x, s.axis(s.integer(1), len(x.shape)), [1] * len(s.outputs))


def _pack(s: Spelling) -> list[SpelledOp]:
    output = s.outputs[0]
    axis = s.axis(s.integer(1), len(output.shape))
    single = (*output.shape[:axis], 1, *output.shape[axis + 1 :])
    widened = [
        replace(x, name=f"{output.name}/part{i}", shape=single, data=None) for i, x in enumerate(s.inputs)
    ]
    steps = [reshape(x, wide) for x, wide in zip(s.inputs, widened, strict=True)]
    joined = SpelledOp(OpKind.CONCATENATION, tuple(widened), output, _attributes(output, axes=(axis,)))
    return [*steps, joined]


def _tiled(x: Tensor, output: Tensor, repeats: list[int]) -> list[SpelledOp]:
    if set(repeats) == {1} or not repeats:
        return [reshape(x, output)]
    return [SpelledOp(OpKind.TILE, (x,), output, _attributes(output, repeats=tuple(repeats)))]


def _tile(s: Spelling) -> list[SpelledOp]:
    return _tiled(s.inputs[0], s.outputs[0], s.constant(1, "list of repeats"))


def _broadcast_to(s: Spelling) -> list[SpelledOp]:
    x, output, shape = s.inputs[0], s.outputs[0], s.constant(1, "shape")
    wide = (1,) * (len(shape) - len(x.shape)) + x.shape
    if len(wide) != len(shape) or any(old not in (1, new) for old, new in zip(wide, shape, strict=True)):
        raise BadModel("", f"cannot broadcast {x.shape} to {shape}")
    repeats = [1 if old == new else new for old, new in zip(wide, shape, strict=True)]
    if wide == x.shape:
        return _tiled(x, output, repeats)
    widened = replace(output, name=f"{output.name}/wide", shape=wide)
    return [reshape(x, widened), *_tiled(widened, output, repeats)]


def _gather(s: Spelling) -> list[SpelledOp]:
    x, output = s.inputs[0], s.outputs[0]
    given = s.inputs[1].data if len(s.inputs) > 1 else None
    if s.integer(1) or given is None or given.dtype.kind not in "iu":
        raise BadModel("", "takes elements by numbers that are computed, or batch by batch")
    axis = s.axis(s.integer(0), len(x.shape))
    indices = tuple(int(i) for i in given.reshape(-1)[:65_536])
    kept = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    part = output if kept == output.shape else replace(output, name=f"{output.name}/part", shape=kept)
    taken = SpelledOp(OpKind.GATHER, (x,), part, _attributes(part, axes=(axis,), indices=indices))
    return [taken] if part is output else [taken, reshape(part, output)]


def _pad_with(s: Spelling) -> list[SpelledOp]:
    x, output, flat = s.inputs[0], s.outputs[0], s.constant(1, "padding")
    value = s.inputs[2] if len(s.inputs) > 2 else None
    if value is None or value.data is None or value.elements != 1 or len(flat) != 2 * len(x.shape):
        raise BadModel("", f"pads {x.shape} by {flat} with no constant number")
    if value.quant is not None and output.quant is not None and not value.quant.same_as(output.quant):
        raise BadModel("", "pads with a number of another scale than its output's")
    pads = tuple(zip(flat[::2], flat[1::2], strict=True))
    attributes = _attributes(output, pads=pads, fill=value.data.reshape(-1)[0].item())
    return [SpelledOp(OpKind.PAD, (x,), output, attributes)]


def _view(s: Spelling) -> list[SpelledOp]:
    return [reshape(s.inputs[0], s.outputs[0])]


SPELLED: dict[str, Callable[[Spelling], list[SpelledOp]]] = {
    "BROADCAST_TO": _broadcast_to,
    "EXPAND_DIMS": _view,
    "GATHER": _gather,
    "PACK": _pack,
    "PADV2": _pad_with,
    "SLICE": _slice,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SQUEEZE": _view,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "UNPACK": _unpack,
}
"""By operator name."""


def spelled(name: str, spelling: Spelling) -> list[SpelledOp] | None:
    """Return the steps an operator amounts to; ``None`` if it is a kind of op itself.

    Raises:
        BadModel: without a thing, if its constants do not fit its tensors.
    """
    if name not in SPELLED:
        return None
    if not spelling.inputs or not spelling.outputs:
        raise BadModel("", "has no inputs or no outputs", "the file is damaged")
    return SPELLED[name](spelling)
