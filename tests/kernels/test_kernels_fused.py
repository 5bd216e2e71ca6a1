"""Kernels whose sums become outputs in registers, in every shape against the slow twins, between guards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels_cases import ARITHMETICS, SEEDS, clamp, int8

from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.kernels import reference
from mcusim.kernels.compiled.driver import CallTable
from mcusim.kernels.compiled.fused import ENTRIES
from mcusim.kernels.compiled.fused_prepare import Guarded
from mcusim.kernels.forward import forward
from mcusim.kernels.scales import rounds_once

GUARD = 80
CONV, DEPTHWISE, FULLY = OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D, OpKind.FULLY_CONNECTED


def placed(array: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a copy at an odd place between guards, and the memory around it."""
    memory = np.full(array.nbytes + 2 * GUARD, 0x5A, np.uint8)
    view = memory[GUARD + shift : GUARD + shift + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view, memory


def network(
    seed: int, kind: OpKind, c_in: int, c_out: int, kernel: tuple[int, int] = (1, 1), *, size=(5, 6), n=1,
    stride=(1, 1), dilation=(1, 1), padding=((0, 0), (0, 0)),
) -> tuple[Op, dict[str, Tensor], np.ndarray]:  # fmt: skip
    """Return an op, its tensors and an input; factors well below a half, some channels dead."""
    rng = np.random.default_rng(seed)
    a = Attributes(clamp=clamp(rng), stride=stride, dilation=dilation, padding=padding)
    if kind is DEPTHWISE:
        c_out = c_in
    scales = rng.uniform(1e-4, 2e-3, c_out).astype(np.float32)
    scales[rng.random(c_out) < 0.1] = 1e-11
    if kind is FULLY:
        x_shape, w_shape, y_shape = (n, c_in), (c_out, c_in), (n, c_out)
        scales = scales[:1]
    else:
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        sizes = [max(s, span - sum(p)) for s, span, p in zip(size, spans, padding, strict=True)]
        out = [(sizes[i] + sum(padding[i]) - spans[i]) // stride[i] + 1 for i in range(2)]
        x_shape, y_shape = (n, *sizes, c_in), (n, *out, c_out)
        w_shape = (1, *kernel, c_out) if kind is DEPTHWISE else (c_out, *kernel, c_in)
    w = rng.integers(-127, 128, w_shape).astype(np.int8)
    tensors = {
        "x": Tensor("x", x_shape, "int8", Quant.of(0.05, int(rng.integers(-128, 128)))),
        "w": Tensor("w", w.shape, "int8", Quant(scales, 0, 3 if kind is DEPTHWISE else 0), w),
        "b": Tensor("b", (c_out,), "int32", None, rng.integers(-9000, 9000, c_out).astype(np.int32)),
        "y": Tensor("y", y_shape, "int8", Quant.of(rng.uniform(0.01, 0.1), int(rng.integers(-128, 128)))),
    }
    return Op("op", kind, ("x", "w", "b"), "y", a), tensors, int8(rng, *x_shape)


def agree(
    op: Op, tensors: dict[str, Tensor], given_x: np.ndarray, arithmetic: Arithmetic, *, shift: int = 0,
    masked: bool = False, wanted: bool = True,
) -> None:  # fmt: skip
    """Hold the kernel against its twin between guards; it must be one of these kernels if ``wanted``."""
    shape = tensors["y"].shape
    expected = np.zeros(shape, np.int8)
    mask = np.zeros(-(-expected.size // 8), np.uint8)
    reference.forward(op, tensors, arithmetic)((given_x,), expected, mask if masked else None)
    x, _ = placed(given_x, shift)
    y, around = placed(np.zeros(shape, np.int8), 7 * shift % 13)
    got, beside = placed(np.zeros_like(mask), shift % 3)
    kernel = forward(op, tensors, arithmetic)
    run = kernel.bind(y, got if masked else None, x)
    assert not wanted or run.func in ENTRIES[arithmetic]
    run()
    np.testing.assert_array_equal(y, expected)
    for view, memory in ((y, around), (got, beside)):
        inside = np.zeros(memory.size, bool)
        start = view.ctypes.data - memory.ctypes.data
        inside[start : start + view.nbytes] = True
        assert (memory[~inside] == 0x5A).all()
    if masked:
        np.testing.assert_array_equal(got, mask)


COMPILED = [
    (kind, arithmetic)
    for kind in (CONV, DEPTHWISE, FULLY)
    for arithmetic in Arithmetic
    if not rounds_once(kind, arithmetic)
]


@pytest.mark.parametrize(("kind", "arithmetic"), COMPILED)
def test_every_number_of_channels(kind: OpKind, arithmetic: Arithmetic) -> None:
    for count in range(1, 70):
        c_in, c_out = (count, 1 + count * 7 % 69) if count % 2 else (1 + count * 5 % 67, count)
        kernel = (3, 3) if kind is DEPTHWISE else (1, 1)
        op, tensors, x = network(count, kind, c_in, c_out, kernel, size=(3, 4), n=1 + count % 2)
        agree(op, tensors, x, arithmetic, shift=count % 64)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Op, dict[str, Tensor], np.ndarray, bool]:
    kind = draw(st.sampled_from([CONV, DEPTHWISE]))
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (5, 5), (7, 7), (2, 3), (1, 4), (4, 1)]))
    stride = draw(st.sampled_from([(1, 1), (2, 2), (3, 1), (1, 2)]))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2), (2, 3)]))
    padding = tuple(tuple(draw(st.integers(0, k)) for _ in range(2)) for k in kernel)
    size = draw(st.sampled_from([(1, 1), (2, 9), (8, 8), (5, 17), (9, 4)]))
    channels = st.sampled_from([1, 3, 8, 16, 24, 35, 48, 64])
    op, tensors, x = network(
        draw(SEEDS), kind, draw(channels), draw(channels), kernel, size=size, stride=stride,
        dilation=dilation, padding=padding, n=draw(st.integers(1, 2)),
    )  # fmt: skip
    return op, tensors, x, kind is DEPTHWISE or dilation[1] == 1


