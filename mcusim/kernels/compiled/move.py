"""Ops that only move bytes: RESHAPE, TRANSPOSE, PAD and CONCATENATION of tensors with one scale."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.prepared import ForwardKernel, address_of, array_at, check
from mcusim.kernels.compiled.staging import fill
from mcusim.kernels.reference.shape import interior, parts
from mcusim.kernels.scales import quant_of
from mcusim.kernels.vector import simd

RANK = 5
"""Dimensions that a move has at most, beside the innermost run of bytes."""
PART = 3 + 3 * RANK
"""Numbers of one part: source, target, bytes of a run; sizes; steps of the source; steps of the target."""
FILLED, FILL_BYTES, VALUE, COUNT, HEAD = range(5)
"""The record is int64: what to fill, bytes of it, with what; number of parts; and the parts."""


@compiled
def move(address):  # type: ignore[no-untyped-def]
    """Copy part after part, run after run of bytes; fill what lies around the runs where asked to."""
    count = array_at(address, HEAD, np.int64)[COUNT]
    p = array_at(address, HEAD + count * PART, np.int64)
    done, end, value = p[FILLED], p[FILLED] + p[FILL_BYTES], p[VALUE]
    for k in range(HEAD, HEAD + count * PART, PART):
        run, n, f, t = p[k + 2], k + 3, k + 3 + RANK, k + 3 + 2 * RANK
        for a in range(p[n]):
            for b in range(p[n + 1]):
                for c in range(p[n + 2]):
                    for d in range(p[n + 3]):
                        source = p[k] + a * p[f] + b * p[f + 1] + c * p[f + 2] + d * p[f + 3]
                        target = p[k + 1] + a * p[t] + b * p[t + 1] + c * p[t + 2] + d * p[t + 3]
                        many, there, here = p[n + 4], p[f + 4], p[t + 4]
                        if run == 1 and done == end:
                            for i in range(many):
                                simd.store_byte(target + i * here, simd.byte_at(source + i * there))
                            continue
                        for _ in range(many):
                            if done < end:
                                fill(done, value, target - done)
                                done = target + run
                            simd.copy(source, target, run)
                            source += there
                            target += here
    fill(done, value, end - done)


def part(source: Array, target: Array, *, ordered: bool = False) -> list[int]:
    """Return the numbers of one part: two views of one shape and type, merged where they are contiguous.

    Single bytes are copied along the longest dimension, unless they are to be in the order of the target.
    """
    run, dims = source.itemsize, list[tuple[int, int, int]]()
    for size, f, t in zip(source.shape[::-1], source.strides[::-1], target.strides[::-1], strict=True):
        if size == 1:
            continue
        if not dims and f == t == run:
            run *= size
        elif dims and (f, t) == (dims[-1][0] * dims[-1][1], dims[-1][0] * dims[-1][2]):
            dims[-1] = (size * dims[-1][0], *dims[-1][1:])
        else:
            dims.append((size, f, t))
    if run == 1 and not ordered:
        dims.sort(reverse=True)
    dims += [(1, 0, 0)] * (RANK - len(dims))
    return [address_of(source), address_of(target), run, *np.array(dims[::-1]).T.reshape(-1).tolist()]


def copying(source: Array, target: Array) -> Callable[[], Any]:
    """Return what copies a view to another of its shape and type, as a kernel where the two lie apart."""
    if source.ndim > RANK or np.may_share_memory(source, target):
        return partial(np.copyto, target, source)
    record = np.array([0, 0, 0, 1, *part(source, target)], np.int64)
    bound = partial(move, address_of(record))
    bound.keep = (record, source, target)  # type: ignore[attr-defined]
    return bound


class Move(ForwardKernel):
    """RESHAPE, TRANSPOSE, PAD or CONCATENATION; see ``forward.forward``. They have no mask."""

    def __init__(self, op: Op, tensors: Tensors) -> None:
        super().__init__()
        self.op, self.name, self.dtype = op, f"op {op.name!r}", tensors[op.output].dtype
        y = tensors[op.output]
        self.nothing = quant_of(y).zero_point if y.dtype == "int8" else 0
        if op.attributes.fill is not None:
            self.nothing = int(op.attributes.fill)

    @staticmethod
    def can(op: Op, tensors: Tensors) -> bool:
        """True unless values change on the way, or there are too many dimensions."""
        y = tensors[op.output]
        quants = [tensors[name].quant for name in op.inputs]
        same = all(q is None or q.same_as(y.quant) for q in quants)
        small = all(len(tensors[name].shape) <= RANK + 1 for name in (*op.inputs, op.output))
        # What fills is set byte by byte.
        filled = op.attributes.fill is None or y.dtype == "int8"
        return small and filled and (same or op.kind is not OpKind.CONCATENATION)

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        y, _, *inputs = buffers
        for what, array in (("output", y), *(("input", x) for x in inputs)):
            check(f"{what} of {self.name}", array, self.dtype)
        try:
            pairs = self._pairs(inputs, y)
        except ValueError:
            raise BadArgument(f"output of {self.name}", f"has shape {y.shape}, which does not fit") from None
        pads = self.op.kind is OpKind.PAD
        moved = [part(x, z, ordered=pads) for x, z in pairs if z.size and address_of(x) != address_of(z)]
        head = [address_of(y), y.nbytes if pads else 0, self.nothing & 0xFF, len(moved)]
        return move, np.array([*head, *chain.from_iterable(moved)], np.int64)

    def _pairs(self, inputs: list[Array], y: Array) -> list[tuple[Array, Array]]:
        """Return (source, target) views of the same shape."""
        a, kind = self.op.attributes, self.op.kind
        if kind is OpKind.CONCATENATION:
            pairs = list(zip(inputs, parts(tuple(inputs), a.axes[0], y), strict=True))
        elif kind is OpKind.PAD:
            inside = interior(self.op, inputs[0].shape)
            # A batch is padded as its first image is.
            inside = inside if any(a.pads[0]) else (slice(None), *inside[1:])
            pairs = [(inputs[0], y[inside])]
        elif kind is OpKind.TRANSPOSE:
            pairs = [(inputs[0].transpose(a.axes), y)]
        else:
            pairs = [(inputs[0].reshape(y.shape), y)]
        if any(x.shape != z.shape for x, z in pairs):
            raise ValueError
        return pairs
