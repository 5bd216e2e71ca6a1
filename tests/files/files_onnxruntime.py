"""Runs ONNX files in ONNX Runtime and here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from files_onnx_file import proto
from onnx import helper
from onnx_sessions import session

from mcusim.compress.quantize import run
from mcusim.files.onnx.reader import load_onnx

RNG = np.random.default_rng(3)


def node(kind: str, inputs: tuple[str, ...], **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), ["y"], **attributes)


def agree(file: Path) -> None:
    """Assert that a file with one float input computes what ONNX Runtime does."""
    theirs = session(str(file))
    shape = [size if isinstance(size, int) else 1 for size in theirs.get_inputs()[0].shape]
    x = RNG.normal(0, 1, shape).astype(np.float32)
    (expected,) = theirs.run(None, {theirs.get_inputs()[0].name: x})
    found = run(load_onnx(file), x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-5)


def written(folder: Path, nodes: list[Any], constants: dict[str, Any], shape: Any, opset: int) -> Path:
    model = proto(nodes, constants, {"x": shape}, ["y"])
    model.opset_import[0].version = opset
    model.ir_version = min(model.ir_version, 10)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"
