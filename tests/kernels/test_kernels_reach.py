"""How far an output may reach into its input: exact, and kept to by the kernels that run there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.graph.shapes import infer
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.backward import grad_input
from mcusim.kernels.forward import forward
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.reach import REGISTERS, axes, distance, gradient_distance
from mcusim.memory.arena import Arena

WINDOWS = (OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D, OpKind.MAX_POOL_2D, OpKind.AVERAGE_POOL_2D)
CONVOLUTIONS = WINDOWS[:2]


@st.composite
def ops(draw: st.DrawFn, kinds: tuple[OpKind, ...] = WINDOWS) -> tuple[Op, Tensors, np.random.Generator]:
    """Draw an op with a window, of any stride, padding, dilation and channels."""
    kind = draw(st.sampled_from(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = st.integers(1, 9)
    height, width, channels = draw(side), draw(side), draw(st.integers(1, 5))
    pool = kind not in CONVOLUTIONS
    window = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    # A pool never looks at a window without a single element, and has no dilation.
    most = min(window) - 1 if pool else 3
    padding = tuple((draw(st.integers(0, most)), draw(st.integers(0, most))) for _ in range(2))
    dilation = (1, 1) if pool else (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    attributes = Attributes(
        stride=(draw(st.integers(1, 3)), draw(st.integers(1, 3))), padding=padding, dilation=dilation,
        kernel=window if pool else (1, 1),
    )  # fmt: skip
    tensors = {
        "x": Tensor("x", (1, height, width, channels), "int8", Quant.of(0.05, int(rng.integers(-9, 9))))
    }
    inputs: tuple[str, ...] = ("x",)
    if not pool:
        depthwise = kind is OpKind.DEPTHWISE_CONV_2D
        outputs = channels * draw(st.integers(1, 2)) if depthwise else draw(st.integers(1, 20))
        shape = (1, *window, outputs) if depthwise else (outputs, *window, channels)
        scales = rng.uniform(0.002, 0.01, outputs).astype(np.float32)
        weight = rng.integers(-127, 128, shape, dtype=np.int8)
        tensors["w"] = Tensor("w", shape, "int8", Quant(scales, 0, 3 if depthwise else 0), weight)
        bias = rng.integers(-900, 900, outputs, dtype=np.int32)
        tensors["b"] = Tensor("b", (outputs,), "int32", Quant(scales, 0, 0), bias)
        inputs = ("x", "w", "b")
    op = Op("op", kind, inputs, "y", attributes)
    quant = tensors["x"].quant if pool else Quant.of(0.1, -3)
    tensors["y"] = Tensor("y", (1, 1, 1, 1), "int8", quant)
    from mcusim.core import BadModel

    try:
        tensors["y"] = Tensor("y", infer(op, tensors), "int8", quant)
    except BadModel:
        assume(False)
    return op, tensors, rng


def walked(op: Op, tensors: Tensors, read: int, written: int, *, backward: bool) -> int:
    """Return the least distance at which no byte is written that is read later, looking at every tap.

    A pixel is read before it is written where a kernel has a copy of it; a depthwise op with as many outputs
    as inputs, and any depthwise gradient, reads and writes channel after channel; all others read until the
    last channel is written.
    """
    window = tensors["w"].shape[1:3] if op.traits.weighted else op.attributes.kernel
    channels, made = tensors["x"].shape[-1], tensors["y"].shape[-1]
    if op.kind is OpKind.CONV_2D:
        a = op.attributes
        alike = window == a.stride == (1, 1) and not any(map(any, a.padding))
        copied = alike if backward else window != (1, 1) or channels <= REGISTERS
    else:
        copied = False
    each = op.kind is not OpKind.CONV_2D and (backward or made == channels)
    rows, columns = axes(op, tensors)
    (h, oh, kh, sh, dh, top), (w, ow, kw, sw, dw, left) = rows, columns
    meets: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for r in range(oh):
        for c in range(ow):
            for i in range(kh):
                for j in range(kw):
                    y, x = r * sh - top + i * dh, c * sw - left + j * dw
                    if 0 <= y < h and 0 <= x < w:
                        key, value = ((y, x), (r, c)) if backward else ((r, c), (y, x))
                        meets.setdefault(key, []).append(value)
    height, width, line = (h, w, ow) if backward else (oh, ow, w)
    least = 0
    size = read // (made if backward else channels)
    for p in range(height * width):
        for later in range(p + 1, height * width):
            for y, x in meets.get(divmod(later, width), ()):
                least = max(least, (p + 1) * written - (y * line + x) * read)
        for y, x in () if copied else meets.get(divmod(p, width), ()):
            start = (y * line + x) * read
            if not each:
                least = max(least, (p + 1) * written - start)
                continue
            steps = channels if backward else made
            for c in range(steps - 1):  # when channel c was written, the next ones are read
                reads = (c + 1) * made // channels if backward else (c + 1) * channels // made
                least = max(least, p * written + (c + 1) * written // steps - start - reads * size)
    return least


@settings(max_examples=150, deadline=None)
@given(ops())
def test_the_distance_is_exact(case):
    op, tensors, _ = case
    pixels = tensors["x"].shape[-1], tensors["y"].shape[-1]
    assert distance(op, tensors) == walked(op, tensors, *pixels, backward=False)
    if op.kind in CONVOLUTIONS:
        for size in (1, 2, 4):
            bytes_ = (size * n for n in reversed(pixels))
            assert gradient_distance(op, tensors, size) == walked(op, tensors, *bytes_, backward=True)


@settings(max_examples=150, deadline=None)
@given(ops(), st.sampled_from(list(Arithmetic)), st.booleans(), st.integers(0, 16))
def test_an_output_that_grows_over_its_input_has_the_same_bits(case, arithmetic, masked, more):
    op, tensors, rng = case
    x, y = tensors["x"], tensors["y"]
    values = rng.integers(-128, 128, x.shape).astype(np.int8)
    kernel = forward(op, tensors, arithmetic)
    bits = (y.elements + 7) // 8
    masks = [np.zeros(bits, np.uint8) if masked and op.traits.masked else None for _ in range(2)]
    apart = np.empty(y.shape, np.int8)
    kernel((values.copy(),), apart, masks[0])
    below = distance(op, tensors) + more
    arena = Arena(below + x.bytes + y.bytes)
    source, target = arena.view(below, x.shape, np.int8), arena.view(0, y.shape, np.int8)
    source[...] = values
    kernel((source,), target, masks[1])
    assert np.array_equal(target, apart)
    assert masked is False or masks[0] is None or np.array_equal(*masks)


@settings(max_examples=100, deadline=None)
@given(ops(CONVOLUTIONS), st.sampled_from(list(ERRORS)), st.integers(0, 2))
def test_a_gradient_that_grows_over_another_has_the_same_bits(case, error, more):
    op, tensors, rng = case
    x, y, size = tensors["x"], tensors["y"], ERRORS[error].bytes
    kernel = grad_input(op, tensors, Arithmetic.FLOAT)
    g = rng.normal(0, 20, y.shape).astype(ERRORS[error].dtype)
    mask = rng.integers(0, 256, (y.elements + 7) // 8).astype(np.uint8)
    arguments = (0.5 if error != "float32" else 1.0, mask, (tensors["w"].data,))
    apart = np.empty(x.shape, g.dtype)
    last = 0.25 if error != "float32" else 1.0
    stored = kernel(g.copy(), *arguments, apart, last, False)
    below = gradient_distance(op, tensors, size) + more * size
    arena = Arena(below + (x.elements + y.elements) * size)
    source, target = arena.view(below, y.shape, g.dtype), arena.view(0, x.shape, g.dtype)
    source[...] = g
    assert kernel(source, *arguments, target, last, False) == stored
    assert np.array_equal(target, apart)


def test_too_near_is_too_near():
    """The rows really lie in the bytes that are written: a depthwise convolution that begins too high."""
    quant = Quant.of(0.05, 0)
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (1, 3, 3, 8), dtype=np.int8)
    tensors = {
        "x": Tensor("x", (1, 8, 8, 8), "int8", quant), "y": Tensor("y", (1, 8, 8, 8), "int8", quant),
        "w": Tensor("w", weight.shape, "int8", Quant(np.full(8, 0.01, np.float32), 0, 3), weight),
    }  # fmt: skip
    padding = ((1, 1), (1, 1))
    op = Op("op", OpKind.DEPTHWISE_CONV_2D, ("x", "w"), "y", Attributes(padding=padding))
    kernel = forward(op, tensors, Arithmetic.TFLITE)
    values = rng.integers(-128, 128, (1, 8, 8, 8)).astype(np.int8)
    apart = np.empty((1, 8, 8, 8), np.int8)
    kernel((values,), apart)
    assert distance(op, tensors) == (8 + 1) * 8
    for below, same in ((72, True), (32, False), (8, False)):
        arena = Arena(72 + 1024)
        source, target = arena.view(below, values.shape, np.int8), arena.view(0, values.shape, np.int8)
        source[...] = values
        kernel((source,), target)
        assert np.array_equal(target, apart) is same


SINGLE = [
    (OpKind.RELU, "int8", "int8"),
    (OpKind.QUANTIZE, "float32", "int8"),
    (OpKind.DEQUANTIZE, "int8", "float32"),
]


@pytest.mark.parametrize(("kind", "given_", "made"), SINGLE, ids=[str(kind) for kind, *_ in SINGLE])
@pytest.mark.parametrize("count", [1, 15, 16, 17, 200])
def test_elements_one_after_the_other(kind, given_, made, count):
    quant = Quant.of(0.5, 3)
    tensors = {
        "x": Tensor("x", (1, count), given_, quant), "y": Tensor("y", (1, count), made, quant),
    }  # fmt: skip
    op = Op("op", kind, ("x",), "y")
    below = distance(op, tensors)
    assert below == max((count - 1) * (np.dtype(made).itemsize - np.dtype(given_).itemsize), 0)
    values = np.random.default_rng(0).integers(-60, 60, (1, count)).astype(given_)
    apart = np.empty((1, count), made)
    kernel = forward(op, tensors, Arithmetic.FLOAT)
    kernel((values,), apart)
    below += -below % 4
    arena = Arena(below + values.nbytes + apart.nbytes)
    source, target = arena.view(below, values.shape, given_), arena.view(0, apart.shape, made)
    source[...] = values
    kernel((source,), target)
    assert np.array_equal(target, apart)


def test_what_reads_in_another_order_may_not_overlap():
    quant = Quant.of(0.5, 3)
    tensors = {"x": Tensor("x", (1, 4), "int8", quant), "y": Tensor("y", (1, 4), "int8", quant)}
    for kind in (OpKind.SOFTMAX, OpKind.RESHAPE, OpKind.FULLY_CONNECTED):
        assert distance(Op("op", kind, ("x",), "y"), tensors) is None
        assert gradient_distance(Op("op", kind, ("x",), "y"), tensors, 4) is None
