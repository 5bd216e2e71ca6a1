"""LSTM, GRU and RNN of ONNX: the numbers of ONNX Runtime, weights once, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from files_onnxruntime import agree, written
from onnx import helper

import mcusim
from mcusim.core import BadModel
from mcusim.files.onnx.reader import load_onnx
from mcusim.graph import OpKind

TIMES, INPUTS, UNITS = 5, 3, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(
    folder: Path, kind: str, *, outputs: tuple[str, ...] = ("y",), ways: int = 1, bias: bool = True,
    begins: bool = False, shape: tuple[int, ...] = (TIMES, 1, INPUTS), lengths: Any = None, **more: Any,
) -> Path:  # fmt: skip
    """Return the file of a layer alone."""
    rng, rows = np.random.default_rng(4), GATES[kind] * UNITS
    constants: dict[str, Any] = {
        "w": rng.normal(size=(ways, rows, INPUTS)).astype(np.float32),
        "r": rng.normal(size=(ways, rows, UNITS)).astype(np.float32),
    }
    inputs = ["moments", "w", "r", "", "", ""]
    if bias:
        constants["b"], inputs[3] = rng.normal(size=(ways, 2 * rows)).astype(np.float32), "b"
    if lengths is not None:
        constants["n"], inputs[4] = np.array([lengths], np.int32), "n"
    if begins:
        constants["h"], inputs[5] = rng.normal(size=(ways, 1, UNITS)).astype(np.float32), "h"
        if kind == "LSTM":
            constants["c"] = rng.normal(size=(ways, 1, UNITS)).astype(np.float32)
            inputs.append("c")
    node = helper.make_node(kind, inputs, list(outputs), hidden_size=UNITS, **more)
    first = helper.make_node("Transpose", ["x"], ["moments"], perm=[1, 0, 2])  # as PyTorch's batch_first
    return written(folder, [first, node], constants, (shape[1], shape[0], shape[2]), 14)


BOTH = {"ways": 2, "direction": "bidirectional"}
CASES: dict[str, dict[str, Any]] = {
    "as it is": {}, "without biases": {"bias": False}, "from a state": {"begins": True},
    "backwards": {"direction": "reverse"}, "both ways": BOTH,
    "both ways from a state": BOTH | {"begins": True}, "its last state": {"outputs": ("", "y")},
    "both last states": {"outputs": ("", "y"), **BOTH}, "one moment": {"shape": (1, 1, INPUTS)},
    "whole lengths": {"lengths": TIMES},
}  # fmt: skip
MORE = [
    ("LSTM", {"outputs": ("", "", "y")}), ("GRU", {"linear_before_reset": 1}),
    ("GRU", {"linear_before_reset": 1, **BOTH}), ("RNN", {"activations": ["Relu"]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "more"), [*((kind, more) for kind in GATES for more in CASES.values()), *MORE], ids=str
)
def test_each_computes_what_onnx_runtime_does(tmp_path: Path, kind: str, more: dict[str, Any]) -> None:
    agree(layer(tmp_path, kind, **more))


@pytest.mark.parametrize("kind", GATES)
def test_weights_are_there_once_and_stay(tmp_path: Path, kind: str) -> None:
    model = load_onnx(
        layer(tmp_path, kind, linear_before_reset=1) if kind == "GRU" else layer(tmp_path, kind)
    )
    dense = [op for op in model.ops if op.kind is OpKind.FULLY_CONNECTED]
    assert len(dense) == 2 * TIMES - 1
    assert len({op.weight for op in dense}) == 2
    assert mcusim.show(model).weights == GATES[kind] * UNITS * (INPUTS + UNITS)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a clip": ({"clip": 2.0}, "clip"),
    "another curve": ({"activations": ["HardSigmoid", "Tanh"]}, "hardsigmoid"),
    "several sequences": ({"shape": (TIMES, 2, INPUTS)}, "not one sequence"),
    "a short sequence": ({"lengths": 2}, "ends sequences early"),
    "another direction": ({"direction": "bidirectional"}, "1 directions and goes bidirectional"),
    "batches first": ({"layout": 1}, "not one sequence"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_supported_is_said(tmp_path: Path, name: str) -> None:
    more, message = WRONG[name]
    with pytest.raises(BadModel, match=rf"GRU\).*{message}"):
        load_onnx(layer(tmp_path, "GRU", **more))


def test_time_before_the_batch_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.normal(size=(1, UNITS, INPUTS)).astype(np.float32),
        "r": rng.normal(size=(1, UNITS, UNITS)).astype(np.float32),
    }
    node = helper.make_node("RNN", ["x", "w", "r"], ["y"], hidden_size=UNITS)
    with pytest.raises(BadModel, match=r"time first.*batch_first=True"):
        load_onnx(written(tmp_path, [node], constants, (TIMES, 1, INPUTS), 14))
