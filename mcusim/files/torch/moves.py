"""Operations of PyTorch that cut, repeat or shuffle elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.files.torch.graph import NHWC, TorchGraph, stored
from mcusim.files.torch.layout import Held
from mcusim.files.torch.layout import stored as memory
from mcusim.graph import OpKind


def _place(axis: int, rank: int) -> int:
    return NHWC.index(axis % rank) if rank == 4 else axis % rank


def _cut(g: TorchGraph, node: Any, x: Any, axis: int, first: int, step: int, count: int, out: Any) -> Held:
    """Keep elements of one of PyTorch's dimensions."""
    held, rank = g.held(x), len(g.shape(x))
    if (first, step, count) == (0, 1, g.shape(x)[axis % rank]):
        return held
    name = g.op(
        node, OpKind.STRIDED_SLICE, (held.name,), memory(out, held.order),
        axes=(held.order.index(axis % rank),), begin=(first,), step=(step,), shape=(count,),
    )  # fmt: skip
    return Held(name, held.order)


def _cut_shape(g: TorchGraph, x: Any, axis: int, count: int) -> tuple[int, ...]:
    shape = list(g.shape(x))
    shape[axis] = count
    return tuple(shape)


def cut(
    g: TorchGraph, node: Any, x: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Held:
    """``x[..., start:end:step]`` along one dimension."""
    span = range(*slice(start, end, step).indices(g.shape(x)[axis]))
    return _cut(g, node, x, axis, span.start, step, len(span), g.shape(node))


def select(g: TorchGraph, node: Any, x: Any, axis: int, index: int) -> str:
    """``x[..., index]``: the dimension goes."""
    shape = g.shape(x)
    axis %= len(shape)
    kept = _cut_shape(g, x, axis, 1)
    name = g.tensor(x) if kept == shape else g.op(
        node, OpKind.STRIDED_SLICE, (g.tensor(x),), stored(kept), suffix=".selected",
        axes=(_place(axis, len(shape)),), begin=(index % shape[axis],), step=(1,), shape=(1,),
    )  # fmt: skip
    return g.reshaped(node, name, kept, g.shape(node))


def split(g: TorchGraph, node: Any, x: Any, *_: Any) -> Held:
    """A few slices; each is added where it is read."""
    return g.held(x)


def part(g: TorchGraph, node: Any, parts: Any, index: int) -> Held:
    """One part of what was split."""
    target = str(parts.target).removeprefix("aten.").split(".")[0]
    if target == "_native_batch_norm_legit_no_training" and index == 0:
        return g.held(parts)
    if target == "unbind":
        axis = parts.args[1] if len(parts.args) > 1 else 0
        name = select(g, node, parts.args[0], axis, index)
        return Held(name, tuple(range(len(g.shape(node)))) if len(g.shape(node)) != 4 else NHWC)
    if target not in ("split", "split_with_sizes", "chunk"):
        raise g.fail(node, f"takes output {index} of {parts.target}: only of a split or unbind")
    x, size = parts.args[0], parts.args[1]
    axis = (parts.args[2] if len(parts.args) > 2 else 0) % len(g.shape(x))
    total = g.shape(x)[axis]
    if target == "chunk":
        size = -(-total // size)
    if isinstance(size, int):
        size = [min(size, total - first) for first in range(0, total, size)]
    first, count = sum(size[:index]), size[index]
    return _cut(g, node, x, axis, first, 1, count, _cut_shape(g, x, axis, count))


def repeat(g: TorchGraph, node: Any, x: Any, counts: Any) -> str:
    """``x.repeat``; new dimensions come first."""
    return _tiled(g, node, x, tuple(counts))


def expand(g: TorchGraph, node: Any, x: Any, sizes: Any, *_: Any, **__: Any) -> str:
    """``x.expand``: dimensions of size 1 are repeated."""
    new = g.shape(node)
    old = (1,) * (len(new) - len(g.shape(x))) + g.shape(x)
    return _tiled(g, node, x, tuple(n // o for n, o in zip(new, old, strict=True)))


def _tiled(g: TorchGraph, node: Any, x: Any, counts: tuple[int, ...]) -> str:
    name, old = g.tensor(x), g.shape(x)
    wide = (1,) * (len(counts) - len(old)) + old
    if wide != old:
        name = g.reshaped(node, name, old, wide, suffix=".wide")
    if set(counts) == {1}:
        return name
    places = tuple(counts[i] for i in NHWC) if len(counts) == 4 else counts
    return g.op(node, OpKind.TILE, (name,), stored(g.shape(node)), repeats=places)


def flip(g: TorchGraph, node: Any, x: Any, axes: Any) -> str:
    """``x.flip``."""
    rank = len(g.shape(x))
    places = tuple(sorted(_place(a, rank) for a in axes))
    return g.op(node, OpKind.REVERSE, (g.tensor(x),), stored(g.shape(node)), axes=places)


def index_select(g: TorchGraph, node: Any, x: Any, axis: int, numbers: Any) -> str:
    """``x.index_select`` by constant numbers."""
    if numbers not in g.arrays:
        raise g.fail(node, "takes elements by numbers that are computed")
    shape = g.shape(x)
    indices = tuple(int(i) % shape[axis] for i in g.arrays[numbers].reshape(-1))
    place = (_place(axis, len(shape)),)
    return g.op(node, OpKind.GATHER, (g.tensor(x),), stored(g.shape(node)), axes=place, indices=indices)


def _shuffled(g: TorchGraph, node: Any, name: str, shape: Any, order: Any, suffix: str) -> str:
    indices = tuple(int(i) for i in order)
    return g.op(node, OpKind.GATHER, (name,), stored(shape), suffix=suffix, axes=(3,), indices=indices)


def pixel_shuffle(g: TorchGraph, node: Any, x: Any, block: int) -> str:
    """``pixel_shuffle``: its order of channels is brought to that of DEPTH_TO_SPACE first."""
    channels = g.shape(x)[1]
    order = np.arange(channels).reshape(-1, block * block).T.reshape(-1)
    name = _shuffled(g, node, g.tensor(x), g.shape(x), order, ".order")
    return g.op(node, OpKind.DEPTH_TO_SPACE, (name,), stored(g.shape(node)), block=block)


def pixel_unshuffle(g: TorchGraph, node: Any, x: Any, block: int) -> str:
    """``pixel_unshuffle``: the way back."""
    new = g.shape(node)
    name = g.op(node, OpKind.SPACE_TO_DEPTH, (g.tensor(x),), stored(new), suffix=".blocks", block=block)
    order = np.arange(new[1]).reshape(block * block, -1).T.reshape(-1)
    return _shuffled(g, node, name, new, order, "")


def stack(g: TorchGraph, node: Any, parts: Any, axis: int = 0) -> str:
    """``torch.stack``: each part gets a dimension of size 1, then they are joined."""
    new = g.shape(node)
    axis %= len(new)
    single = (*new[:axis], 1, *new[axis + 1 :])
    names = [
        g.reshaped(node, g.tensor(p), g.shape(p), single, suffix=f".part{i}") for i, p in enumerate(parts)
    ]
    return g.op(node, OpKind.CONCATENATION, names, stored(new), axes=(_place(axis, len(new)),))
