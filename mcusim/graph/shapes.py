"""Shape inference: what an op's output shape must be, given its inputs' shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from mcusim.core import BadModel
from mcusim.graph.kinds import OpKind
from mcusim.graph.ops import Op
from mcusim.graph.table import OpTable
from mcusim.graph.tensor import Tensor
from mcusim.graph.traits import BINARY, PAIRS, POOLS, REDUCTIONS, RESIZES, UNARY

Shape = tuple[int, ...]


def infer(op: Op, tensors: Mapping[str, Tensor]) -> Shape:
    """Return the shape of ``op``'s output; its declared shape decides only where the op leaves a choice.

    MEAN may keep the reduced dimensions with size 1 or drop them, and FULLY_CONNECTED may keep the
    leading dimensions or fold them into one: the declared output shape tells which.

    Raises:
        BadModel: if the inputs' shapes do not fit each other or the op; names the op and the tensors.
    """
    return SHAPES.of(op)(op, [tensors[name].shape for name in op.inputs], tensors[op.output].shape)


def window(size: int, kernel: int, stride: int, dilation: int, padding: tuple[int, int]) -> int:
    """Return how many windows of a convolution or pooling fit along one dimension (0 or less: none)."""
    return (size + sum(padding) - (kernel - 1) * dilation - 1) // stride + 1


def _wrong(op: Op, reason: str) -> BadModel:
    return BadModel(
        f"op {op.name!r} ({op.kind})", f"{reason}; inputs {', '.join(op.inputs)}, output {op.output}"
    )


def _rank4(op: Op, shape: Shape) -> Shape:
    if len(shape) != 4:
        raise _wrong(op, f"needs an NHWC input, not one of shape {shape}")
    return shape


def _windows(op: Op, x: Shape, kernel: tuple[int, int], channels: int) -> Shape:
    a = op.attributes
    sides = tuple(window(x[1 + i], kernel[i], a.stride[i], a.dilation[i], a.padding[i]) for i in range(2))
    if min(sides) < 1:
        raise _wrong(op, f"its window {kernel} does not fit into {x[1:3]} with padding {a.padding}")
    return (x[0], *sides, channels)


def _check_bias(op: Op, shapes: list[Shape], channels: int) -> None:
    if len(shapes) > 2 and prod(shapes[2]) != channels:
        raise _wrong(op, f"has {channels} output channels and a bias of shape {shapes[2]}")


def _convolution(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    x, w = _rank4(op, shapes[0]), _rank4(op, shapes[1])
    if x[3] != w[3]:
        raise _wrong(op, f"input has {x[3]} channels and its weight of shape {w} expects {w[3]}")
    _check_bias(op, shapes, w[0])
    return _windows(op, x, (w[1], w[2]), w[0])


def _depthwise(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    x, w = _rank4(op, shapes[0]), _rank4(op, shapes[1])
    if w[0] != 1 or w[3] % x[3]:
        raise _wrong(op, f"weight of shape {w} does not fit an input of {x[3]} channels")
    _check_bias(op, shapes, w[3])
    return _windows(op, x, (w[1], w[2]), w[3])


def _grouped(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    x, w = _rank4(op, shapes[0]), _rank4(op, shapes[1])
    if x[3] % w[3] or w[0] % (x[3] // w[3]):
        raise _wrong(op, f"weight of shape {w} makes no groups of {x[3]} channels")
    _check_bias(op, shapes, w[0])
    return _windows(op, x, (w[1], w[2]), w[0])


def _transpose_conv(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    (x, w), a = (_rank4(op, shapes[0]), _rank4(op, shapes[1])), op.attributes
    if x[3] != w[3]:
        raise _wrong(op, f"input has {x[3]} channels and its weight of shape {w} expects {w[3]}")
    _check_bias(op, shapes, w[0])
    shape = a.shape
    reach = [(x[1 + i] - 1) * a.stride[i] + w[1 + i] - a.padding[i][0] for i in range(2)]
    if len(shape) != 4 or (shape[0], shape[3]) != (x[0], w[0]) or min(shape, default=0) < 1 or min(reach) < 1:
        raise _wrong(op, f"cannot make {shape} of {x} with a weight of shape {w}")
    return shape


def _batch_matmul(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    if min(map(len, shapes)) < 2:
        raise _wrong(op, f"multiplies {shapes[0]} and {shapes[1]}, which are no matrices")
    turned = [
        (*s[:-2], s[-1], s[-2]) if turn else s for s, turn in zip(shapes, op.attributes.adjoint, strict=True)
    ]
    rank = max(map(len, turned))
    left, right = ((1,) * (rank - len(s)) + s for s in turned)
    fits = all(len({a, b} - {1}) < 2 for a, b in zip(left[:-2], right[:-2], strict=True))
    if left[-1] != right[-2] or not fits:
        raise _wrong(op, f"cannot multiply matrices of {left} and {right}")
    return (*(max(a, b) for a, b in zip(left[:-2], right[:-2], strict=True)), left[-2], right[-1])


def _fully_connected(op: Op, shapes: list[Shape], declared: Shape) -> Shape:
    x, w = shapes[0], shapes[1]
    if len(w) != 2 or not x or prod(x) % w[1]:
        raise _wrong(op, f"weight of shape {w} does not fit an input of shape {x}")
    _check_bias(op, shapes, w[0])
    kept = (*x[:-1], w[0])
    return kept if declared == kept and x[-1] == w[1] else (prod(x) // w[1], w[0])


def _broadcast(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    for sizes in zip(*padded, strict=True):
        if len({*sizes} - {1}) > 1:
            raise _wrong(op, f"inputs of shapes {shapes[0]} and {shapes[1]} cannot be broadcast")
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))


def _pad(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    pads = op.attributes.pads
    if len(pads) != len(shapes[0]):
        raise _wrong(op, f"pads {len(pads)} dimensions of an input of shape {shapes[0]}")
    return tuple(size + before + after for size, (before, after) in zip(shapes[0], pads, strict=True))


def _axes(op: Op, rank: int) -> set[int]:
    axes = {a + rank if a < 0 else a for a in op.attributes.axes}
    if not axes or min(axes) < 0 or max(axes) >= rank:
        raise _wrong(op, f"axes {op.attributes.axes} do not exist in {rank} dimensions")
    return axes


def _mean(op: Op, shapes: list[Shape], declared: Shape) -> Shape:
    axes = _axes(op, len(shapes[0]))
    kept = tuple(1 if i in axes else size for i, size in enumerate(shapes[0]))
    return kept if declared == kept else tuple(s for i, s in enumerate(shapes[0]) if i not in axes)


def _pool(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    x = _rank4(op, shapes[0])
    return _windows(op, x, op.attributes.kernel, x[3])


def _reshape(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    if prod(op.attributes.shape) != prod(shapes[0]):
        raise _wrong(op, f"cannot turn {shapes[0]} into {op.attributes.shape}")
    return op.attributes.shape


def _concatenation(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    first, rank = shapes[0], len(shapes[0])
    (axis,) = _axes(op, rank) if len(op.attributes.axes) == 1 else (rank,)
    if axis == rank or any(
        len(s) != rank or s[:axis] + s[axis + 1 :] != first[:axis] + first[axis + 1 :] for s in shapes
    ):
        raise _wrong(op, f"shapes {shapes} cannot be joined along axis {op.attributes.axes}")
    return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])


def _transpose(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    order = op.attributes.axes
    if sorted(order) != list(range(len(shapes[0]))):
        raise _wrong(op, f"{order} is no permutation of the dimensions of {shapes[0]}")
    return tuple(shapes[0][i] for i in order)


def _strided_slice(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    a, kept = op.attributes, list(shapes[0])
    if not len(a.axes) == len(a.begin) == len(a.step) == len(a.shape) or len({*a.axes}) < len(a.axes):
        raise _wrong(op, f"cuts dimensions {a.axes} from {a.begin} in steps of {a.step}")
    for axis, first, step, count in zip(a.axes, a.begin, a.step, a.shape, strict=True):
        last = first + step * (count - 1)
        if not (0 <= axis < len(kept) and count > 0 and step and min(first, last) >= 0):
            raise _wrong(op, f"cuts dimensions {a.axes} from {a.begin} in steps of {a.step}")
        if max(first, last) >= kept[axis]:
            raise _wrong(op, f"cuts {a.shape} from {a.begin} out of {shapes[0]}")
        kept[axis] = count
    return tuple(kept)


def _tile(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    repeats = op.attributes.repeats
    if len(repeats) != len(shapes[0]) or min(repeats, default=1) < 1:
        raise _wrong(op, f"repeats an input of shape {shapes[0]} {repeats} times")
    return tuple(size * count for size, count in zip(shapes[0], repeats, strict=True))


def _gather(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    (axis,) = _axes(op, len(shapes[0])) if len(op.attributes.axes) == 1 else (0,)
    indices = op.attributes.indices
    if not indices or min(indices) < 0 or max(indices) >= shapes[0][axis]:
        raise _wrong(op, f"takes elements that do not exist along dimension {axis} of {shapes[0]}")
    return (*shapes[0][:axis], len(indices), *shapes[0][axis + 1 :])


def _reverse(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    _axes(op, len(shapes[0]))
    return shapes[0]


def _mirror_pad(op: Op, shapes: list[Shape], declared: Shape) -> Shape:
    found = _pad(op, shapes, declared)
    edge = 0 if op.attributes.symmetric else 1
    if any(max(pad) > size - edge for size, pad in zip(shapes[0], op.attributes.pads, strict=True)):
        raise _wrong(op, f"mirrors more than there is: {op.attributes.pads} of {shapes[0]}")
    return found


def _depth_to_space(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    (n, height, width, depth), b = _rank4(op, shapes[0]), op.attributes.block
    if b < 1 or depth % (b * b):
        raise _wrong(op, f"cannot spread {depth} channels over squares of {b} pixels")
    return (n, height * b, width * b, depth // (b * b))


def _space_to_depth(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    (n, height, width, depth), b = _rank4(op, shapes[0]), op.attributes.block
    if b < 1 or height % b or width % b:
        raise _wrong(op, f"cannot cut {height} x {width} pixels into squares of {b}")
    return (n, height // b, width // b, depth * b * b)


def _same(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    return shapes[0]


def _softmax(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    if op.attributes.axes:
        _axes(op, len(shapes[0]))
    return shapes[0]


def _resize(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    x, shape = _rank4(op, shapes[0]), op.attributes.shape
    if len(shape) != 4 or (shape[0], shape[3]) != (x[0], x[3]):
        raise _wrong(op, f"cannot resize {x} to {shape}")
    return shape


def _arg_max(op: Op, shapes: list[Shape], _: Shape) -> Shape:
    axes = _axes(op, len(shapes[0]))
    return tuple(size for i, size in enumerate(shapes[0]) if i not in axes)


SHAPES: OpTable[Callable[[Op, list[Shape], Shape], Shape]] = OpTable(
    "shapes",
    {
        OpKind.CONV_2D: _convolution,
        OpKind.DEPTHWISE_CONV_2D: _depthwise,
        OpKind.FULLY_CONNECTED: _fully_connected,
        OpKind.GROUPED_CONV_2D: _grouped,
        OpKind.TRANSPOSE_CONV: _transpose_conv,
        OpKind.BATCH_MATMUL: _batch_matmul,
        **dict.fromkeys((*BINARY, *PAIRS), _broadcast),
        **dict.fromkeys(UNARY, _same),
        **dict.fromkeys(POOLS, _pool),
        **dict.fromkeys(RESIZES, _resize),
        OpKind.PAD: _pad,
        **dict.fromkeys(REDUCTIONS, _mean),
        OpKind.RESHAPE: _reshape,
        OpKind.CONCATENATION: _concatenation,
        OpKind.TRANSPOSE: _transpose,
        OpKind.STRIDED_SLICE: _strided_slice,
        OpKind.TILE: _tile,
        OpKind.GATHER: _gather,
        OpKind.REVERSE: _reverse,
        OpKind.MIRROR_PAD: _mirror_pad,
        OpKind.DEPTH_TO_SPACE: _depth_to_space,
        OpKind.SPACE_TO_DEPTH: _space_to_depth,
        OpKind.QUANTIZE: _same,
        OpKind.DEQUANTIZE: _same,
        **dict.fromkeys((OpKind.SOFTMAX, OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION), _softmax),
        OpKind.ARG_MAX: _arg_max,
    },
)
