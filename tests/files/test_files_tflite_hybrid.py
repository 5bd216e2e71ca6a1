"""Float networks whose weights were made smaller: 8 bits behind a scale, or half precision."""

from __future__ import annotations

import numpy as np
import pytest
from tflite_file import FLOAT16, FLOAT32, INT8, FileSpec, OperatorSpec, TensorSpec

import mcusim
from mcusim.compress.quantize.forward import run
from mcusim.core import BadModel
from mcusim.files.tflite.reader import parse_tflite

pytest.importorskip("flatbuffers")
STRIDE = {"w": (1, "int32", 1), "h": (2, "int32", 1)}
X = TensorSpec("x", (1, 4, 4, 3), FLOAT32, scale=())
Y = TensorSpec("y", (1, 4, 4, 2), FLOAT32, scale=())
BIAS = TensorSpec("b", (2,), FLOAT32, np.array([1, -1], np.float32), scale=())
REAL = np.array([[0, 0.5, 1], [-1, 0.25, 2]], np.float32)


def hybrid() -> bytes:
    """Return a convolution of float activations with int8 weights, a scale a channel."""
    scales = (0.5, 0.25)
    stored = (REAL / np.array(scales)[:, None]).astype(np.int8)
    weight = TensorSpec("w", (2, 1, 1, 3), INT8, stored, scale=scales, zero_point=(0, 0))
    return FileSpec([X, weight, BIAS, Y], [OperatorSpec(3, (0, 1, 2), (3,), STRIDE)], outputs=(3,)).bytes()


def half() -> bytes:
    """Return the same convolution with float16 weights behind a DEQUANTIZE."""
    stored = TensorSpec("w16", (2, 1, 1, 3), FLOAT16, REAL.astype(np.float16), scale=())
    weight = TensorSpec("w", (2, 1, 1, 3), FLOAT32, scale=())
    operators = [OperatorSpec(6, (1,), (2,)), OperatorSpec(3, (0, 2, 3), (4,), STRIDE)]
    return FileSpec([X, stored, weight, BIAS, Y], operators, outputs=(4,)).bytes()


@pytest.mark.parametrize("data", [hybrid(), half()], ids=["int8", "float16"])
def test_small_weights_are_read_as_the_reals_they_stand_for(data):
    model = parse_tflite(data, "net")
    assert [str(op.kind) for op in model.ops] == ["conv_2d"]
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(run(model, x), x @ REAL.T + [1, -1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("data", [hybrid(), half()], ids=["int8", "float16"])
def test_a_float_network_is_told_the_way_and_the_way_works(data, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(data)
    with pytest.raises(BadModel, match="mcusim quantize makes one of a float file"):
        mcusim.Session(mcusim.load(path), "stm32h743", "dense", task="segmentation").plan()
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype(np.float32)
    twin = mcusim.quantize(path, x)
    assert mcusim.Session(twin, "stm32h743", "dense", task="segmentation").plan().fits


def test_a_float16_activation_is_refused():
    data = FileSpec(
        [TensorSpec("x", (1, 4, 4, 3), FLOAT16, scale=()), Y], [OperatorSpec(19, (0,), (1,))], outputs=(1,)
    )
    with pytest.raises(BadModel, match=r"'x'.*float16 activation"):
        parse_tflite(data.bytes(), "net")
