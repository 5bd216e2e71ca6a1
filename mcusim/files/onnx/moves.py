"""ONNX operators that cut, repeat or shuffle elements.

Operator definitions: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import numpy as np

from mcusim.files.folding import integers
from mcusim.files.onnx.graph import NHWC, OnnxGraph, Shape, Value, onnx_shape
from mcusim.files.onnx.layout import reshaped
from mcusim.files.onnx.proto import Node
from mcusim.graph import OpKind


def _place(axis: int, rank: int) -> int:
    """Return where a dimension of ONNX's lies in what is stored."""
    return NHWC.index(axis) if rank == 4 else axis


def _listed(g: OnnxGraph, node: Node, index: int, name: str) -> tuple[int, ...] | None:
    """Return integers that are an input in new files and an attribute in old ones."""
    given = g.constant(node, index)
    if given is not None:
        return tuple(integers(given.data)[:65_536])
    return node.integers(name, ()) if name in node.attributes else None


def _cut(g: OnnxGraph, node: Node, x: Value, cuts: dict[int, tuple[int, int, int]], suffix: str) -> Value:
    """Keep (first, step, how many) along some of ONNX's dimensions."""
    shape = onnx_shape(g.shape(x))
    cuts = {axis: cut for axis, cut in cuts.items() if cut != (0, 1, shape[axis])}
    if not cuts:
        return x
    return g.move(
        node, OpKind.STRIDED_SLICE, x, suffix=suffix, axes=tuple(_place(axis, len(shape)) for axis in cuts),
        begin=tuple(c[0] for c in cuts.values()), step=tuple(c[1] for c in cuts.values()),
        shape=tuple(c[2] for c in cuts.values()),
    )  # fmt: skip


def cut(g: OnnxGraph, node: Node) -> Value:
    """Slice."""
    x = g.settled(g.value(node, 0))
    shape = onnx_shape(g.shape(x))
    starts, ends = _listed(g, node, 1, "starts"), _listed(g, node, 2, "ends")
    axes = _listed(g, node, 3, "axes")
    steps = _listed(g, node, 4, "steps")
    if starts is None or ends is None:
        raise node.fail("has no constant bounds")
    axes = node.axes(tuple(range(len(starts))) if axes is None else axes, len(shape))
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.fail(f"cuts {axes} from {starts} to {ends} in steps of {steps}")
    cuts = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        span = range(*slice(start, end, step).indices(shape[axis]))
        if not len(span):
            raise node.fail(f"keeps nothing of dimension {axis} of {shape}")
        cuts[axis] = (span.start, step, len(span))
    return _cut(g, node, x, cuts, "")


def split(g: OnnxGraph, node: Node) -> list[Value]:
    """Split: one slice an output."""
    x = g.settled(g.value(node, 0))
    shape, count = onnx_shape(g.shape(x)), len(node.outputs)
    (axis,) = node.axes((node.integer("axis", 0),), len(shape))
    sizes = _listed(g, node, 1, "split")
    if sizes is None:
        largest = -(-shape[axis] // count)
        sizes = tuple(min(largest, shape[axis] - i * largest) for i in range(count))
    if len(sizes) != count or min(sizes) < 1 or sum(sizes) != shape[axis]:
        raise node.fail(f"cuts {shape} along {axis} into {count} parts of {sizes}")
    firsts = np.cumsum((0, *sizes[:-1]))
    return [
        _cut(g, node, x, {axis: (int(first), 1, size)}, f".{i}")
        for i, (first, size) in enumerate(zip(firsts, sizes, strict=True))
    ]


def tile(g: OnnxGraph, node: Node) -> Value:
    """Tile."""
    repeats = _listed(g, node, 1, "repeats")
    x = g.settled(g.value(node, 0))
    if repeats is None or len(repeats) != len(g.shape(x)) or min(repeats) < 1:
        raise node.fail(f"repeats {onnx_shape(g.shape(x))} {repeats} times")
    return _tiled(g, node, x, repeats)


def _tiled(g: OnnxGraph, node: Node, x: Value, repeats: Shape) -> Value:
    if set(repeats) == {1}:
        return x
    places = tuple(repeats[i] for i in NHWC) if len(repeats) == 4 else repeats
    return g.move(node, OpKind.TILE, x, repeats=places)


def expand(g: OnnxGraph, node: Node) -> Value:
    """Expand: repeats dimensions of size 1."""
    x, shape = g.settled(g.value(node, 0)), _listed(g, node, 1, "shape")
    old = onnx_shape(g.shape(x))
    if shape is None:
        raise node.fail("has no constant shape")
    wide = (1,) * (len(shape) - len(old)) + old
    try:
        new = np.broadcast_shapes(wide, shape)
    except ValueError:
        raise node.fail(f"cannot broadcast {old} to {shape}") from None
    if wide != old:
        x = reshaped(g, node, x, wide, ".wide")
    repeats = tuple(n // o for n, o in zip(new, wide, strict=True))
    return _tiled(g, node, x, repeats)


def gather(g: OnnxGraph, node: Node) -> Value:
    """Gather by constant numbers."""
    x, given = g.settled(g.value(node, 0)), g.constant(node, 1)
    shape = onnx_shape(g.shape(x))
    (axis,) = node.axes((node.integer("axis", 0),), len(shape))
    if given is None or not given.data.size:
        raise node.fail("has no constant numbers of elements")
    size = shape[axis]
    numbers = integers(given.data)[:65_536]
    if not all(-size <= i < size for i in numbers):
        raise node.fail(f"takes elements that do not exist along dimension {axis} of {shape}")
    taken = g.move(
        node, OpKind.GATHER, x, suffix="" if given.data.ndim == 1 else ".taken",
        axes=(_place(axis, len(shape)),), indices=tuple(i % size for i in numbers),
    )  # fmt: skip
    if given.data.ndim == 1:
        return taken
    return reshaped(g, node, taken, (*shape[:axis], *given.data.shape, *shape[axis + 1 :]))


def depth_to_space(g: OnnxGraph, node: Node) -> Value:
    """DepthToSpace: the order of channels of CRD is brought to that of DCR first."""
    x, block = g.settled(g.value(node, 0)), node.integer("blocksize", 0)
    if len(g.shape(x)) != 4 or block < 1 or g.shape(x)[3] % (block * block):
        raise node.fail(f"spreads {onnx_shape(g.shape(x))} over squares of {block}")
    if node.attributes.get("mode", "DCR") == "CRD":
        order = np.arange(g.shape(x)[3]).reshape(-1, block * block).T.reshape(-1)
        indices = tuple(int(i) for i in order)
        x = g.move(node, OpKind.GATHER, x, suffix=".order", axes=(3,), indices=indices)
    return g.move(node, OpKind.DEPTH_TO_SPACE, x, block=block)


def space_to_depth(g: OnnxGraph, node: Node) -> Value:
    """SpaceToDepth."""
    return g.move(node, OpKind.SPACE_TO_DEPTH, g.value(node, 0), block=node.integer("blocksize", 0))
