"""Streaming networks: variables of a file, read, and compared with two runtimes at every invocation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stream_network import ASSIGN, HANDLE, ONCE, READ, RESOURCE, ZERO, begin, handle, streaming
from tflite_file import FileSpec, OperatorSpec, TensorSpec

import mcusim
from mcusim.core import BadModel
from mcusim.engine.inference import Inference, activations
from mcusim.files.tflite.patch import patched
from mcusim.files.tflite.reader import parse_tflite
from mcusim.graph import OpKind

pytest.importorskip("flatbuffers")
TIMES = 6


def case(*, once: bool = True) -> tuple[bytes, np.ndarray]:
    """Return the file, and three sequences for it."""
    rng = np.random.default_rng(3)
    data = streaming(rng, once=once).bytes()
    return data, rng.integers(-128, 128, (3, TIMES, 2, 1, 4)).astype(np.int8)


def micro(data: bytes, sequence: np.ndarray) -> list[list[int]]:
    """Return what TFLite Micro gives at every invocation."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    found = []
    for frame in sequence:
        interpreter.set_input(frame[None], 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0)[0].tolist())
    return found


def litert(data: bytes, sequence: np.ndarray) -> list[list[int]]:
    """Return what LiteRT's reference kernels give at every invocation."""
    module = pytest.importorskip("ai_edge_litert.interpreter")
    reference = module.OpResolverType.BUILTIN_REF
    interpreter = module.Interpreter(model_content=data, experimental_op_resolver_type=reference)
    interpreter.allocate_tensors()
    (given,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for frame in sequence:
        interpreter.set_tensor(given["index"], frame[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(output["index"])[0].tolist())
    return found


@pytest.mark.parametrize("runtime", [micro, litert])
def test_every_invocation_gives_the_integers_of_a_runtime(
    runtime: Callable[[bytes, np.ndarray], list[list[int]]],
) -> None:
    data, x = case()
    model = parse_tflite(data, "stream.tflite")
    theirs = np.array([runtime(data, sequence) for sequence in x])
    assert len(np.unique(theirs)) > 12
    for time in range(1, TIMES + 1):
        mine = activations(model, x[:, :time])["shares"]
        assert mine.tolist() == theirs[:, time - 1].tolist()
        assert np.array_equal(Inference(model)(x[:, :time]), mine)


def test_a_variable_without_first_value_begins_as_in_tflite_micro() -> None:
    data, x = case(once=False)
    model = parse_tflite(data, "stream.tflite")
    assert [np.unique(model.tensors[s.initial].data).tolist() for s in model.states] == [[ZERO], [ZERO]]
    assert activations(model, x)["shares"].tolist() == [micro(data, sequence)[-1] for sequence in x]


def test_variables_are_states_and_nothing_is_left_of_their_operators() -> None:
    model = parse_tflite(case()[0], "stream.tflite")
    assert [op.kind for op in model.ops][:3] == [OpKind.CONCATENATION, OpKind.STRIDED_SLICE, OpKind.CONV_2D]
    assert [(s.name, s.after) for s in model.states] == [
        ("first_read", "first_last"), ("second_read", "second_last"),
    ]  # fmt: skip
    assert model.head == "scores"
    assert "2 states" in repr(model)


@pytest.mark.parametrize(("order", "other"), [((ASSIGN, READ), "x"), ((READ,), "read")])
def test_what_is_known_within_an_invocation_is_no_state(order: tuple[int, ...], other: str) -> None:
    assign, read = OperatorSpec(ASSIGN, (1, 0), (), union=113), OperatorSpec(READ, (1,), (2,), union=112)
    uses = {ASSIGN: assign, READ: read}
    spec = FileSpec(
        [TensorSpec("x", (1, 4)), TensorSpec("handle", (), RESOURCE, scale=()), TensorSpec("read", (1, 4)),
         TensorSpec("y", (1, 4))],
        [OperatorSpec(ONCE, (), (), {"index": (0, "int32", 1)}, union=103), handle("v", 1),
         *(uses[code] for code in order), OperatorSpec(0, (0, 2), (3,), union=11)],
        (0,), (3,), others=[begin({"v": np.array([[1, -20, 30, 100]], np.int8)})],
    )  # fmt: skip
    data, x = spec.bytes(), np.array([[[5, 6, -7, 60]]], np.int8)
    model = parse_tflite(data, "m.tflite")
    assert not model.states
    assert model.ops[0].inputs == ("x", other)
    assert activations(model, x[0])["y"].tolist() == micro(data, x[0]) == litert(data, x[0])


def test_it_is_saved_and_loaded_whole(tmp_path: Path) -> None:
    data, x = case()
    (tmp_path / "stream.tflite").write_bytes(data)
    model = mcusim.load(tmp_path / "stream.tflite")
    mcusim.save(model, tmp_path / "stream.npz")
    again = mcusim.load(tmp_path / "stream.npz")
    assert again.same_as(model)
    assert np.array_equal(Inference(again)(x), Inference(model)(x))
    assert patched(data, "stream.tflite", model) == data
    for suffix in ("tflite", "onnx"):
        with pytest.raises(BadModel, match=r"keeps state \('first_read'\)"):
            mcusim.save(model, tmp_path / f"out.{suffix}")


def _drop(code: int) -> Callable[[FileSpec], None]:
    def change(spec: FileSpec) -> None:
        spec.operators.remove(next(op for op in spec.operators if op.code == code))

    return change


def _compute(spec: FileSpec) -> None:
    spec.others[0].operators.append(OperatorSpec(0, (1, 3), (1,)))


def _forget(spec: FileSpec) -> None:
    spec.others[0].tensors[1].data = None


def _resize(spec: FileSpec) -> None:
    first = next(t for t in spec.others[0].tensors if t.name == "first_0")
    first.shape, first.data = (1, 1, 1, 4), np.zeros((1, 1, 1, 4), np.int8)


def _other(spec: FileSpec) -> None:
    spec.others.append(begin({"third": np.zeros(1, np.int8)}))


def _elsewhere(spec: FileSpec) -> None:
    spec.operators[0].options["index"] = (0, "int32", 7)


def _short(spec: FileSpec) -> None:
    next(op for op in spec.operators if op.code == ASSIGN).inputs = (1,)


WRONG: dict[str, tuple[Callable[[FileSpec], None], str]] = {
    "no handle": (_drop(HANDLE), "op .*VARIABLE.*names no VAR_HANDLE|assigns to no variable"),
    "a subgraph nobody names": (_other, "has 2 subgraphs.*control flow"),
    "first values that nobody asks for": (_drop(ONCE), "has 2 subgraphs"),
    "a subgraph that computes": (_compute, r"subgraph 1.*computes \(ADD\)"),
    "a first value that is no constant": (_forget, "subgraph 1.*no constant"),
    "a first value of another shape": (_resize, r"state 'first_read'.*\[1, 2, 1, 4\].*\[1, 1, 1, 4\]"),
    "a subgraph that is not there": (_elsewhere, "subgraph 7.*none of the 2"),
    "an assignment of nothing": (_short, "has 1 tensors of a variable"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_variables_is_said(name: str) -> None:
    change, message = WRONG[name]
    spec = streaming(np.random.default_rng(3))
    change(spec)
    with pytest.raises(BadModel, match=message) as caught:
        parse_tflite(spec.bytes(), "stream.tflite")
    assert str(caught.value).startswith("stream")
