"""Constants of constants in TFLite files: folded on load, to the values LiteRT computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files_cases import case
from tflite_file import FLOAT32, INT32, UINT8, FileSpec, OperatorSpec, TensorSpec

from mcusim.core import BadModel
from mcusim.files.tflite import folding
from mcusim.files.tflite.flatbuffer import Buffer
from mcusim.files.tflite.flatbuffer_writer import Writer
from mcusim.files.tflite.folding import FOLDS, SHAPES
from mcusim.files.tflite.reader import load_tflite, parse_tflite
from mcusim.files.tflite.schema import FOLDED, OPERATORS, SPELLED
from mcusim.graph import LIMITS, WEIGHTED, OpKind, Tensor
from mcusim.kernels.forward import forward

I32, F32 = np.int32, np.float32

CASES: dict[str, tuple[str, list[Any], dict[str, tuple[int, str, Any]]]] = {
    "ADD": ("ADD", [I32([7, -2]), I32([3])], {}),
    "SUB": ("SUB", [I32([7, -2]), I32([3])], {}),
    "MUL": ("MUL", [F32([7, -2]), F32([0.3])], {}),
    "DIV": ("DIV", [I32([7, -7, 8]), I32([2])], {}),
    "FLOOR_DIV": ("FLOOR_DIV", [I32([7, -7, 8]), I32([2])], {}),
    "FLOOR_MOD": ("FLOOR_MOD", [I32([7, -7, 8]), I32([3])], {}),
    "MAXIMUM": ("MAXIMUM", [I32([7, -7, 8]), I32([2])], {}),
    "MINIMUM": ("MINIMUM", [I32([7, -7, 8]), I32([2])], {}),
    "NEG": ("NEG", [I32([7, -7])], {}),
    "ABS": ("ABS", [F32([7, -7])], {}),
    "FLOOR": ("FLOOR", [F32([1.5, -1.5])], {}),
    "CEIL": ("CEIL", [F32([1.5, -1.5])], {}),
    "SQRT": ("SQRT", [F32([2, 3, 5])], {}),
    "RSQRT": ("RSQRT", [F32([2, 3, 5])], {}),
    "SQUARE": ("SQUARE", [F32([2, 3, 5.1])], {}),
    "REDUCE_PROD": ("REDUCE_PROD", [I32([[2, 3], [4, 5]]), I32([0])], {}),
    "SUM": ("SUM", [I32([[2, 3], [4, 5]]), I32([1])], {"keep": (0, "bool", True)}),
    "REDUCE_MAX": ("REDUCE_MAX", [I32([[2, 3], [4, 1]]), I32([0])], {}),
    "REDUCE_MIN": ("REDUCE_MIN", [I32([[2, 3], [4, 1]]), I32([-1])], {}),
    "BROADCAST_TO": ("BROADCAST_TO", [I32([1, 2]), I32([3, 2])], {}),
    "BROADCAST_ARGS": ("BROADCAST_ARGS", [I32([3, 1]), I32([1, 2])], {}),
    "EXPAND_DIMS": ("EXPAND_DIMS", [I32([1, 2]), I32(-1)], {}),
    "GATHER": ("GATHER", [I32([[5, 6, 7], [1, 2, 3]]), I32([2, 0])], {"axis": (0, "int32", 1)}),
    "RESHAPE": ("RESHAPE", [I32([[5, 6], [1, 2]]), I32([-1])], {}),
    "SLICE": ("SLICE", [I32([5, 6, 7, 8]), I32([1]), I32([-1])], {}),
    "SQUEEZE": ("SQUEEZE", [I32([[5], [6]])], {}),
    "STRIDED_SLICE": (
        "STRIDED_SLICE",
        [I32([5, 6, 7, 8]), I32([-1]), I32([0]), I32([-1])],
        {"end": (1, "int32", 1)},
    ),
    "STRIDED_SLICE to a number": (
        "STRIDED_SLICE",
        [I32([5, 6, 7]), I32([1]), I32([2]), I32([1])],
        {"shrink": (4, "int32", 1)},
    ),
    "TILE": ("TILE", [I32([[1, 2]]), I32([2, 3])], {}),
    "TRANSPOSE": ("TRANSPOSE", [I32([[5, 6, 7], [1, 2, 3]]), I32([1, 0])], {}),
    "CAST": ("CAST", [F32([2.7, -2.7])], {"from": (0, "int8", FLOAT32), "to": (1, "int8", INT32)}),
    "CONCATENATION": ("CONCATENATION", [I32([5, 6]), I32([7])], {"axis": (0, "int32", 0)}),
    "FILL": ("FILL", [I32([2, 3]), F32(1.5)], {}),
    "PACK": (
        "PACK",
        [I32([5, 6]), I32([7, 8])],
        {"count": (0, "int32", 2), "axis": (1, "int32", 1)},
    ),
    "RANGE": ("RANGE", [I32(2), I32(9), I32(3)], {}),
    "ZEROS_LIKE": ("ZEROS_LIKE", [I32([5, 6])], {}),
}


def fold(name: str) -> np.ndarray:
    """Return what the reader's folder gives for a case."""
    kind, values, options = CASES[name]
    w = Writer()
    table = Buffer(w.finish(w.table(**options), b"TEST"), name).root(b"TEST")
    inputs = [Tensor(str(i), v.shape, str(v.dtype), data=np.asarray(v)) for i, v in enumerate(values)]
    dtype = "int32" if kind == "CAST" else str((values[-1] if kind == "FILL" else values[0]).dtype)
    found = folding.fold(kind, inputs, Tensor("y", (), dtype), table)
    assert found is not None
    assert found.shape == found.data.shape  # type: ignore[union-attr]
    return np.asarray(found.data)


