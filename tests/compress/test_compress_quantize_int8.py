from __future__ import annotations

import json
from math import inf, isfinite
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.compress.quantize import QuantizeSettings, compare, fold, quantize, run, run_int8
from mcusim.compress.quantize.calibrate import ObservedRange, calibrate
from mcusim.compress.quantize.equalize import equalize
from mcusim.compress.quantize.int8 import Int8Network, real_values
from mcusim.compress.quantize.ranges import RANGES, affine
from mcusim.compress.quantize.rewrite import quantised_weight
from mcusim.core import BadArgument, BadData, BadModel, UnknownName
from mcusim.files.npz import load_npz, save
from mcusim.graph import Arithmetic, Attributes, Model, Op, OpKind, Tensor


def network(seed: int = 0, clamp: tuple[float, float] | None = (0.0, 6.0), spread: float = 1.0) -> Model:
    """Return a small residual network; ``spread`` makes the channels' ranges differ."""
    g = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {"x": Tensor("x", (1, 8, 8, 3), "float32")}
    ops: list[Op] = []

    def constant(name: str, *shape: int, scale: float = 1.0) -> str:
        data = (g.normal(size=shape) * scale).astype(np.float32)
        tensors[name] = Tensor(name, data.shape, "float32", None, data)
        return name

    def add(name: str, kind: OpKind, inputs: tuple[str, ...], shape: tuple[int, ...], **more: Any) -> str:
        more.setdefault("clamp", None)
        tensors[name] = Tensor(name, shape, "float32")
        ops.append(Op(name, kind, inputs, name, Attributes(**more)))
        return name

    one = ((1, 1), (1, 1))
    w = constant("w1", 6, 3, 3, 3, scale=0.4)
    tensors[w].data[...] *= np.geomspace(1, spread, 6).reshape(-1, 1, 1, 1)  # type: ignore[index]
    a = add("a", OpKind.CONV_2D, ("x", w, constant("b1", 6)), (1, 8, 8, 6), padding=one, clamp=clamp)
    d = add(
        "d", OpKind.DEPTHWISE_CONV_2D, (a, constant("w2", 1, 3, 3, 6, scale=0.4), constant("b2", 6)),
        (1, 8, 8, 6), padding=one, clamp=clamp,
    )  # fmt: skip
    p = add("p", OpKind.CONV_2D, (d, constant("w3", 6, 1, 1, 6, scale=0.5), constant("b3", 6)), (1, 8, 8, 6))
    s = add("s", OpKind.ADD, (a, p), (1, 8, 8, 6))
    m = add("m", OpKind.MEAN, (s,), (1, 6), axes=(1, 2))
    y = add("y", OpKind.FULLY_CONNECTED, (m, constant("w4", 4, 6), constant("b4", 4)), (1, 4))
    return Model("net", tuple(ops), tensors, ("x",), (y,), head="y")


def examples(count: int = 64, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("ranges", RANGES.names())
def test_int8_twin_agrees(ranges: str) -> None:
    model = network()
    twin = quantize(model, examples(), QuantizeSettings(ranges))
    report = compare(model, twin, examples(200, 2))
    assert report.agreement >= 0.93
    assert report.output_snr_db > 20
    assert [layer.name for layer in report.layers] == ["a", "d", "p", "s", "m", "y"]
    assert all(layer.snr_db > 18 for layer in report.layers)
    assert "top-1 agreement" in str(report)
    assert json.loads(json.dumps(report.as_dict()))["examples"] == 200


@pytest.mark.parametrize("arithmetic", [Arithmetic.FLOAT, Arithmetic.TFLITE])
@pytest.mark.parametrize("head", ["int8", "float32"])
def test_formats(arithmetic: Arithmetic, head: Any, tmp_path: Any) -> None:
    model = network()
    twin = quantize(model, examples(), QuantizeSettings(head=head, arithmetic=arithmetic))
    assert twin.arithmetic is arithmetic
    assert twin.head == "y"
    assert twin.output.dtype == ("int32" if head == "int8" else "float32")
    weight = twin.tensors["w1"]
    assert weight.quant is not None
    assert (weight.dtype, weight.quant.axis, weight.quant.zero_point) == ("int8", 0, 0)
    assert twin.op("a").attributes.clamp == (-128, 127)
    save(twin, tmp_path / "twin.npz")
    again = load_npz(tmp_path / "twin.npz")
    np.testing.assert_array_equal(run_int8(again, examples(5)), run_int8(twin, examples(5)))


def test_quantising_twice_gives_the_same_bytes(tmp_path: Any) -> None:
    for name in ("a", "b"):
        save(
            quantize(network(), examples(), QuantizeSettings("mse", equalize=True)), tmp_path / f"{name}.npz"
        )
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_weights_are_within_half_a_step() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 3, 3, 2)).astype(np.float32)
    weight[2] = 0
    data, quant = quantised_weight(weight, 0, np.zeros(5))
    step = quant.scale.reshape(-1, 1, 1, 1)
    assert np.abs(data * step - weight).max() <= 0.5001 * step.max()
    assert np.abs(data).max(axis=(1, 2, 3)).tolist() == [127, 127, 0, 127, 127]
    assert quant.scale.min() > 1e-4


