"""Networks written as TFLite files: read back the same, and run by LiteRT with the same results."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from one_op import EDGES, alone

import mcusim
from mcusim.core import BadModel
from mcusim.data import from_arrays
from mcusim.files.graph_json import load_graph_json
from mcusim.files.names import NAMES
from mcusim.files.save import save
from mcusim.files.tflite.reader import load_tflite, parse_tflite
from mcusim.files.tflite.writer import to_tflite
from mcusim.graph import TRAITS, WEIGHTED, Arithmetic, Attributes, Model, OpKind, Quant
from mcusim.graph.build import GraphBuilder
from mcusim.graph.head import replace_head
from mcusim.graph.traits import MOVES, UNARY
from mcusim.kernels.forward import forward
from mcusim.kernels.reference.pairs import LOOKED_UP

pytest.importorskip("flatbuffers")


def assert_same(a: Model, b: Model) -> None:
    """Assert that two networks have the same ops, scales and constants."""
    assert [(o.name, o.kind, o.inputs, o.attributes) for o in a.ops] == [
        (o.name, o.kind, o.inputs, o.attributes) for o in b.ops
    ]
    assert (a.inputs, a.outputs, a.head) == (b.inputs, b.outputs, b.head)
    for name, tensor in a.tensors.items():
        other = b.tensors[name]
        assert (tensor.shape, tensor.dtype) == (other.shape, other.dtype)
        if tensor.quant is not None and tensor.dtype == "int8":
            assert tensor.quant.same_as(other.quant), name
        if tensor.data is not None:
            assert np.array_equal(np.asarray(tensor.data), np.asarray(other.data))


@pytest.mark.smoke
def test_small_network_comes_back_the_same(synthetic_model: Model, tmp_path: Path) -> None:
    model = replace(synthetic_model, head="fc")
    mcusim.save(model, tmp_path / "m.tflite")
    assert_same(model, load_tflite(tmp_path / "m.tflite"))


def clamped(model: Model, clamp: tuple[int, int]) -> Model:
    """Return a network whose weighted ops have another clamp."""
    ops = (
        replace(o, attributes=replace(o.attributes, clamp=clamp)) if o.kind in WEIGHTED else o
        for o in model.ops
    )
    return replace(model, ops=tuple(ops))


def test_clamps_are_activations_or_refused(synthetic_model: Model) -> None:
    # Zero point 4 and scale 0.05: RELU6, RELU, RELU_N1_TO_1, none.
    for clamp in ((4, 124), (4, 127), (-16, 24), (-128, 127)):
        model = replace(clamped(synthetic_model, clamp), head="fc")
        assert_same(model, parse_tflite(to_tflite(model), "m"))
    with pytest.raises(BadModel, match=r"'conv'.*\(5, 124\)"):
        to_tflite(clamped(synthetic_model, (5, 124)))


@pytest.mark.data
def test_real_files_come_back_the_same(data_dir: Path) -> None:
    for path in sorted((data_dir / "tflite").glob("*.tflite")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model = load_tflite(path)
        assert_same(model, parse_tflite(to_tflite(model), path.name))


def interpreter(data: bytes) -> Any:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    reference = litert.OpResolverType.BUILTIN_REF
    found = litert.Interpreter(model_content=data, experimental_op_resolver_type=reference)
    found.allocate_tensors()
    return found


def run(data: bytes, *xs: np.ndarray) -> np.ndarray:
    """Return the first output of LiteRT's reference kernels."""
    found = interpreter(data)
    for details, x in zip(found.get_input_details(), xs, strict=True):
        found.set_tensor(details["index"], (x.view(np.uint8) ^ 128) if details["dtype"] == np.uint8 else x)
    found.invoke()
    y = found.get_tensor(found.get_output_details()[0]["index"])
    return (y ^ 128).view(np.int8) if y.dtype == np.uint8 else y


