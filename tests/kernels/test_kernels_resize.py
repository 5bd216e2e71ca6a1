"""Images on another grid, whole and in parts, against the slow twin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels_cases import SEEDS, quant

from mcusim.core import BadArgument
from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Tensor
from mcusim.kernels import reference
from mcusim.kernels.compiled.resize import Resize
from mcusim.kernels.forward import forward
from mcusim.kernels.reference.shape import sources

SIDE = st.integers(1, 9)


def case(kind, before, after, attributes=None, seed=0, batch=1, channels=3):
    rng = np.random.default_rng(seed)
    shapes = {"x": (batch, *before, channels), "y": (batch, *after, channels)}
    q = quant(rng)
    tensors = {name: Tensor(name, shape, "int8", q) for name, shape in shapes.items()}
    op = Op("op", kind, ("x",), "y", attributes or Attributes(shape=shapes["y"], half_pixel_centers=True))
    return op, tensors, rng.integers(-128, 128, shapes["x"]).astype(np.int8)


@given(
    before=st.tuples(SIDE, SIDE), after=st.tuples(SIDE, SIDE), seed=SEEDS, batch=st.integers(1, 2),
    channels=st.integers(1, 5), grid=st.sampled_from([(False, False), (False, True), (True, False)]),
    clamp=st.sampled_from([(-128, 127), (-20, 30)]),
)  # fmt: skip
def test_stretched_rows_agree_with_the_slow_twin(before, after, seed, batch, channels, grid, clamp):
    attributes = Attributes(
        shape=(1, *after, channels), align_corners=grid[0], half_pixel_centers=grid[1], clamp=clamp
    )
    op, tensors, x = case(OpKind.RESIZE_BILINEAR, before, after, attributes, seed, batch, channels)
    found, expected = (np.full(tensors["y"].shape, 77, np.int8) for _ in range(2))
    kernel = forward(op, tensors, Arithmetic.TFLITE)
    assert isinstance(kernel, Resize)
    kernel((x,), found)
    reference.forward(op, tensors, Arithmetic.TFLITE)((x,), expected)
    np.testing.assert_array_equal(found, expected)


@given(
    kind=st.sampled_from([OpKind.RESIZE_BILINEAR, OpKind.RESIZE_NEAREST_NEIGHBOR]), seed=SEEDS,
    before=st.tuples(SIDE, SIDE), after=st.tuples(SIDE, SIDE), data=st.data(),
)  # fmt: skip
def test_a_part_is_that_part_of_the_whole(kind, seed, before, after, data):
    op, tensors, x = case(kind, before, after, seed=seed)
    whole = np.empty(tensors["y"].shape, np.int8)
    forward(op, tensors, Arithmetic.TFLITE)((x,), whole)
    spans, parts, boxes = [], [], []
    for axis in (0, 1):
        first = data.draw(st.integers(0, after[axis] - 1))
        span = slice(first, data.draw(st.integers(first + 1, after[axis])))
        lower, upper = (index[span] for index in sources(op, axis, before[axis], after[axis]))
        boxes.append(slice(int(lower.min()), int(upper.max()) + 1))
        parts.append((before[axis], after[axis], boxes[axis].start, first))
        spans.append(span)
    expected = whole[:, spans[0], spans[1]]
    part = replace(op, attributes=replace(op.attributes, part=tuple(parts)))
    for make in (forward, reference.forward):
        found = np.empty(expected.shape, np.int8)
        make(part, tensors, Arithmetic.TFLITE)((np.ascontiguousarray(x[:, boxes[0], boxes[1]]),), found)
        np.testing.assert_array_equal(found, expected)


def test_arrays_that_do_not_fit_are_refused():
    op, tensors, x = case(OpKind.RESIZE_BILINEAR, (2, 3), (4, 6))
    kernel = forward(op, tensors, Arithmetic.TFLITE)
    with pytest.raises(BadArgument, match="does not fit"):
        kernel((x,), np.empty((1, 4, 6, 2), np.int8))
    with pytest.raises(BadArgument, match="is float32, not int8"):
        kernel((x.astype(np.float32),), np.empty((1, 4, 6, 3), np.int8))
    part = replace(op, attributes=replace(op.attributes, part=((9, 9, 0, 4), (3, 6, 0, 0))))
    with pytest.raises(BadArgument, match="does not fit"):
        forward(part, tensors, Arithmetic.TFLITE)((x,), np.empty((1, 4, 6, 3), np.int8))
