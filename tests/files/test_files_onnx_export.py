"""Networks written as ONNX: ONNX Runtime computes what they compute here, and they load as what they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from compatibility import compute, inputs_of, onnx_runtime, real, units  # noqa: E402
from one_op import EDGES, Edge, alone  # noqa: E402

import mcusim  # noqa: E402
from mcusim.core import BadModel  # noqa: E402
from mcusim.engine.inference import activations  # noqa: E402
from mcusim.files.onnx.reader import load_onnx  # noqa: E402
from mcusim.files.onnx.writer import to_onnx  # noqa: E402
from mcusim.graph import Arithmetic, Model, OpKind  # noqa: E402
from mcusim.graph.curves import CurveName  # noqa: E402
from mcusim.graph.head import replace_head  # noqa: E402

EVERY = [(kind, edge) for kind, edges in EDGES.items() for edge in edges]
UNKNOWN = [
    edge
    for _, edge in EVERY
    if edge.attributes.get("symmetric") or edge.attributes.get("curve") is CurveName.LOG_SIGMOID
]
"""What ONNX has no operator for."""
OTHERWISE = {OpKind.MUL, OpKind.RESIZE_BILINEAR, OpKind.QUANTIZE}
"""What ONNX Runtime rounds elsewhere: single units differ."""


@pytest.mark.oracle
@pytest.mark.parametrize(("kind", "edge"), EVERY, ids=[f"{kind.name}, {edge.name}" for kind, edge in EVERY])
def test_every_operator_is_what_onnx_runtime_computes(kind: OpKind, edge: Edge) -> None:
    model = replace(alone(kind, edge), arithmetic=Arithmetic.FLOAT)
    xs = inputs_of(model)
    if edge in UNKNOWN:
        with pytest.raises(BadModel, match="which ONNX has no form for"):
            to_onnx(model)
        return
    if kind is OpKind.DIV:
        xs = [np.maximum(x, -100) for x in xs]  # of zero divided by zero nothing is expected
    ours, (theirs,) = compute(model, xs), onnx_runtime(to_onnx(model), model, xs)
    assert theirs.shape == ours.shape
    differ = units(model, "y", ours, theirs)
    assert differ.max() < (1.01 if kind in OTHERWISE else 0.01)
    assert (differ > 0.5).mean() < 0.2


@pytest.mark.oracle
@pytest.mark.data
@pytest.mark.parametrize("head", [None, "int8", "float32"])
@pytest.mark.parametrize("name", ["mlperftiny_kws_ref_model", "mlperftiny_ic_pretrainedResnet_quant"])
def test_public_networks_and_every_head_come_back_as_they_were(
    tmp_path: Path, data_dir: Path, name: str, head: str | None
) -> None:
    model = replace(mcusim.load(data_dir / "tflite" / f"{name}.tflite"), arithmetic=Arithmetic.FLOAT)
    if head is not None:
        model = replace_head(model, 7, format=head, seed=3)
    mcusim.save(model, tmp_path / "m.onnx")
    xs = inputs_of(model)
    ours = activations(model, xs[0])[model.outputs[0]]
    (theirs,) = onnx_runtime((tmp_path / "m.onnx").read_bytes(), model, xs)
    assert np.allclose(real(model.output, ours), theirs, rtol=1e-5, atol=1e-6)
    again = mcusim.load(tmp_path / "m.onnx")
    assert again.head is not None
    assert head is not None or again.outputs == model.outputs
    found = activations(again, real(model.input, xs[0]))[again.outputs[0]]
    assert np.allclose(real(again.output, found), real(model.output, ours), rtol=1e-6, atol=1e-6)


def test_names_and_classes_are_kept(tmp_path: Path, synthetic_model: Model) -> None:
    model = replace(synthetic_model, labels=("cat", "dog"), source="made by hand")
    mcusim.save(model, tmp_path / "m.onnx")
    file = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(file)
    values = {name for node in file.graph.node for name in node.output}
    assert {op.output for op in model.ops} <= values
    assert (file.producer_name, file.doc_string) == ("mcusim", "made by hand")
    assert file.metadata_props[0].value == "cat\ndog"


def test_a_file_that_was_written_is_read_with_the_same_bits(tmp_path: Path, synthetic_model: Model) -> None:
    model = replace(synthetic_model, arithmetic=Arithmetic.FLOAT)
    mcusim.save(model, tmp_path / "m.onnx")
    x = inputs_of(model)[0]
    ours = activations(model, x)
    again = load_onnx(tmp_path / "m.onnx")
    found = activations(again, real(model.input, x))
    same = [(op.output, f"{op.output}.{end}") for op in model.ops for end in ("raw", "clipped")]
    same = [(before, after) for before, after in same if after in found]
    assert len(same) >= len(model.ops)
    for before, after in same:
        ours_real = real(model.tensors[before], ours[before])
        assert np.array_equal(real(again.tensors[after], found[after]).reshape(ours_real.shape), ours_real)


def test_every_operator_that_is_written_is_read_again_as_what_it_was(tmp_path: Path) -> None:
    apart = {}
    for kind, edge in EVERY:
        model = replace(alone(kind, edge), arithmetic=Arithmetic.FLOAT)
        if edge in UNKNOWN:
            continue  # it is not written
        (tmp_path / "m.onnx").write_bytes(to_onnx(model))
        again, x = load_onnx(tmp_path / "m.onnx"), inputs_of(model)[0]
        if kind is OpKind.DIV:
            x = np.maximum(x, -100)
        ours, found = compute(model, [x]), compute(again, [real(model.input, x)])
        assert again.output.dtype in (model.output.dtype, "float32")
        theirs = real(again.output, found).reshape(ours.shape)
        apart[kind.name, edge.name] = float(units(model, model.outputs[0], ours, theirs).max())
    assert len(apart) > 100
    assert {name: most for name, most in apart.items() if most > 0.01} == {}