@given(windows(), ARITHMETICS, st.integers(0, 63), st.booleans())
def test_every_window_stride_and_padding(case, arithmetic: Arithmetic, shift: int, masked: bool) -> None:
    op, tensors, x, known = case
    masked = masked and x.shape[0] == 1
    whole = tensors["y"].shape[-1] % 8 == 0
    agree(op, tensors, x, arithmetic, shift=shift, masked=masked, wanted=known and (whole or not masked))


@given(SEEDS, ARITHMETICS, st.sampled_from([8, 16, 24, 48]), st.sampled_from([(3, 3), (5, 5)]), st.booleans())
def test_a_depthwise_output_may_lie_on_its_input(seed, arithmetic, channels, kernel, down) -> None:
    stride = (2, 2) if down else (1, 1)
    pads = tuple((k // 2, k // 2) for k in kernel)
    op, tensors, x = network(seed, DEPTHWISE, channels, 0, kernel, size=(7, 8), stride=stride, padding=pads)
    expected = np.zeros(tensors["y"].shape, np.int8)
    reference.forward(op, tensors, arithmetic)((x,), expected)
    memory = x.reshape(-1).copy()
    y = memory[: expected.size].reshape(expected.shape)
    forward(op, tensors, arithmetic)((memory.reshape(x.shape),), y)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("arithmetic", Arithmetic)
@pytest.mark.parametrize("what", ["bias", "factor", "zero point"])
def test_what_the_tiles_might_get_wrong_goes_the_general_way(what: str, arithmetic: Arithmetic) -> None:
    op, tensors, x = network(3, CONV, 8, 16)
    w, b, y = (tensors[n] for n in ("w", "b", "y"))
    if what == "bias":
        tensors["b"] = replace(b, data=np.full(16, 2**31 - 5, np.int32))
        tensors["w"] = replace(w, quant=Quant(np.full(16, undecided(tensors, 2**31), np.float32), 0, 0))
    elif what == "factor":
        tensors["y"] = replace(y, quant=Quant.of(1e-9, 3))
    else:
        tensors["w"] = replace(w, quant=Quant(w.quant.scale, 7, 0))
    run = forward(op, tensors, arithmetic).bind(np.zeros(y.shape, np.int8), None, x)
    assert run.func not in ENTRIES[arithmetic]
    agree(op, tensors, x, arithmetic, wanted=False)


def undecided(tensors: dict[str, Tensor], bias: int) -> float:
    """Return the scale of weights with which so large a bias lies between two outputs: sums decide."""
    return 1.5 / bias * float(tensors["y"].quant.scale[0]) / float(tensors["x"].quant.scale[0])


@pytest.mark.parametrize("kind", [CONV, DEPTHWISE])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("decided", [True, False])
def test_a_table_goes_the_general_way_where_a_large_bias_does_not_decide(
    kind: OpKind, fixed: bool, decided: bool
) -> None:
    op, tensors, x = network(5, kind, 16, 16, (3, 3) if kind is DEPTHWISE else (1, 1))
    w = tensors["w"]
    scales = w.quant.scale.copy()
    scales[3] = undecided(tensors, 2**31) * (1 if not decided else 0.8)
    tensors["w"] = replace(w, quant=replace(w.quant, scale=scales))
    op = replace(op, attributes=replace(op.attributes, clamp=(-128, 127)))
    tensors["y"] = replace(tensors["y"], quant=replace(tensors["y"].quant, zero_point=3))
    weight, bias = w.data.copy(), tensors["b"].data.copy()
    kernel = forward(op, tensors, Arithmetic.FLOAT, frozen=False, fixed_weight=fixed)
    first, second = (np.zeros(tensors["y"].shape, np.int8) for _ in range(2))
    calls = [kernel.call((x, weight, bias), y) for y in (first, second)]
    general = []
    for call in calls:
        assert isinstance(call.func, Guarded)
        otherwise = call.func.otherwise
        call.func.otherwise = lambda otherwise=otherwise: (general.append(1), otherwise())
    table, expected = CallTable(calls), np.zeros_like(first)
    for value in (7, 2**31 - 1, -5, -(2**31)):
        bias[3] = value
        if not fixed:
            weight[...] = weight[..., ::-1].copy()
        table()
        reference.forward(op, tensors, Arithmetic.FLOAT, frozen=False)((x, weight, bias), expected)
        np.testing.assert_array_equal(first, expected)
        np.testing.assert_array_equal(second, expected)
    assert len(general) == (0 if decided else 4)


@given(
    SEEDS, st.sampled_from([CONV, DEPTHWISE, FULLY]), ARITHMETICS, st.booleans(), st.booleans(),
    st.floats(-11, -4),
)  # fmt: skip
def test_biases_that_fill_32_bits(seed, kind, arithmetic, learns, masked, power) -> None:
    op, tensors, x = network(seed, kind, 16, 16, (3, 3) if kind is DEPTHWISE else (1, 1))
    rng, w, b = np.random.default_rng(seed), tensors["w"], tensors["b"]
    scales = (10.0 ** (power + rng.random(w.quant.scale.size))).astype(np.float32)
    tensors["w"] = replace(w, quant=replace(w.quant, scale=scales))
    wide = rng.choice([-(2**31), 2**31 - 1, 2**30, -(2**30), 1_469_974_912, 5], 16)
    jitter = rng.integers(-300_000, 300_000, 16)
    bias = np.clip(wide + jitter * rng.integers(0, 2, 16), -(2**31), 2**31 - 1).astype(np.int32)
    tensors["b"] = replace(b, data=bias)
    given_x = (x, w.data, bias) if learns else (x,)
    y, expected = (np.zeros(tensors["y"].shape, np.int8) for _ in range(2))
    mask, bits = (np.zeros(-(-y.size // 8), np.uint8) if masked else None for _ in range(2))
    reference.forward(op, tensors, arithmetic, frozen=not learns)(given_x, expected, bits)
    forward(op, tensors, arithmetic, frozen=not learns)(given_x, y, mask)
    np.testing.assert_array_equal(y, expected)
    if masked:
        np.testing.assert_array_equal(mask, bits)


@given(windows(), ARITHMETICS, SEEDS)
def test_weights_that_changed_are_packed_again(case, arithmetic: Arithmetic, seed: int) -> None:
    op, tensors, x, _ = case
    rng, weight, bias = np.random.default_rng(seed), tensors["w"].data.copy(), tensors["b"].data.copy()
    kernel = forward(op, tensors, arithmetic, frozen=False)
    twin = reference.forward(op, tensors, arithmetic, frozen=False)
    y, expected = (np.zeros(tensors["y"].shape, np.int8) for _ in range(2))
    for share in (0, 0.01, 0.2, 1, 0.01):
        changed = rng.random(weight.shape) < share
        weight[changed] = rng.integers(-127, 128, changed.sum())
        kernel((x, weight, bias), y)
        twin((x, weight, bias), expected)
        np.testing.assert_array_equal(y, expected)