def test_switched_off_channels_keep_their_bias() -> None:
    model = network()
    weight = model.tensors["w1"].data
    assert weight is not None
    weight[1] *= 1e-12
    twin = quantize(model, examples(), QuantizeSettings(bias_correction=False))
    bias, old = twin.tensors["b1"].data, model.tensors["b1"].data
    assert bias is not None
    assert old is not None
    assert abs(int(bias[1])) <= 2**30 + 64
    assert twin.tensors["b1"].quant is not None
    real = bias * twin.tensors["b1"].quant.scale
    np.testing.assert_allclose(real, old, atol=1e-3)


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_affine_covers_its_range_and_zero(a: float, b: float) -> None:
    low, high = min(a, b, 0), max(a, b, 0)
    quant = affine(a if a < b else b, b if a < b else a)
    scale, zero = float(quant.scale[0]), quant.zero_point
    assert -128 <= zero <= 127
    # The zero point is rounded: one end may lie half a step outside.
    assert (-128 - zero) * scale <= low + 0.501 * scale
    assert (127 - zero) * scale >= high - 0.501 * scale


def test_infinite_ranges_are_refused() -> None:
    with pytest.raises(BadArgument):
        affine(0, inf)


def test_range_methods() -> None:
    values = np.random.default_rng(0).normal(size=(1, 100_000)).astype(np.float32)
    values[0, 0] = 20
    found = ObservedRange()
    found.add(values, 10**9)
    assert RANGES["minmax"](found)[1] == 20
    low, high = RANGES["percentile"](found)
    assert -5 < low < -3
    assert 3 < high < 5
    assert 4 < RANGES["mse"](found)[1] < 20
    with pytest.raises(UnknownName, match="minmax"):
        QuantizeSettings("minmx")


def test_statistics_are_exact_where_they_say_so() -> None:
    model, x = network(), examples(20)
    found = calibrate(model, x)
    for name in ("x", "a", "y"):
        parts: list[np.ndarray] = []
        run(model, x, lambda n, v, name=name, parts=parts: parts.append(v.copy()) if n == name else None)
        values = parts[0]
        assert found[name].low == values.min()
        assert found[name].high == values.max()
        assert np.isin(found[name].sample, values).all()
        assert len(found[name].sample) == values.size


@pytest.mark.parametrize("head", ["int8", "float32"])
def test_bias_correction_gives_every_channel_its_mean_back(head: Any) -> None:
    model, x = network(clamp=None), examples(100)
    wanted: dict[str, np.ndarray] = {}
    run(model, x, lambda name, v: wanted.update({name: v.mean(tuple(range(v.ndim - 1)))}))

    def errors(correction: bool) -> dict[str, float]:
        # Few calibration examples: clipped tails shift the means.
        twin = quantize(model, x, QuantizeSettings("mse", bias_correction=correction, head=head))
        found = Int8Network(twin)(x)
        real = {n: real_values(twin.tensors[n], found[n]) for n in ("d", "p", "y")}
        return {n: float(np.abs(v.mean(tuple(range(v.ndim - 1))) - wanted[n]).max()) for n, v in real.items()}

    corrected, plain = errors(True), errors(False)
    assert sum(corrected.values()) < sum(plain.values()) / 2