FROM_ZERO = {OpKind.SQRT, OpKind.RSQRT}
"""LiteRT refuses to compute these of anything below zero."""
NOT_IN_LITERT = {OpKind.ELU}
"""Its registry of reference kernels lacks it; TFLite Micro has it."""


def run_micro(data: bytes, *xs: np.ndarray) -> np.ndarray:
    """Return the first output of TFLite Micro."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    found = runtime.Interpreter.from_bytes(data, arena_size=2**20)
    for i, x in enumerate(xs):
        found.set_input(x, i)
    found.invoke()
    return np.array(found.get_output(0))


@pytest.mark.oracle
def test_a_function_that_tflite_has_no_operator_for_is_refused() -> None:
    with pytest.raises(
        BadModel, match=r"op 'op' \(curve\): is no operator of TFLite \(save it as .npz or .onnx\)"
    ):
        to_tflite(alone(OpKind.CURVE, EDGES[OpKind.CURVE][0]))


@pytest.mark.parametrize("kind", [kind for kind in UNARY if NAMES[kind].tflite is not None])
def test_litert_computes_the_same_of_every_int8_value(kind: OpKind) -> None:
    rng, x = np.random.default_rng(0), np.arange(-128, 128).astype(np.int8)[None]
    for _ in range(20):
        s_x = 10 ** rng.uniform(-3, -0.5)
        quant = TRAITS[kind].scale
        if not isinstance(quant, Quant):
            quant = Quant.of(s_x * rng.uniform(1, 4), int(rng.integers(-128, 100)))
        zero = -128 if kind in FROM_ZERO else int(rng.integers(-128, 128))
        build = GraphBuilder()
        build.activation("x", x.shape, Quant.of(s_x, zero))
        build.activation("y", x.shape, quant)
        build.op("op", kind, ("x",), "y", Attributes(alpha=float(np.float32(rng.uniform(0, 2)))))
        data = to_tflite(Model("one", tuple(build.ops), build.tensors, ("x",), ("y",)))
        model, ours = parse_tflite(data, "one"), np.empty_like(x)
        forward(model.ops[0], model.tensors, model.arithmetic)((x,), ours)
        oracle = run_micro if kind in NOT_IN_LITERT else run
        np.testing.assert_array_equal(ours, oracle(data, x))


@pytest.mark.oracle
@pytest.mark.parametrize("kind", LOOKED_UP)
def test_litert_and_tflite_micro_compute_the_same_of_every_pair(kind: OpKind) -> None:
    rng = np.random.default_rng(0)
    for other in ((1, 4, 5, 8), (1, 1, 1, 8), (1, 1, 1, 8), (1, 4, 5, 8)):
        x, z = (rng.integers(-128, 128, shape, dtype=np.int8) for shape in ((1, 4, 5, 8), other))
        quants = [Quant.of(10 ** rng.uniform(-3, -1), int(rng.integers(-128, 128))) for _ in range(3)]
        if TRAITS[kind].scale == "input":
            quants[1:] = quants[:1] * 2
        if kind is OpKind.DIV:
            # Shifts beyond 31 bits, by tiny quotients, and division by zero are undefined in C.
            z = np.maximum(z, -120)
            x = np.where(np.abs(x.astype(int)) < 60, 90, x).astype(np.int8)
            quants = [Quant.of(0.1), Quant.of(0.02, -128), Quant.of(0.3, 5)]
        build = GraphBuilder()
        build.activation("x", x.shape, quants[0])
        build.constant("z", z, quants[1])
        build.activation("y", x.shape, quants[2])
        build.op("op", kind, ("x", "z"), "y", Attributes())
        data = to_tflite(Model("one", tuple(build.ops), build.tensors, ("x",), ("y",)))
        model, ours = parse_tflite(data, "one"), np.empty_like(x)
        forward(model.ops[0], model.tensors, model.arithmetic)((x, z), ours)
        np.testing.assert_array_equal(ours, run(data, x))
        np.testing.assert_array_equal(ours, run_micro(data, x))


MOVED: list[tuple[OpKind, tuple[int, ...], dict[str, Any]]] = [
    (OpKind.STRIDED_SLICE, (1, 3, 2, 8), {"axes": (1, 2), "begin": (1, 6), "step": (2, -3), "shape": (3, 2)}),
    (OpKind.STRIDED_SLICE, (1, 6, 7, 8), {"axes": (3,), "begin": (7,), "step": (-1,), "shape": (8,)}),
    (OpKind.TILE, (1, 12, 7, 24), {"repeats": (1, 2, 1, 3)}),
    (OpKind.GATHER, (1, 6, 7, 3), {"axes": (3,), "indices": (3, 3, 0)}),
    (OpKind.REVERSE, (1, 6, 7, 8), {"axes": (1, 2)}),
    (OpKind.MIRROR_PAD, (1, 9, 9, 8), {"pads": ((0, 0), (2, 1), (1, 1), (0, 0))}),
    (OpKind.MIRROR_PAD, (1, 9, 9, 8), {"pads": ((0, 0), (2, 1), (1, 1), (0, 0)), "symmetric": True}),
    (OpKind.DEPTH_TO_SPACE, (1, 12, 14, 2), {"block": 2}),
    (OpKind.SPACE_TO_DEPTH, (1, 3, 7, 16), {"block": 2}),
    (OpKind.TRANSPOSE, (1, 8, 7, 6), {"axes": (0, 3, 2, 1)}),
    (OpKind.PAD, (1, 9, 9, 8), {"pads": ((0, 0), (2, 1), (1, 1), (0, 0)), "fill": -77}),
    (OpKind.PAD, (1, 9, 9, 8), {"pads": ((0, 0), (2, 1), (1, 1), (0, 0))}),
]


def test_every_move_is_compared_with_others() -> None:
    assert {kind for kind, _, _ in MOVED} == {*MOVES}


@pytest.mark.oracle
@pytest.mark.parametrize("case", MOVED, ids=lambda case: str(case[0]))
def test_litert_and_tflite_micro_move_the_same(case: Any) -> None:
    kind, shape, attributes = case
    x, quant = np.random.default_rng(0).integers(-128, 128, (1, 6, 7, 8), dtype=np.int8), Quant.of(0.1, 3)
    if kind is OpKind.SPACE_TO_DEPTH:
        x = x.reshape(1, 6, 14, 4)
    build = GraphBuilder()
    build.activation("x", x.shape, quant)
    build.activation("y", shape, quant)
    build.op("op", kind, ("x",), "y", Attributes(**attributes))
    data = to_tflite(Model("one", tuple(build.ops), build.tensors, ("x",), ("y",)))
    model, ours = parse_tflite(data, "one"), np.empty(shape, np.int8)
    assert [op.kind for op in model.ops] == [kind]
    forward(model.ops[0], model.tensors, model.arithmetic)((x,), ours)
    np.testing.assert_array_equal(ours, run(data, x))
    if kind is not OpKind.TILE:  # TFLite Micro has no such operator
        np.testing.assert_array_equal(ours, run_micro(data, x))


def filtered(
    kind: OpKind, x: Any, w: Any, y: Any, rng: Any, *, bias: bool = True, **more: Any
) -> GraphBuilder:
    build = GraphBuilder()
    quant, scales = Quant.of(0.05, 7), rng.uniform(0.002, 0.01, w[0]).astype(np.float32)
    build.activation("x", x, quant)
    build.constant("w", rng.integers(-127, 128, w, dtype=np.int8), Quant(scales, 0, 0))
    names: tuple[str, ...] = ("x", "w")
    if bias:
        numbers = rng.integers(-3000, 3000, w[0], dtype=np.int32)
        build.constant("b", numbers, Quant(scales * np.float32(0.05), 0, 0))
        names = (*names, "b")
    build.activation("y", y, Quant.of(0.2, -11))
    build.op("op", kind, names, "y", Attributes(**more))
    return build


TWICE = {"stride": (2, 2)}
FILTERED: list[tuple[OpKind, Any, Any, Any, dict[str, Any]]] = [
    (OpKind.GROUPED_CONV_2D, (1, 6, 7, 8), (12, 3, 3, 4), (1, 4, 5, 12), {}),
    (
        OpKind.GROUPED_CONV_2D, (1, 6, 7, 8), (12, 3, 3, 2), (1, 3, 4, 12),
        {"stride": (2, 2), "padding": ((0, 1), (1, 1))},
    ),
    (OpKind.TRANSPOSE_CONV, (1, 4, 5, 6), (7, 3, 3, 6), (1, 9, 11, 7), TWICE),
    (OpKind.TRANSPOSE_CONV, (1, 4, 5, 6), (7, 3, 3, 6), (1, 8, 10, 7), TWICE | {"padding": ((0, 1), (0, 1))}),
    (
        OpKind.TRANSPOSE_CONV, (1, 4, 5, 6), (7, 4, 4, 6), (1, 8, 10, 7),
        TWICE | {"padding": ((1, 1), (1, 1)), "bias": False},
    ),
    (OpKind.TRANSPOSE_CONV, (1, 4, 5, 6), (7, 2, 2, 6), (1, 12, 15, 7), {"stride": (3, 3)}),
]  # fmt: skip


def dense(rng: np.random.Generator, rows: int) -> GraphBuilder:
    """Return a fully connected layer of 64 outputs, with one scale or one a row."""
    build, columns, along = GraphBuilder(), int(rng.integers(4, 60)), 0 if rows > 1 else None
    scales, given = rng.uniform(0.002, 0.01, rows).astype(np.float32), np.float32(rng.uniform(0.01, 0.1))
    build.activation("x", (1, columns), Quant.of(float(given), 7))
    build.constant("w", rng.integers(-127, 128, (64, columns), dtype=np.int8), Quant(scales, 0, along))
    numbers = rng.integers(-3000, 3000, 64, dtype=np.int32)
    build.constant("b", numbers, Quant(scales * given, 0, along))
    build.activation("y", (1, 64), Quant.of(float(rng.uniform(0.01, 0.2)), -11))
    build.op("op", OpKind.FULLY_CONNECTED, ("x", "w", "b"), "y", Attributes())
    return build


@pytest.mark.oracle
@pytest.mark.parametrize("rows", [1, 64])
def test_each_runtime_rounds_a_dense_layer_as_its_profile_does(rows: int) -> None:
    apart = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        build = dense(rng, rows)
        data = to_tflite(Model("one", tuple(build.ops), build.tensors, ("x",), ("y",)))
        model = parse_tflite(data, "one")
        x = rng.integers(-128, 128, model.input.shape, dtype=np.int8)
        ours = {arithmetic: np.empty((1, 64), np.int8) for arithmetic in Arithmetic}
        for arithmetic, y in ours.items():
            forward(model.ops[0], model.tensors, arithmetic)((x,), y)
        np.testing.assert_array_equal(ours[Arithmetic.LITERT], run(data, x))
        np.testing.assert_array_equal(ours[Arithmetic.TFLITE], run_micro(data, x))
        apart += int((ours[Arithmetic.LITERT] != ours[Arithmetic.TFLITE]).sum())
    assert apart


def assert_agrees(build: GraphBuilder, xs: list[np.ndarray], *, litert: bool = True) -> None:
    """Assert that LiteRT and TFLite Micro compute what our kernel of the one op does."""
    names = tuple(name for name, tensor in build.tensors.items() if not tensor.constant and name != "y")
    data = to_tflite(Model("one", tuple(build.ops), build.tensors, names, ("y",)))
    model = parse_tflite(data, "one")
    (op,) = model.ops
    given = dict(zip(names, xs, strict=True))
    inputs = tuple(given[n] if n in given else np.asarray(model.tensors[n].data) for n in op.inputs)
    ours = np.empty(model.output.shape, np.int8)
    forward(op, model.tensors, model.arithmetic)(inputs, ours)
    if litert:
        np.testing.assert_array_equal(ours, run(data, *xs))
    np.testing.assert_array_equal(ours, run_micro(data, *xs))


@pytest.mark.oracle
@pytest.mark.parametrize("case", FILTERED, ids=lambda case: str(case[0]))
def test_convolutions_in_groups_and_transposed_ones_are_the_same(case: Any) -> None:
    kind, x, w, y, more = case
    rng = np.random.default_rng(0)
    if kind is OpKind.TRANSPOSE_CONV:
        more = more | {"shape": y}
    build = filtered(kind, x, w, y, rng, **more)
    assert_agrees(build, [rng.integers(-128, 128, x, dtype=np.int8)])


PRODUCTS = [
    ((1, 4, 5, 6), (1, 4, 6, 7), (1, 4, 5, 7), (False, False)),
    ((1, 4, 5, 6), (1, 4, 7, 6), (1, 4, 5, 7), (False, True)),
    ((1, 6, 5), (1, 6, 7), (1, 5, 7), (True, False)),
    ((1, 4, 5, 6), (1, 1, 6, 7), (1, 4, 5, 7), (False, False)),
]


@pytest.mark.oracle
@pytest.mark.parametrize("case", PRODUCTS, ids=str)
def test_products_of_matrices_are_the_same(case: Any) -> None:
    a, b, y, adjoint = case
    rng, build = np.random.default_rng(0), GraphBuilder()
    for name, shape, quant in (
        ("x", a, Quant.of(0.05, 7)),
        ("z", b, Quant.of(0.02, -9)),
        ("y", y, Quant.of(0.1)),
    ):
        build.activation(name, shape, quant)
    build.op("op", OpKind.BATCH_MATMUL, ("x", "z"), "y", Attributes(adjoint=adjoint))
    assert_agrees(build, [rng.integers(-128, 128, shape, dtype=np.int8) for shape in (a, b)])


REDUCED: list[tuple[OpKind, Any, Any, Any, Any, Any]] = [
    (OpKind.SUM, (1, 6, 7, 8), (1, 8), Quant.of(0.05), Quant.of(0.9, 5), (1, 2)),
    (OpKind.SUM, (1, 6, 7, 8), (1, 6, 7), Quant.of(0.05, 3), Quant.of(0.2, -5), (3,)),
    (OpKind.REDUCE_MAX, (1, 6, 7, 8), (1, 8), Quant.of(0.05, 3), Quant.of(0.05, 3), (1, 2)),
    (OpKind.REDUCE_MIN, (1, 6, 7, 8), (1, 6, 7), Quant.of(0.05, 3), Quant.of(0.05, 3), (3,)),
    (OpKind.LOG_SOFTMAX, (1, 4, 300), (1, 4, 300), Quant.of(0.05, 3), TRAITS[OpKind.LOG_SOFTMAX].scale, (2,)),
    (OpKind.LOG_SOFTMAX, (1, 7), (1, 7), Quant.of(0.3, 3), TRAITS[OpKind.LOG_SOFTMAX].scale, (1,)),
    (
        OpKind.L2_NORMALIZATION, (1, 4, 32), (1, 4, 32), Quant.of(0.05, 3),
        TRAITS[OpKind.L2_NORMALIZATION].scale, (2,),
    ),
]  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("case", REDUCED, ids=lambda case: f"{case[0]}{case[1]}")
def test_reductions_and_normalisations_are_the_same(case: Any) -> None:
    kind, x, y, given, made, axes = case
    build = GraphBuilder()
    build.activation("x", x, given)
    build.activation("y", y, made)
    build.op("op", kind, ("x",), "y", Attributes(axes=axes))
    # LiteRT's SUM of int8 does not look at scales.
    assert_agrees(
        build, [np.random.default_rng(0).integers(-128, 128, x, dtype=np.int8)], litert=kind is not OpKind.SUM
    )


def test_what_is_compared_has_one_scale() -> None:
    build = GraphBuilder()
    build.activation("x", (1, 4), Quant.of(0.1))
    build.constant("z", np.zeros((1, 4), np.int8), Quant.of(0.2))
    build.activation("y", (1, 4), Quant.of(0.1))
    build.op("op", OpKind.MAXIMUM, ("x", "z"), "y", Attributes())
    model = Model("one", tuple(build.ops), build.tensors, ("x",), ("y",))
    with pytest.raises(BadModel, match=r"op 'op' \(maximum\): compares stored numbers of different scales"):
        forward(model.ops[0], model.tensors, model.arithmetic)


@pytest.mark.data
@pytest.mark.oracle
@pytest.mark.parametrize(
    "name",
    [
        "mlperftiny_kws_ref_model",
        "mlperftiny_ic_pretrainedResnet_quant",
        "tinyengine_detection",
        "coral_mobilenet_v1_0.25_128_quant",
        "tinytraining_mbv2-w0.35_128_int8",
    ],
)
def test_litert_computes_the_same_from_our_file(data_dir: Path, name: str) -> None:
    path = data_dir / "tflite" / f"{name}.tflite"
    model = load_tflite(path)
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, model.input.shape).astype(np.int8)
    if model.input.dtype == "float32":
        x = rng.uniform(-1, 1, model.input.shape).astype(np.float32)
    assert np.array_equal(run(to_tflite(model), x), run(path.read_bytes(), x))


@pytest.mark.data
@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", ["mlperftiny_ic_pretrainedResnet_quant", "coral_mobilenet_v1_0.25_128_quant"]
)
def test_int8_head_gives_its_exact_accumulators(data_dir: Path, name: str) -> None:
    model = replace_head(load_tflite(data_dir / "tflite" / f"{name}.tflite"), 10, format="int8", seed=3)
    head = model.ops[-1]
    x_name, w, b = head.inputs[0], model.tensors[head.inputs[1]], model.tensors[head.inputs[2]]
    assert model.output.quant is not None
    quant = model.tensors[x_name].quant
    assert quant is not None
    bias = np.arange(10, dtype=np.int32) * 37 - 100
    model = model.with_tensors({b.name: replace(b, data=bias)})
    x = np.random.default_rng(1).integers(-128, 128, model.input.shape).astype(np.int8)
    logits = run(to_tflite(model), x)
    body = replace(model, ops=model.ops[:-1], outputs=(x_name,), head=None)
    features = run(to_tflite(body), x).astype(np.int64)
    acc = (features - quant.zero_point) @ np.asarray(w.data, np.int64).T + bias
    assert np.array_equal(logits, acc.astype(np.float32) * model.output.quant.scale.astype(np.float32))


@pytest.mark.data
@pytest.mark.oracle
def test_public_networks_get_explicit_padding(data_dir: Path) -> None:
    model = load_graph_json(data_dir / "models" / "mbv2-w0.35-int8.json")
    data = to_tflite(replace_head(model, 10))
    again = parse_tflite(data, "m")
    assert len(again.ops) == len(model.ops) + 2 + 5  # flatten and dequantize; five stride-2 paddings
    x = np.random.default_rng(0).integers(-128, 128, (1, 128, 128, 3)).astype(np.int8)
    assert run(data, x).shape == (1, 10)


@pytest.mark.parametrize("head", ["int8", "float32"])
def test_what_is_saved_loads_as_what_it_was(tmp_path: Path, synthetic_model: Model, head: Any) -> None:
    model = replace_head(replace(synthetic_model, arithmetic=Arithmetic.TFLITE), 7, format=head, seed=2)
    save(model, tmp_path / "m.tflite")
    again = mcusim.load(tmp_path / "m.tflite")
    assert again.head == "classifier"
    for before, after in zip(model.ops, again.ops, strict=True):
        assert (before.kind, before.attributes) == (after.kind, after.attributes)
    for name in ("classifier.weight", "classifier.bias"):
        kept = again.tensors[again.ops[-1].inputs[1 if "weight" in name else 2]]
        assert np.array_equal(np.asarray(kept.data), np.asarray(model.tensors[name].data))
        assert (kept.quant is None) == (model.tensors[name].quant is None)
        assert kept.quant is None or kept.quant.same_as(model.tensors[name].quant)
    sessions = [mcusim.Session(m, "stm32h743", "dense") for m in (model, again)]
    plans = [session.plan().as_dict() for session in sessions]
    for part in ("sram", "flash", "weights", "macs", "time"):
        assert plans[0][part] == plans[1][part]
    x = np.random.default_rng(0).integers(-128, 128, (20, *model.input.shape[1:])).astype(np.int8)
    data = from_arrays(x, np.arange(20) % 7)
    rows = [session.train(data, epochs=1).rows[-1]["loss"] for session in sessions]
    assert rows[0] == rows[1]


def test_a_cast_that_is_no_classifier_is_refused(synthetic_model: Model) -> None:
    data = to_tflite(replace_head(replace(synthetic_model, arithmetic=Arithmetic.TFLITE), 3, format="int8"))
    # The weights stop being integers.
    weight = np.asarray(parse_tflite(data, "m").tensors["classifier/weight"].data, np.float32).tobytes()
    assert data.count(weight) == 1
    broken = data.replace(weight, (np.frombuffer(weight, np.float32) + np.float32(0.5)).tobytes())
    with pytest.raises(BadModel, match=r"m: op .*\(MUL\).*integers by 'classifier/weight'.*quantise"):
        parse_tflite(broken, "m")


def test_accumulators_that_float32_cannot_hold_are_refused(synthetic_model: Model) -> None:
    model = replace_head(replace(synthetic_model, arithmetic=Arithmetic.FLOAT), 3, format="int8")
    bias = model.tensors["classifier.bias"]
    huge = model.with_tensors({bias.name: replace(bias, data=np.full(3, 2**30, np.int32))})
    with pytest.raises(BadModel, match=r"2\*\*24"):
        to_tflite(huge)


def test_mixed_zero_points_and_channels_are_refused(synthetic_model: Model) -> None:
    w = synthetic_model.tensors["fc.w"]
    model = synthetic_model.with_tensors({"fc.w": replace(w, quant=Quant.of(0.1, 3))})
    with pytest.raises(BadModel, match="zero points"):
        to_tflite(model)


def test_pooling_with_odd_padding_is_refused() -> None:
    build = GraphBuilder()
    build.activation("x", (1, 4, 4, 2), Quant.of(0.1))
    build.activation("y", (1, 3, 3, 2), Quant.of(0.1))
    attributes = Attributes((2, 2), ((2, 1), (2, 1)), kernel=(3, 3))
    build.op("y", OpKind.MAX_POOL_2D, ("x",), "y", attributes)
    with pytest.raises(BadModel, match="'y': is pooled"):
        to_tflite(Model("m", tuple(build.ops), build.tensors, ("x",), ("y",)))


@pytest.mark.data
@pytest.mark.oracle
@pytest.mark.parametrize("head", ["float32", "int8"])
@pytest.mark.parametrize(
    "name", ["mlperftiny_ic_pretrainedResnet_quant", "coral_mobilenet_v1_0.25_128_quant"]
)
def test_predictions_are_ours_on_every_image(data_dir: Path, name: str, head: Any) -> None:
    from mcusim.engine.inference import Inference

    model = replace_head(load_tflite(data_dir / "tflite" / f"{name}.tflite"), 10, format=head, seed=1)
    x = np.random.default_rng(2).integers(-128, 128, (40, *model.input.shape[1:])).astype(np.int8)
    ours = Inference(model).run(x)
    found = interpreter(to_tflite(model))
    given, wanted = found.get_input_details()[0], found.get_output_details()[0]["index"]
    for image, expected in zip(x, ours, strict=True):
        stored = (image.view(np.uint8) ^ 128) if given["dtype"] == np.uint8 else image
        found.set_tensor(given["index"], stored[None])
        found.invoke()
        assert found.get_tensor(wanted).argmax() == expected.argmax()
