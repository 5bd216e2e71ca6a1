"""ONNX files of poolings, reductions and what arithmetic amounts to them, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from files_onnxruntime import agree, node, written  # noqa: E402
from onnx import helper  # noqa: E402

from mcusim.core import BadModel  # noqa: E402
from mcusim.files.onnx.reader import load_onnx  # noqa: E402

RNG = np.random.default_rng(5)
IMAGE, SIGNAL = (1, 4, 6, 5), (1, 4, 9)


def reals(*shape: int) -> np.ndarray:
    return RNG.normal(0, 1, shape).astype(np.float32)


WINDOWS: list[dict[str, Any]] = [
    {},
    {"strides": [2, 2], "ceil_mode": 1},
    {"strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    {"strides": [3, 2], "ceil_mode": 1, "pads": [0, 1, 1, 0]},
    {"strides": [2, 1], "pads": [0, 1, 1, 0]},
    {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"strides": [2, 2], "auto_pad": "VALID"},
]


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_poolings_of_pixels_and_of_signals(tmp_path: Path, kind: str, window: dict[str, Any]) -> None:
    agree(written(tmp_path, [node(kind, ("x",), kernel_shape=[3, 2], **window)], {}, IMAGE, 19))
    short = {name: value if not isinstance(value, list) else value[::2] for name, value in window.items()}
    if "pads" in short:
        short["pads"] = [window["pads"][0], window["pads"][2]]
    if "strides" in short:
        short["strides"] = window["strides"][:1]
    convolved = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1]),
        node(kind, ("c",), kernel_shape=[3], **short),
    ]
    agree(written(tmp_path, convolved, {"w": reals(6, 4, 3)}, SIGNAL, 19))


TURNED: list[dict[str, Any]] = [
    {}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID"}, {"pads": [0, 1, 1, 0]},
    {"output_shape": [12, 10]}, {"output_shape": [13, 10], "auto_pad": "SAME_UPPER"},
    {"output_padding": [1, 1]},
]  # fmt: skip


@pytest.mark.parametrize("more", TURNED, ids=str)
@pytest.mark.parametrize("size", [3, 4])
def test_transposed_convolutions_of_pixels_and_of_signals(
    tmp_path: Path, more: dict[str, Any], size: int
) -> None:
    weights = {"w": reals(4, 3, size, size), "b": reals(3)}
    nodes = [node("ConvTranspose", ("x", "w", "b"), strides=[2, 2], **more)]
    agree(written(tmp_path, nodes, weights, IMAGE, 13))
    short = {name: value if isinstance(value, str) else value[:1] for name, value in more.items()}
    short |= {"pads": [1, 0]} if "pads" in more else {}
    short |= {"output_shape": [18]} if "output_shape" in more else {}
    nodes = [node("ConvTranspose", ("x", "w"), strides=[2], **short)]
    agree(written(tmp_path, nodes, {"w": reals(4, 3, size)}, SIGNAL, 13))


def test_an_output_that_no_transposed_convolution_reaches_is_refused(tmp_path: Path) -> None:
    nodes = [node("ConvTranspose", ("x", "w"), strides=[3, 3], auto_pad="SAME_UPPER")]
    with pytest.raises(BadModel, match=r"makes \[18, 15\] of \[17, 14\].*output_padding"):
        load_onnx(written(tmp_path, nodes, {"w": reals(4, 3, 2, 2)}, IMAGE, 13))


def test_an_average_that_counts_its_padding(tmp_path: Path) -> None:
    counting = node("AveragePool", ("x",), kernel_shape=[3, 2], pads=[1, 0, 2, 1], count_include_pad=1)
    agree(written(tmp_path, [counting], {}, IMAGE, 19))
    beyond = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [0, 1, 0, 1], "ceil_mode": 1}
    nodes = [node("AveragePool", ("x",), count_include_pad=1, **beyond)]
    with pytest.raises(BadModel, match=r"counts its padding.*ceil_mode"):
        load_onnx(written(tmp_path, nodes, {}, IMAGE, 19))


def test_the_places_of_the_largest_are_left_out_and_not_read(tmp_path: Path) -> None:
    pool = helper.make_node("MaxPool", ["x"], ["y", "places"], kernel_shape=[2, 2])
    agree(written(tmp_path, [pool], {}, IMAGE, 13))


@pytest.mark.parametrize("shape", [IMAGE, SIGNAL, (1, 3, 2, 4, 3)])
@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_whole_channels(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    agree(written(tmp_path, [node(kind, ("x",))], {}, shape, 13))


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax", "ReduceSum"])
def test_reductions_of_any_dimensions(tmp_path: Path, kind: str, keep: int) -> None:
    shapes: dict[tuple[int, ...], list[list[int]]] = {
        IMAGE: [[1], [2], [-1], [1, 2], [1, 3], [1, 2, 3], [0], []],
        SIGNAL: [[1], [2], [1, 2], []],
        (1, 2, 3, 4, 5): [[1], [4], [2, 3], [3, 4]],
    }
    for shape, lists in shapes.items():
        for axes in lists:
            if not axes and not keep:
                continue  # refused, see below
            constants = {"a": np.array(axes, np.int64)} if axes else {}
            names = ("x", "a") if axes else ("x",)
            agree(written(tmp_path, [node(kind, names, keepdims=keep)], constants, shape, 18))


def test_a_number_without_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"leaves no dimension of \(1, 4, 9\).*keepdims=1"):
        load_onnx(written(tmp_path, [node("ReduceMean", ("x",), keepdims=0)], {}, SIGNAL, 18))


def test_products_with_factors_and_turned(tmp_path: Path) -> None:
    for bias in (reals(3), reals(1, 3), reals(1, 1), reals()):
        constants = {"w": reals(12, 3), "b": bias}
        agree(written(tmp_path, [node("Gemm", ("x", "w", "b"), alpha=0.5, beta=2.0)], constants, (1, 12), 13))
    for shape in ((1, 4, 5), IMAGE):
        agree(written(tmp_path, [node("MatMul", ("x", "w"))], {"w": reals(5, 3)}, shape, 13))


ARITHMETIC: dict[str, tuple[list[tuple[str, ...]], dict[str, Any]]] = {
    "Sum": ([("x", "c", "x")], {}),
    "Mean": ([("x", "c")], {}),
    "Neg": ([("x",)], {}),
    "Reciprocal": ([("x",)], {}),
    "HardSigmoid": ([("x",)], {"alpha": 0.3, "beta": 0.4}),
    "InstanceNormalization": ([("x", "g", "b")], {}),
    "LayerNormalization": ([("x", "h")], {"axis": 1}),
    "Cast": ([("x",)], {"to": 1}),
}


@pytest.mark.parametrize("kind", ARITHMETIC)
@pytest.mark.parametrize("shape", [IMAGE, SIGNAL])
def test_what_other_ops_compute(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    (names,), attributes = ARITHMETIC[kind]
    constants = {"c": reals(*shape), "g": reals(4), "b": reals(4), "h": reals(*shape[1:])}
    used = {name: constants[name] for name in names if name in constants}
    nodes = [helper.make_node("Abs", ["x"], ["a"]), helper.make_node(kind, list(names), ["z"], **attributes)]
    agree(written(tmp_path, [*nodes[1:], node("Add", ("z", "x"))], used, shape, 17))


@pytest.mark.parametrize(("shape", "axis"), [(IMAGE, 1), (SIGNAL, -1), ((1, 12), 1)])
def test_vectors_of_length_one(tmp_path: Path, shape: tuple[int, ...], axis: int) -> None:
    agree(written(tmp_path, [node("LpNormalization", ("x",), axis=axis)], {}, shape, 13))
    with pytest.raises(BadModel, match=r"p = 1.*supported: p = 2"):
        load_onnx(written(tmp_path, [node("LpNormalization", ("x",), axis=axis, p=1)], {}, shape, 13))


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0, 0.5, -0.5, -1.0])
def test_powers(tmp_path: Path, exponent: float) -> None:
    nodes = [helper.make_node("Exp", ["x"], ["e"]), node("Pow", ("e", "p"))]
    agree(written(tmp_path, nodes, {"p": np.float32(exponent)}, SIGNAL, 13))


def test_a_power_that_nothing_computes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"exponent 1\.7.*supported: 1, 2, 3"):
        load_onnx(written(tmp_path, [node("Pow", ("x", "p"))], {"p": np.float32(1.7)}, SIGNAL, 13))


@pytest.mark.parametrize("bounds", [(-0.3, 0.4), (None, 0.5), (-0.2, None), (None, None), (0.0, 0.4)])
def test_clips_to_any_range(tmp_path: Path, bounds: tuple[float | None, float | None]) -> None:
    constants = {n: np.float32(v) for n, v in zip("lh", bounds, strict=True) if v is not None}
    names = tuple(n if n in constants else "" for n in "lh")
    for before in ("Abs", "Relu"):
        nodes = [helper.make_node(before, ["x"], ["a"]), node("Clip", ("a", *names))]
        agree(written(tmp_path, nodes, constants, SIGNAL, 13))
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["r"]),
        node("Clip", ("r", *names)),
    ]  # fmt: skip
    agree(written(tmp_path, nodes, {**constants, "w": reals(6, 4, 3)}, SIGNAL, 13))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resizes_of_old_files_and_of_signals(tmp_path: Path, mode: str) -> None:
    scales = np.array([1, 1, 2, 3], np.float32)
    for kind, opset in (("Upsample", 9), ("Resize", 10)):
        agree(written(tmp_path, [node(kind, ("x", "s"), mode=mode)], {"s": scales}, IMAGE, opset))
    for size in (3, 9, 27):
        named = {"mode": mode, "coordinate_transformation_mode": "asymmetric"}
        sizes = {"s": np.array([1, 4, size], np.int64)}
        agree(written(tmp_path, [node("Resize", ("x", "", "", "s"), **named)], sizes, SIGNAL, 13))


def test_a_network_that_drops_at_random_is_refused(tmp_path: Path) -> None:
    drop = helper.make_node("Dropout", ["x", "r", "t"], ["d"])
    constants = {"r": np.float32(0.5), "t": np.array(True)}
    with pytest.raises(BadModel, match=r"node 0 \(Dropout\).*at random.*inference"):
        load_onnx(written(tmp_path, [drop, node("Relu", ("d",))], constants, SIGNAL, 13))


def test_nodes_in_another_order_are_read_in_theirs(tmp_path: Path) -> None:
    nodes = [
        node("Add", ("a", "b")),
        helper.make_node("Abs", ["a"], ["b"]),
        helper.make_node("Exp", ["x"], ["a"]),
    ]
    agree(written(tmp_path, nodes, {}, SIGNAL, 13))


def test_operators_of_a_later_opset_are_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"opset 99, .*known up to 24 \(export it with opset 24 or earlier\)"):
        load_onnx(written(tmp_path, [node("Relu", ("x",))], {}, SIGNAL, 99))


GELU = {
    "x/2 last": [("Div", "x", "root", "u"), ("Erf", "u", "e"), ("Add", "e", "one", "p"),
                 ("Mul", "x", "p", "m"), ("Mul", "m", "half", "y")],
    "x/2 first": [("Mul", "x", "half", "h"), ("Mul", "inverse", "x", "u"), ("Erf", "u", "e"),
                  ("Add", "one", "e", "p"), ("Mul", "p", "h", "y")],
    "half of the sum": [("Div", "x", "root", "u"), ("Erf", "u", "e"), ("Add", "e", "one", "p"),
                        ("Mul", "half", "p", "m"), ("Mul", "m", "x", "y")],
}  # fmt: skip
NUMBERS = {"root": 2**0.5, "inverse": 0.5**0.5, "one": 1.0, "half": 0.5}


@pytest.mark.parametrize("spelled", GELU)
@pytest.mark.parametrize("inline", [True, False])
def test_gelu_in_five_nodes_is_one_op(tmp_path: Path, spelled: str, inline: bool) -> None:
    nodes = [helper.make_node(kind, list(names[:-1]), [names[-1]]) for kind, *names in GELU[spelled]]
    used = {name for node in nodes for name in node.input}
    constants = {name: np.float32(number) for name, number in NUMBERS.items() if name in used}
    if inline:
        held = [helper.make_node("Constant", [], [n], value_float=float(v)) for n, v in constants.items()]
        nodes, constants = [*held, *nodes], {}
    file = written(tmp_path, nodes, constants, SIGNAL, 17)
    assert [op.kind for op in load_onnx(file).ops] == ["gelu"]
    agree(file)


def test_an_error_function_that_is_no_gelu_stays_one(tmp_path: Path) -> None:
    nodes = [helper.make_node("Erf", ["x"], ["e"]), node("Mul", ("x", "e"))]
    file = written(tmp_path, nodes, {}, SIGNAL, 17)
    assert [op.kind for op in load_onnx(file).ops] == ["curve", "mul"]
    agree(file)


def test_a_constant_that_is_rounded_keeps_its_value(tmp_path: Path) -> None:
    """Tools round the number that a Pad pads with, as uint8 with a scale of its own."""
    constants = {
        "s": np.float32(0.05), "z": np.uint8(120), "fill": np.float32(0), "t": np.float32(1),
        "nought": np.uint8(0), "p": np.array([0, 0, 1, 0, 0, 2], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("QuantizeLinear", ["fill", "t", "nought"], ["fq"]),
        helper.make_node("DequantizeLinear", ["fq", "t", "nought"], ["fd"]),
        helper.make_node("Pad", ["d", "p", "fd"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["rq"]),
        node("DequantizeLinear", ("rq", "s", "z")),
    ]
    model = load_onnx(written(tmp_path, nodes, constants, SIGNAL, 17))
    (pad,) = [op for op in model.ops if op.kind == "pad"]
    assert pad.attributes.fill in (None, 120 - 128)
