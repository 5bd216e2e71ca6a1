"""ONNX files against ONNX Runtime: what loads computes the same, and what would not is refused."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from files_cases import case  # noqa: E402
from files_onnxruntime import agree, node, written  # noqa: E402
from onnx import helper  # noqa: E402

from mcusim.core import BadModel  # noqa: E402
from mcusim.files.onnx.folding import FOLDS  # noqa: E402
from mcusim.files.onnx.reader import load_onnx  # noqa: E402

RNG = np.random.default_rng(3)
INT = np.int64


def refused(file: Path) -> str:
    """Return why a file is refused; empty if it loads."""
    try:
        load_onnx(file)
    except BadModel as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "name",
    [
        "softmax_opset11_default_axis",
        "batchnorm_rank3_6x6",
        "resize_to_1x1_pytorch",
        "pad_axes_permuted",
        "resize_linear_scale_1.5",
    ],
)
def test_each_case_is_as_onnx_runtime_computes_it(name: str) -> None:
    agree(case(f"{name}.onnx"))


def test_a_grid_that_no_int8_op_has_is_refused(tmp_path: Path) -> None:
    scale = {"s": np.float32(0.1), "z": np.int8(0), "f": np.array([1, 1, 1.5, 1.5], np.float32)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("Resize", ("d", "", "f"), mode="linear"),
    ]
    with pytest.raises(BadModel, match=r"puts the pixels of \(7, 7\) elsewhere.*1\.5.*sizes"):
        load_onnx(written(tmp_path, nodes, scale, (1, 2, 5, 5), 13))


SHAPES = [(1, 4), (1, 4, 5), (1, 1, 3), (1, 4, 1, 1), (1, 3, 2, 5), (1, 3, 1, 5)]


@pytest.mark.parametrize("opset", [9, 11, 12, 13])
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_along_each_axis(tmp_path: Path, opset: int, shape: tuple[int, ...]) -> None:
    for axis in (None, *range(len(shape)), *([-1, -2] if opset >= 11 else [])):
        chosen = {} if axis is None else {"axis": axis}
        agree(written(tmp_path, [node("Softmax", ("x",), **chosen)], {}, shape, opset))


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 6), (1, 6, 3), (1, 6, 6, 6)])
def test_batch_norm_counts_channels_in_dimension_1(tmp_path: Path, shape: tuple[int, ...]) -> None:
    parts = {name: np.abs(RNG.normal(1, 0.5, 6)).astype(np.float32) for name in "gbmv"}
    for opset in (9, 15):
        agree(written(tmp_path, [node("BatchNormalization", ("x", *"gbmv"))], parts, shape, opset))


def test_pad_of_some_dimensions(tmp_path: Path) -> None:
    for axes in ([3, 2, 1, 0], [-1], [2, 1], [1, -1, 0]):
        pads = RNG.integers(0, 3, 2 * len(axes))
        constants = {"p": pads.astype(np.int64), "a": np.array(axes, np.int64)}
        agree(written(tmp_path, [node("Pad", ("x", "p", "", "a"))], constants, (1, 2, 3, 4), 18))


def test_a_pad_of_an_old_file(tmp_path: Path) -> None:
    agree(written(tmp_path, [node("Pad", ("x",), pads=[0, 1, 0, 1], value=1.0)], {}, (1, 3), 10))


def test_a_pad_by_the_edge_is_refused(tmp_path: Path) -> None:
    edge = node("Pad", ("x", "p"), mode="edge")
    with pytest.raises(BadModel, match="constant and reflect"):
        load_onnx(written(tmp_path, [edge], {"p": INT([0, 1, 0, 1])}, (1, 3), 13))


@pytest.mark.parametrize("axis", [0, 1, 3, 4, -1])
def test_flatten_before_each_axis(tmp_path: Path, axis: int) -> None:
    agree(written(tmp_path, [node("Flatten", ("x",), axis=axis)], {}, (1, 3, 2, 5), 13))


def test_a_constant_is_joined_in_the_layout_of_images(tmp_path: Path) -> None:
    constants = {"c": RNG.normal(0, 1, (1, 2, 4, 5)).astype(np.float32)}
    agree(written(tmp_path, [node("Concat", ("x", "c"), axis=1)], constants, (1, 3, 4, 5), 13))


def test_a_vector_is_not_broadcast_over_channels_by_mistake(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        node("Mul", ("x", "m")),
    ]
    with pytest.raises(BadModel, match="reshape the smaller one"):
        load_onnx(written(tmp_path, nodes, {}, (1, 5, 5, 5), 13))


def test_an_old_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"opset 6.*convert_version"):
        load_onnx(written(tmp_path, [node("Relu", ("x",))], {}, (1, 3), 6))


ONE = {
    "Abs": {}, "Elu": {}, "Exp": {}, "Sqrt": {}, "Log": {},
    "Gelu": {}, "Gelu by tanh": {"approximate": "tanh"},
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_element(tmp_path: Path, name: str) -> None:
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        node(name.split()[0], ("a" if name in ("Sqrt", "Log") else "x",), **ONE[name]),
    ]
    agree(written(tmp_path, nodes, {}, (1, 3, 4, 5), 20))


@pytest.mark.parametrize("kind", ["Div", "Min", "Max", "PRelu"])
@pytest.mark.parametrize("shape", [(3, 1, 1), (1,), (1, 3, 4, 5)])
def test_functions_of_two_elements(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    constants = {"c": RNG.uniform(0.2, 2, shape).astype(np.float32)}
    agree(written(tmp_path, [node(kind, ("x", "c"))], constants, (1, 3, 4, 5), 16))


def test_the_largest_of_many(tmp_path: Path) -> None:
    constants = {name: RNG.normal(0, 1, (1, 6)).astype(np.float32) for name in "abc"}
    agree(written(tmp_path, [node("Max", ("a", "x", "b", "c"))], constants, (1, 6), 13))


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (0.0, 1.0), (0.0, 6.0)])
def test_clips_that_have_a_kind(tmp_path: Path, bounds: tuple[float, float]) -> None:
    constants = {name: np.float32(v) for name, v in zip("lh", bounds, strict=True)}
    agree(written(tmp_path, [node("Clip", ("x", "l", "h"))], constants, (1, 6), 13))


def test_splits_of_every_kind(tmp_path: Path) -> None:
    for shape, axis in (((1, 6, 4, 5), 1), ((1, 6, 4, 5), 3), ((1, 7), 1), ((1, 3, 7), -1)):
        size = shape[axis]
        sizes = np.array([1, size - 3, 2])
        nodes = [
            helper.make_node("Split", ["x", "s"], ["a", "b", "c"], axis=axis),
            helper.make_node("Relu", ["b"], ["r"]),
            node("Concat", ("c", "r", "a"), axis=axis),
        ]
        agree(written(tmp_path, nodes, {"s": sizes.astype(np.int64)}, shape, 13))
        nodes[0] = helper.make_node("Split", ["x"], ["a", "b", "c"], axis=axis, num_outputs=3)
        agree(written(tmp_path, nodes, {}, shape, 18))


MOVED = {
    "Slice": [([1, 8], [9, -9], [1, 3], [1, -2]), ([-3], [9], [-1], [1]), ([0], [1], [0], [1])],
    "Tile": [([1, 2, 1, 3],), ([1, 1, 1, 1],)],
    "Expand": [([1, 6, 4, 5],), ([2, 1, 6, 4, 5],)],
    "Gather": [([2, 0, -1],), ([[0, 1], [3, 3]],), (2,)],
}


@pytest.mark.parametrize("kind", MOVED)
def test_moves_by_constant_lists(tmp_path: Path, kind: str) -> None:
    for lists in MOVED[kind]:
        constants = {f"c{i}": INT(v) for i, v in enumerate(lists)}
        for axis in (0, 1, 3) if kind == "Gather" else (None,):
            named = {} if axis is None else {"axis": axis}
            if axis == 0:
                constants = {"c0": INT([0, 0])}
            nodes = [helper.make_node(kind, ["x", *constants], ["m"], **named), node("Relu", ("m",))]
            agree(written(tmp_path, nodes, constants, (1, 6, 4, 5), 13))


def test_a_dimension_of_one_is_expanded(tmp_path: Path) -> None:
    agree(written(tmp_path, [node("Expand", ("x", "c"))], {"c": INT([1, 3, 2, 5])}, (1, 3, 1, 1), 13))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_and_back(tmp_path: Path, mode: str) -> None:
    agree(written(tmp_path, [node("DepthToSpace", ("x",), blocksize=2, mode=mode)], {}, (1, 12, 3, 5), 13))
    agree(written(tmp_path, [node("SpaceToDepth", ("x",), blocksize=2)], {}, (1, 3, 4, 6), 13))


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_pads_by_a_number_and_by_reflection(tmp_path: Path, mode: str) -> None:
    constants = {"p": INT([0, 0, 1, 2, 0, 0, 2, 0]), "v": np.float32(-1.5)}
    agree(written(tmp_path, [node("Pad", ("x", "p", "v"), mode=mode)], constants, (1, 2, 4, 5), 13))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_convolutions_in_groups(tmp_path: Path, groups: int) -> None:
    constants = {"w": RNG.normal(0, 1, (12, 6 // groups, 3, 2)).astype(np.float32)}
    nodes = [node("Conv", ("x", "w"), group=groups, pads=[1, 0, 1, 1], strides=[2, 1])]
    agree(written(tmp_path, nodes, constants, (1, 6, 5, 7), 13))


@pytest.mark.parametrize(
    "more", [{}, {"pads": [1, 0, 1, 1]}, {"pads": [1, 1, 0, 0], "output_padding": [1, 0]}]
)
def test_transposed_convolutions(tmp_path: Path, more: dict[str, Any]) -> None:
    constants = {n: RNG.normal(0, 1, s).astype(np.float32) for n, s in (("w", (3, 4, 3, 2)), ("b", (4,)))}
    nodes = [node("ConvTranspose", ("x", "w", "b"), strides=[2, 3], **more)]
    agree(written(tmp_path, nodes, constants, (1, 3, 4, 5), 13))


def test_products_of_what_is_computed(tmp_path: Path) -> None:
    for shape in ((1, 4, 5), (1, 2, 4, 5)):
        turn = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=turn), node("MatMul", ("x", "t"))]
        agree(written(tmp_path, nodes, {}, shape, 13))
    weight = {"w": RNG.normal(0, 1, (5, 3)).astype(np.float32)}
    agree(written(tmp_path, [node("MatMul", ("x", "w"))], weight, (1, 4, 5), 13))


@pytest.mark.parametrize("shape", [(1, 6), (1, 3, 6), (1, 2, 3, 6)])
def test_layer_normalization(tmp_path: Path, shape: tuple[int, ...]) -> None:
    constants = {name: RNG.normal(1, 0.5, 6).astype(np.float32) for name in "gb"}
    agree(written(tmp_path, [node("LayerNormalization", ("x", "g", "b"))], constants, shape, 17))


@pytest.mark.parametrize("kind", ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean"])
def test_reductions(tmp_path: Path, kind: str) -> None:
    constants = {"a": INT([2, 3])}
    for keep in (0, 1):
        agree(written(tmp_path, [node(kind, ("x", "a"), keepdims=keep)], constants, (1, 3, 4, 5), 18))


@pytest.mark.parametrize("kind", ["GlobalMaxPool", "GlobalAveragePool", "LogSoftmax"])
def test_whole_maps(tmp_path: Path, kind: str) -> None:
    agree(written(tmp_path, [node(kind, ("x",))], {}, (1, 3, 4, 5), 13))


WAYS = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric"]
ROUNDINGS = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]


def test_every_resize_is_right_or_refused(tmp_path: Path) -> None:
    right = 0
    for way, (mode, rounding) in product(WAYS, [("linear", "floor"), *(("nearest", r) for r in ROUNDINGS)]):
        for new in ((1, 1), (2, 3), (5, 7), (7, 7), (10, 14), (15, 21), (3, 4)):
            for by_size in (True, False):
                value = np.array([1, 2, *new]) if by_size else np.array([1, 1, new[0] / 5, new[1] / 7])
                names = ("x", "", "", "s") if by_size else ("x", "", "s")
                attributes = {"mode": mode, "coordinate_transformation_mode": way, "nearest_mode": rounding}
                constants = {"s": value.astype(np.int64 if by_size else np.float32)}
                opset = 19 if way == "half_pixel_symmetric" else 13
                nodes = [node("Resize", names, **attributes)]
                file = written(tmp_path, nodes, constants, (1, 2, 5, 7), opset)
                refusal = refused(file)
                if not refusal:
                    agree(file)
                    right += 1
                    continue
                assert mode == "nearest"
                assert "an error of rounding" in refusal
    assert right > 300  # of 350


FOLDED: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "Add": ([INT([5, -7]), INT([3])], {}),
    "Sub": ([INT([5, -7]), INT([3])], {}),
    "Mul": ([INT([5, -7]), INT([3])], {}),
    "Div": ([INT([7, -7]), INT([2])], {}),
    "Max": ([INT([5, -7]), INT([3, 4]), INT([1, 9])], {}),
    "Min": ([INT([5, -7]), INT([3, 4])], {}),
    "Neg": ([INT([5, -7])], {}),
    "Mod": ([INT([5, -7]), INT([3])], {}),
    "Abs": ([INT([5, -7])], {}),
    "Floor": ([np.float32([1.5, -1.5])], {}),
    "Ceil": ([np.float32([1.5, -1.5])], {}),
    "Sqrt": ([np.float32([2, 3])], {}),
    "ReduceProd": ([INT([[5, 7], [2, 3]])], {"axes": [1]}),
    "ReduceSum": ([INT([[5, 7], [2, 3]]), INT([0])], {"keepdims": 0}),
    "ReduceMax": ([INT([[5, 7], [2, 3]])], {}),
    "ReduceMin": ([INT([[5, 7], [2, 3]])], {"axes": [-1]}),
    "Cast": ([np.float32([1.7, -1.7])], {"to": 7}),
    "Concat": ([INT([5]), INT([7, 8])], {"axis": 0}),
    "ConstantOfShape": ([INT([2, 3])], {}),
    "Expand": ([INT([[5], [7]]), INT([2, 1, 3])], {}),
    "Gather": ([INT([[5, 7], [2, 3]]), INT([1, 0])], {"axis": 1}),
    "Range": ([INT(2), INT(9), INT(3)], {}),
    "Reshape": ([INT([[5, 7], [2, 3]]), INT([0, -1, 1])], {}),
    "Slice": ([INT([5, 7, 2, 3]), INT([-1]), INT([-9]), INT([0]), INT([-2])], {}),
    "Squeeze": ([INT([[5], [7]]), INT([1])], {}),
    "Tile": ([INT([[5, 7]]), INT([2, 2])], {}),
    "Transpose": ([INT([[5, 7, 1], [2, 3, 4]])], {}),
    "Unsqueeze": ([INT([5, 7]), INT([0, -1])], {}),
}
TRUE_OR_FALSE = {
    "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not", "Where",
}  # fmt: skip


def test_every_node_that_folds_has_a_case() -> None:
    assert {*FOLDED} | TRUE_OR_FALSE == {*FOLDS}


@pytest.mark.parametrize("kind", FOLDED)
def test_each_constant_of_constants_is_as_onnx_runtime_computes_it(tmp_path: Path, kind: str) -> None:
    """The constant is added to the input as floats, so that what reaches the output is seen."""
    values, attributes = FOLDED[kind]
    constants = {f"c{i}": np.asarray(v) for i, v in enumerate(values)} | {"flat": INT([1, -1])}
    nodes = [
        helper.make_node(kind, [f"c{i}" for i in range(len(values))], ["k"], **attributes),
        helper.make_node("Cast", ["k"], ["f"], to=1),
        helper.make_node("Reshape", ["f", "flat"], ["r"]),
        node("Add", ("x", "r")),
    ]
    file = written(tmp_path, nodes, constants, (1, 1), 13)
    agree(file)
    assert len(load_onnx(file).ops) == 1


def test_a_shape_put_together_again_is_folded(tmp_path: Path) -> None:
    """As PyTorch exports ``x.view(x.size(0), -1)``."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "axes"], ["u"]),
        helper.make_node("Concat", ["u", "rest"], ["new"], axis=0),
        node("Reshape", ("x", "new")),
    ]
    constants = {"zero": INT(0), "axes": INT([0]), "rest": INT([-1])}
    agree(written(tmp_path, nodes, constants, (1, 3, 4, 5), 13))


def test_constants_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Gather", ["s", "k"], ["n"])]
    nodes.append(node("Reshape", ("x", "n")))
    with pytest.raises(BadModel, match=r"node 1 \(Gather\): its constant inputs do not fit"):
        load_onnx(written(tmp_path, nodes, {"k": INT([9])}, (1, 3), 13))
