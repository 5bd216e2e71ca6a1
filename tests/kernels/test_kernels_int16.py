"""16-bit activations: the integers of TFLite Micro and LiteRT, what is refused, and what learns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mcusim
from mcusim.core import BadModel, Kind, Slot, SlotPart
from mcusim.data import from_arrays
from mcusim.engine.state import State
from mcusim.files.tflite.reader import parse_tflite
from mcusim.files.tflite.writer import to_tflite
from mcusim.graph import Arithmetic, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.head import replace_head
from mcusim.graph.ops import Attributes
from mcusim.kernels.forward import forward
from mcusim.kernels.reference.int16 import ANY_TYPE, INT16
from mcusim.update.formats import Formats

pytest.importorskip("flatbuffers")

from arena_steps import train
from compatibility import compute, large_board, reference, tflite_micro
from one_op import EDGES, alone, between, in_16_bits

LIMIT = 1 << 15
ALL = np.arange(-LIMIT, LIMIT).astype(np.int16)[None]
CASES = [(kind, edge) for kind in (*INT16, *ANY_TYPE) for edge in EDGES[kind]]
NOT_IN_MICRO = {
    OpKind.REDUCE_MAX, OpKind.REDUCE_MIN, OpKind.MIRROR_PAD, OpKind.TILE, OpKind.GATHER,
    OpKind.DEPTH_TO_SPACE, OpKind.SPACE_TO_DEPTH,
    OpKind.RELU6,  # it does not rescale there
}  # fmt: skip
NOT_IN_LITERT = {
    OpKind.SQUARED_DIFFERENCE, OpKind.DEPTH_TO_SPACE, OpKind.SPACE_TO_DEPTH,
    OpKind.SUM,  # it does not look at scales there
}  # fmt: skip


def given(model: Model, count: int = 1) -> list[np.ndarray]:
    """Return random numbers for every input."""
    rng = np.random.default_rng(0)
    tensors = [model.tensors[name] for name in model.inputs]
    return [
        rng.uniform(-1, 1, t.shape).astype(np.float32)
        if t.dtype == "float32"
        else rng.integers(-LIMIT, LIMIT, t.shape).astype(np.int16)
        for t in tensors
    ]


def assert_agrees(model: Model, xs: list[np.ndarray], *, micro: bool = True, litert: bool = True) -> None:
    """Assert that a network read from its own file gives the integers of both runtimes."""
    data = to_tflite(model)
    read = parse_tflite(data, "one")
    for arithmetic, oracle, there in (
        (Arithmetic.TFLITE, tflite_micro, micro), (Arithmetic.LITERT, reference, litert),
    ):  # fmt: skip
        if there:
            ours = compute(replace(read, arithmetic=arithmetic), xs)
            np.testing.assert_array_equal(ours.reshape(-1), oracle(data, xs).reshape(-1))


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}, {case[1].name}")
def test_every_form_has_the_integers_of_a_runtime(case: Any) -> None:
    kind, edge = case
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    pytest.importorskip("ai_edge_litert.interpreter")
    model = in_16_bits(alone(kind, edge))
    micro, litert = kind not in NOT_IN_MICRO, kind not in NOT_IN_LITERT
    assert_agrees(model, given(model), micro=micro, litert=litert)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "kind", [OpKind.LOGISTIC, OpKind.TANH, OpKind.LEAKY_RELU, OpKind.ABS, OpKind.QUANTIZE]
)
def test_every_int16_value_is_that_of_both_runtimes(kind: OpKind) -> None:
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    pytest.importorskip("ai_edge_litert.interpreter")
    fixed = kind in (OpKind.LOGISTIC, OpKind.TANH)
    for scale in (2.0**-12, 2.0**-11, 0.00017, 0.0031):
        tensors = {
            "x": Tensor("x", ALL.shape, "int16", Quant.of(scale)),
            "y": Tensor("y", ALL.shape, "int16", Quant.of(2.0**-15 if fixed else 1.7 * scale)),
        }
        attributes = Attributes(alpha=0.3, clamp=(-LIMIT, LIMIT - 1))
        model = Model("one", (Op("op", kind, ("x",), "y", attributes),), tensors, ("x",), ("y",))
        assert_agrees(model, [ALL])


@pytest.mark.oracle
@pytest.mark.parametrize("kind", [OpKind.CONV_2D, OpKind.FULLY_CONNECTED, OpKind.DEPTHWISE_CONV_2D])
@pytest.mark.parametrize("bias", ["none", "int32"])
def test_other_biases_are_those_of_tflite_micro_or_refused(kind: OpKind, bias: str) -> None:
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    model = in_16_bits(alone(kind, EDGES[kind][0]))
    (op,) = model.ops
    b = model.tensors["op.b"]
    if bias == "none":
        tensors = {name: tensor for name, tensor in model.tensors.items() if name != "op.b"}
        model = replace(model, ops=(replace(op, inputs=op.inputs[:2]),), tensors=tensors)
    else:
        narrow = replace(b, dtype="int32", data=np.asarray(b.data, np.int32))
        model = model.with_tensors({"op.b": narrow})
    if bias == "int32" and kind is OpKind.DEPTHWISE_CONV_2D:
        with pytest.raises(BadModel, match=r"int32 bias 'op\.b'.*int64 biases"):
            forward(model.ops[0], model.tensors, Arithmetic.TFLITE)
        return
    assert_agrees(model, given(model), litert=False)


def test_what_no_runtime_computes_is_refused() -> None:
    add = in_16_bits(alone(OpKind.ADD, EDGES[OpKind.ADD][0]))
    with pytest.raises(BadModel, match=r"arithmetic float is of 8-bit.*tflite"):
        forward(add.ops[0], add.tensors, Arithmetic.FLOAT)
    moved = add.with_tensors({"y": replace(add.tensors["y"], quant=Quant.of(0.1, 3))})
    with pytest.raises(BadModel, match=r"'y' with zero point 3.*16x8"):
        forward(moved.ops[0], moved.tensors, Arithmetic.TFLITE)
    curve = in_16_bits(alone(OpKind.TANH, EDGES[OpKind.TANH][0]))
    other = curve.with_tensors({"y": replace(curve.tensors["y"], quant=Quant.of(0.1))})
    with pytest.raises(BadModel, match=r"2\*\*-15, and 'y' has the scale 0\.1"):
        forward(other.ops[0], other.tensors, Arithmetic.TFLITE)
    swish = in_16_bits(alone(OpKind.HARD_SWISH, EDGES[OpKind.HARD_SWISH][0]))
    with pytest.raises(BadModel, match="no 16-bit form in TFLite Micro"):
        forward(swish.ops[0], swish.tensors, Arithmetic.TFLITE)


LEARNING = [
    (kind, edge) for kind, edge in CASES if edge is EDGES[kind][0] and between(kind, edge) is not None
]


@pytest.mark.parametrize("case", LEARNING, ids=lambda case: str(case[0]))
def test_layers_before_it_learn_the_same_in_arena_and_in_separate_buffers(case: Any) -> None:
    plain = between(*case)
    assert plain is not None
    model = in_16_bits(plain)
    x = np.random.default_rng(3).integers(-LIMIT, LIMIT, (4, *model.input.shape)).astype(np.int16)
    arena, apart = (
        train(model, "dense", Formats(error="int16"), arena=arena, targets=(0, 1, 2, 0), x=x, overlap=arena)
        for arena in (True, False)
    )
    assert arena[0] == apart[0]
    assert all(np.array_equal(value, apart[1].arrays[slot]) for slot, value in arena[1].arrays.items())


def test_gradients_are_those_of_finite_differences() -> None:
    """16 bits are fine enough for a slope: moving one weight moves the loss as its gradient says."""
    model = in_16_bits(_convolutions())
    x = np.random.default_rng(5).integers(-80, 80, (1, *model.input.shape)).astype(np.int16)
    rate = 1e-3

    def run(model: Model) -> tuple[list[float], State]:
        formats, sgd = Formats(weight="float32"), mcusim.Sgd(lr=rate)
        return train(model, "dense", formats, arena=False, targets=(1, 1), x=x, steps=1, sgd=sgd)

    _, state = run(model)
    for op in (op for op in model.ops if op.traits.weighted):
        weight = model.tensors[op.inputs[1]]
        assert weight.quant is not None
        before = np.asarray(weight.data).reshape(len(weight.quant.scale), -1)
        after = state.arrays[Slot(op.name, Kind.MASTER, SlotPart.WEIGHT)].reshape(before.shape)
        # A step of quantisation-aware scaling is divided by the square of the weight's scale.
        slopes = (before - after.astype(np.float64)) / rate * weight.quant.scale[:, None] ** 2
        places = np.unravel_index(np.argsort(-np.abs(slopes), None)[:6], slopes.shape)
        found = []
        for place in zip(*places, strict=True):
            losses = []
            for step in (-20, 20):
                moved = before.copy()
                moved[place] += step
                other = replace(weight, data=moved.reshape(weight.shape))
                losses.append(run(model.with_tensors({weight.name: other}))[0][0])
            found.append((losses[1] - losses[0]) / 40)
        # Rounding of what lies between is the noise of a single one.
        assert np.dot(found, slopes[places]) == pytest.approx(np.dot(found, found), rel=0.1), op.name


def _convolutions() -> Model:
    found = between(OpKind.CONV_2D, EDGES[OpKind.CONV_2D][1])
    assert found is not None
    return found


def test_it_is_planned_at_two_bytes_trained_saved_and_written_as_firmware(tmp_path: Any) -> None:
    narrow = _convolutions()
    wide = in_16_bits(narrow)
    plans = [mcusim.Session(model, large_board(), "head").plan() for model in (narrow, wide)]
    activations = [
        sum(t.bytes for t in plan.step.tensors.values() if t.role == "activation") for plan in plans
    ]
    assert activations[1] == 2 * activations[0]
    session = mcusim.Session(wide, large_board(), "dense", sgd=mcusim.Sgd(lr=1e-6))
    rng = np.random.default_rng(0)
    x = rng.uniform(-10, 10, (8, *wide.input.shape[1:])).astype(np.float32)
    run = session.train(from_arrays(x, np.arange(8) % 3), epochs=1)
    assert np.isfinite(run.rows[-1]["loss"])
    for name in ("m.tflite", "m.npz"):
        mcusim.save(run.model, tmp_path / name)
        again = mcusim.load(tmp_path / name)
        xs = given(wide)
        np.testing.assert_array_equal(compute(again, xs), compute(run.model, xs))
    assert (session.firmware(tmp_path / "out").folder / "kernels" / "int16.c").is_file()


def test_a_new_classifier_learns_in_float_behind_it() -> None:
    model = replace_head(in_16_bits(_convolutions()), 2)
    assert [op.kind for op in model.ops[-2:]] == [OpKind.DEQUANTIZE, OpKind.FULLY_CONNECTED]
    x = np.random.default_rng(0).uniform(-0.05, 0.05, (32, *model.input.shape[1:])).astype(np.float32)
    labels = np.arange(32) % 2
    x[labels == 1] += np.float32(0.02)
    session = mcusim.Session(model, large_board(), "head", sgd=mcusim.Sgd(lr=0.05))
    losses = [row["loss"] for row in session.train(from_arrays(x, labels), epochs=6).rows]
    assert losses[-1] < 0.7 * losses[0]


def test_show_says_that_wide_biases_stay() -> None:
    model = in_16_bits(_convolutions())
    assert [layer.learns for layer in mcusim.show(model).layers if layer.weights] == [("weights",)] * 3