EXPECTED: dict[str, Any] = {
    "ADD": [10, 1], "SUB": [4, -5], "DIV": [3, -3, 4], "FLOOR_DIV": [3, -4, 4], "FLOOR_MOD": [1, 2, 2],
    "MAXIMUM": [7, 2, 8], "MINIMUM": [2, -7, 2], "NEG": [-7, 7], "ABS": [7, 7], "FLOOR": [1, -2],
    "CEIL": [2, -1], "REDUCE_PROD": [8, 15], "SUM": [[5], [9]], "REDUCE_MAX": [4, 3], "REDUCE_MIN": [2, 1],
    "BROADCAST_TO": [[1, 2]] * 3, "BROADCAST_ARGS": [3, 2], "EXPAND_DIMS": [[1], [2]],
    "GATHER": [[7, 5], [3, 1]], "RESHAPE": [5, 6, 1, 2], "SLICE": [6, 7, 8], "SQUEEZE": [5, 6],
    "STRIDED_SLICE": [8, 7, 6, 5], "STRIDED_SLICE to a number": 6, "TILE": [[1, 2] * 3] * 2,
    "TRANSPOSE": [[5, 1], [6, 2], [7, 3]], "CAST": [2, -2], "CONCATENATION": [5, 6, 7],
    "FILL": [[1.5] * 3] * 2, "PACK": [[5, 7], [6, 8]], "RANGE": [2, 5, 8], "ZEROS_LIKE": [0, 0],
    "MUL": F32([7, -2]) * F32(0.3),
    "SQRT": np.sqrt(F32([2, 3, 5])), "RSQRT": F32(1) / np.sqrt(F32([2, 3, 5])),
    "SQUARE": np.square(F32([2, 3, 5.1])),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_operator_folds(name: str) -> None:
    assert np.array_equal(fold(name), np.asarray(EXPECTED[name]))


TRUE_OR_FALSE = {
    "EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "LOGICAL_AND", "LOGICAL_OR",
    "LOGICAL_NOT", "SELECT", "SELECT_V2",
}  # fmt: skip


def test_every_operator_that_folds_has_a_case_and_a_code() -> None:
    assert {kind for kind, _, _ in CASES.values()} == {*FOLDS} - TRUE_OR_FALSE
    named = {*SPELLED.values()} | {kind.name for kind in OPERATORS.values()}
    assert {*FOLDED.values()} == {*FOLDS, *SHAPES} - named
    schema = pytest.importorskip("tflite").BuiltinOperator
    assert all(getattr(schema, name) == code for code, name in (FOLDED | SPELLED).items())


def compare(path: Path) -> list[OpKind]:
    """Assert that a network with one input gives LiteRT's bits; return the kinds of its ops."""
    module = pytest.importorskip("ai_edge_litert.interpreter")
    reference = module.OpResolverType.BUILTIN_REF
    interpreter = module.Interpreter(model_path=str(path), experimental_op_resolver_type=reference)
    interpreter.allocate_tensors()
    model = load_tflite(path)
    details, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    for seed in range(4):
        low, high = LIMITS[model.input.dtype]
        x = np.random.default_rng(seed).integers(low, high + 1, model.input.shape).astype(model.input.dtype)
        unsigned = details["dtype"] == np.uint8
        interpreter.set_tensor(details["index"], x.view(np.uint8) ^ 128 if unsigned else x)
        interpreter.invoke()
        expected = interpreter.get_tensor(result["index"])
        values: dict[str, np.ndarray] = {model.inputs[0]: x}
        for op in model.ops:
            names = op.inputs[:1] if op.kind in WEIGHTED else op.inputs
            inputs = tuple(values[n] if n in values else np.asarray(model.tensors[n].data) for n in names)
            values[op.output] = np.zeros(model.tensors[op.output].shape, model.tensors[op.output].dtype)
            forward(op, model.tensors, model.arithmetic)(inputs, values[op.output])
        ours = values[model.outputs[0]]
        assert np.array_equal(ours.view(np.uint8) ^ 128 if unsigned else ours, expected)
    return [op.kind for op in model.ops]


@pytest.mark.oracle
def test_a_shape_put_together_again_is_folded() -> None:
    kinds = compare(case("keras_flatten_shape_pack.tflite"))
    assert kinds == [OpKind.CONV_2D, OpKind.RESHAPE, OpKind.FULLY_CONNECTED, OpKind.SOFTMAX]


@pytest.mark.oracle
def test_a_constant_without_dimensions_is_read() -> None:
    assert compare(case("scalar_uint8_mul.tflite")) == [OpKind.MUL]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "kind"), [("quantize_int16_int8", OpKind.QUANTIZE), ("relu_int16", OpKind.RELU)]
)
def test_16_bit_activations_are_read(name: str, kind: OpKind) -> None:
    assert compare(case(f"{name}.tflite")) == [kind]


