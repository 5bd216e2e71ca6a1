from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mcusim.cli.main import build
from mcusim.data import synthetic
from mcusim.files.load import load


def invoke(*words: str) -> Any:
    return CliRunner().invoke(build(), ["quantize", *words])


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Return an ONNX file with batch normalisation, a ReLU and a classifier."""
    onnx = pytest.importorskip("onnx")
    g = np.random.default_rng(0)
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    arrays = {
        "w": g.normal(size=(4, 3, 3, 3)) * 0.2, "scale": g.uniform(0.5, 1.5, 4), "shift": g.normal(size=4),
        "mean": g.normal(size=4), "variance": g.uniform(0.5, 2, 4), "w2": g.normal(size=(10, 4)),
        "b2": g.normal(size=10),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["y"], transB=1),
    ]
    number = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", number, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("y", number, [1, 10])],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()],
    )  # fmt: skip
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


@pytest.fixture(autouse=True)
def examples(tmp_path: Path) -> Path:
    data = synthetic(train=40, test=30)
    path = tmp_path / "data.npz"
    np.savez(
        path,
        train_images=data.train.images, train_labels=data.train.labels,
        test_images=data.test.images, test_labels=data.test.labels,
    )  # fmt: skip
    return path


def test_onnx_to_int8(network: Path, examples: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.npz"
    common = (
        str(network),
        "--data",
        str(examples),
        "--out",
        str(out),
        "--mean",
        "0.5",
        "--std",
        "0.25,0.25,0.2",
    )
    result = invoke(*common, "--images", "32", "--test", "30", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["agreement"] > 0.9
    assert report["examples"] == 30
    assert report["out"] == str(out)
    model = load(out)
    assert [str(op.kind) for op in model.ops] == ["conv_2d", "mean", "reshape", "fully_connected"]
    assert model.preprocessing.std == (0.25, 0.25, 0.2)
    table = invoke(*common, "--equalize", "--ranges", "mse", "--head", "float32")
    assert table.exit_code == 0, table.output
    assert "top-1 agreement" in table.stdout
    assert load(out).output.dtype == "float32"


@pytest.mark.oracle
def test_exported_pytorch_file(examples: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    )
    program = torch.export.export(module.eval(), (torch.zeros(1, 3, 32, 32),))
    torch.export.save(program, tmp_path / "net.pt2")
    result = invoke(
        str(tmp_path / "net.pt2"), "--data", str(examples), "--out", str(tmp_path / "o.npz"), "--json"
    )
    assert result.exit_code == 0, result.output
    (tmp_path / "bad.pt2").write_bytes(b"junk")
    assert invoke(str(tmp_path / "bad.pt2"), "--data", str(examples)).exit_code == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--ranges", "minmx"), "minmax"),
        (("--head", "int4"), "head"),
        (("--arithmetic", "exact"), "arithmetic"),
        (("--std", "0"), "--std"),
        (("--mean", "a,b"), "--mean"),
        (("--data", "nothing"), "data set"),
    ],
)
def test_bad_options(network: Path, examples: Path, words: tuple[str, str], why: str) -> None:
    result = invoke(str(network), "--data", str(examples), *words)
    assert result.exit_code == 2
    assert why in result.stderr


def test_an_int8_network_is_refused(examples: Path) -> None:
    result = invoke("synthetic-mbv2", "--data", str(examples))
    assert result.exit_code == 2
    assert "no float network" in result.stderr