def test_equalisation_changes_nothing_where_nothing_is_clipped() -> None:
    model, x = network(clamp=(0.0, inf), spread=100.0), examples(30)
    # The residual reads 'a' too: only d and p are neighbours.
    even = equalize(model)
    np.testing.assert_allclose(run(even, x), run(model, x), rtol=1e-4, atol=1e-4)
    first, second = even.tensors["w2"].data, even.tensors["w3"].data
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(np.abs(first).max((0, 1, 2)), np.abs(second).max((0, 1, 2)), rtol=1e-3)


def test_other_ops() -> None:
    tensors = {
        "x": Tensor("x", (1, 4, 4, 2), "float32"),
        "k": Tensor("k", (1,), "float32", None, np.array([0.5], np.float32)),
    }
    shapes = {
        "t": (1, 4, 2, 4), "u": (1, 4, 4, 2), "mul": (1, 4, 4, 2), "cat": (1, 4, 4, 4), "pad": (1, 6, 6, 4),
        "max": (1, 3, 3, 4), "avg": (1, 2, 2, 4), "near": (1, 4, 4, 4), "lin": (1, 3, 3, 4),
        "swish": (1, 3, 3, 4), "flat": (1, 36), "soft": (1, 36),
    }  # fmt: skip
    tensors |= {name: Tensor(name, shape, "float32") for name, shape in shapes.items()}
    more: dict[str, Any] = {"clamp": None}
    ops = (
        Op("t", OpKind.TRANSPOSE, ("x",), "t", Attributes(axes=(0, 1, 3, 2), **more)),
        Op("u", OpKind.TRANSPOSE, ("t",), "u", Attributes(axes=(0, 1, 3, 2), **more)),
        Op("mul", OpKind.MUL, ("u", "k"), "mul", Attributes(**more)),
        Op("cat", OpKind.CONCATENATION, ("x", "mul"), "cat", Attributes(axes=(3,), **more)),
        Op("pad", OpKind.PAD, ("cat",), "pad", Attributes(pads=((0, 0), (1, 1), (1, 1), (0, 0)), **more)),
        Op("max", OpKind.MAX_POOL_2D, ("pad",), "max", Attributes(kernel=(2, 2), stride=(2, 2), **more)),
        Op("avg", OpKind.AVERAGE_POOL_2D, ("max",), "avg", Attributes(kernel=(2, 2), **more)),
        Op("near", OpKind.RESIZE_NEAREST_NEIGHBOR, ("avg",), "near", Attributes(shape=(1, 4, 4, 4), **more)),
        Op(
            "lin", OpKind.RESIZE_BILINEAR, ("near",), "lin",
            Attributes(shape=(1, 3, 3, 4), half_pixel_centers=True, **more),
        ),
        Op("swish", OpKind.HARD_SWISH, ("lin",), "swish", Attributes(**more)),
        Op("flat", OpKind.RESHAPE, ("swish",), "flat", Attributes(shape=(1, 36), **more)),
        Op("soft", OpKind.SOFTMAX, ("flat",), "soft", Attributes(**more)),
    )  # fmt: skip
    model = Model("others", ops, tensors, ("x",), ("soft",))
    x = np.random.default_rng(0).normal(size=(10, 4, 4, 2)).astype(np.float32)
    twin = quantize(model, x)
    assert [op.kind for op in twin.ops if op.kind is OpKind.QUANTIZE]
    quants = {name: t.quant for name, t in twin.tensors.items()}
    assert quants["pad"] is quants["max"] is quants["near"] is quants["lin"] is quants["cat"]
    assert quants["soft"] is not None
    assert float(quants["soft"].scale[0]) == 1 / 256


def test_bad_input() -> None:
    model = network()
    with pytest.raises(BadData):
        quantize(model, np.zeros((4, 8, 8, 1), np.float32))
    with pytest.raises(BadData):
        quantize(model, np.zeros((0, 8, 8, 3), np.float32))
    with pytest.raises(BadData, match="finite"):
        quantize(model, np.full((1, 8, 8, 3), np.nan, np.float32))
    with pytest.raises(BadModel, match="no float network"):
        quantize(quantize(model, examples(8)), examples(8))
    with pytest.raises(BadArgument, match="head"):
        QuantizeSettings(head="int4")  # type: ignore[arg-type]
    assert isfinite(compare(model, quantize(fold(model), examples(8)), examples(8)).output_snr_db)