def test_float_arithmetic_behind_int8_is_refused_by_whoever_would_run_it() -> None:
    model = load_tflite(case("dequantize_resize_float.tflite"))
    with pytest.raises(BadModel, match=r"resize_bilinear.*float32 from float32.*mcusim quantize"):
        forward(model.ops[-1], model.tensors, model.arithmetic)


def test_uint8_constants_without_dimensions(tmp_path: Path) -> None:
    tensors = [TensorSpec("x", (1, 4), UINT8), TensorSpec("c", (), UINT8, np.array(200, np.uint8)),
               TensorSpec("y", (1, 4), UINT8)]  # fmt: skip
    spec = FileSpec(tensors, [OperatorSpec(18, (0, 1), (2,))], outputs=(2,))
    data = np.asarray(parse_tflite(spec.bytes(), "m.tflite").tensors["c"].data)
    assert (data.shape, int(data)) == ((), 72)


def chain(begin: int) -> FileSpec:
    """Return a file whose input's shape is sliced and packed into the shape of a RESHAPE."""
    none: dict[str, Any] = {"scale": ()}
    tensors = [
        TensorSpec("x", (1, 2, 3)), TensorSpec("shape", (), INT32, **none),
        TensorSpec("b", (1,), INT32, I32([begin]), **none),
        TensorSpec("e", (1,), INT32, I32([begin + 1]), **none),
        TensorSpec("s", (1,), INT32, I32([1]), **none), TensorSpec("n", (), INT32, **none),
        TensorSpec("rest", (), INT32, I32(-1), **none), TensorSpec("new", (), INT32, **none),
        TensorSpec("y", (2, 3) if begin else (1, 6)),
    ]  # fmt: skip
    operators = [
        OperatorSpec(77, (0,), (1,)),
        OperatorSpec(45, (1, 2, 3, 4), (5,), {"shrink": (4, "int32", 1)}),
        OperatorSpec(83, (5, 6), (7,), {"count": (0, "int32", 2)}),
        OperatorSpec(22, (0, 7), (8,)),
    ]
    return FileSpec(tensors, operators, outputs=(8,))


def test_a_chain_from_a_shape_to_a_shape() -> None:
    for begin in (0, 1):
        model = parse_tflite(chain(begin).bytes(), "m.tflite")
        assert [op.kind for op in model.ops] == [OpKind.RESHAPE]
        assert {*model.tensors} == {"x", "y"}


def test_constants_that_do_not_fit_are_one_line() -> None:
    with pytest.raises(BadModel, match=r"op 1 \(STRIDED_SLICE\): its constant inputs do not fit each other"):
        parse_tflite(chain(9).bytes(), "m.tflite")
    with pytest.raises(BadModel, match="at most"):
        FOLDS["FILL"]([I32([2**20, 2**20]), F32(0)], None, Tensor("y", ()))


def test_quantised_constants_move_but_are_not_computed_with() -> None:
    def file(code: int, scale: float) -> FileSpec:
        tensors = [
            TensorSpec("x", (1, 4)), TensorSpec("c", (4,), data=np.arange(4, dtype=np.int8)),
            TensorSpec("d", (2,), INT32, I32([1, 4]), scale=()), TensorSpec("r", (1, 4), scale=(scale,)),
            TensorSpec("y", (1, 4)),
        ]  # fmt: skip
        return FileSpec(tensors, [OperatorSpec(code, (1, 2), (3,)), OperatorSpec(0, (0, 3), (4,))])

    model = parse_tflite(file(22, 0.1).bytes(), "m.tflite")
    assert [op.kind for op in model.ops] == [OpKind.ADD]
    assert np.asarray(model.tensors["r"].data).tolist() == [[0, 1, 2, 3]]
    model = parse_tflite(file(22, 0.2).bytes(), "m.tflite")
    assert [op.kind for op in model.ops] == [OpKind.RESHAPE, OpKind.ADD]
