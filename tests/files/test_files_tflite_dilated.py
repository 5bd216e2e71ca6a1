"""Dilated convolutions that a file spells with phases: read as one op, with the bits of LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_file import INT32, FileSpec, OperatorSpec, TensorSpec

from mcusim.core import BadModel
from mcusim.engine.inference import activations
from mcusim.files.tflite.reader import parse_tflite
from mcusim.graph import OpKind

K = OpKind
TO, FROM, EXPAND, SQUEEZE, CONV, DEPTHWISE, RELU, ADD = 38, 37, 70, 43, 3, 4, 19, 0
RNG = np.random.default_rng(0)


class File:
    """A file of one chain of operators."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.tensors = [TensorSpec("x", shape)]
        self.operators: list[OperatorSpec] = []
        self.last = 0

    def constant(self, values: Any) -> int:
        data = np.array(values, np.int32)
        self.tensors.append(TensorSpec(f"c{len(self.tensors)}", data.shape, INT32, data, scale=()))
        return len(self.tensors) - 1

    def add(
        self, code: int, shape: tuple[int, ...], *more: int, scale: float = 0.1, union: int = 0,
        version: int = 2, options: tuple[tuple[int, str, Any], ...] = (),
    ) -> File:  # fmt: skip
        self.tensors.append(TensorSpec(f"t{len(self.tensors)}", shape, scale=(scale,), zero_point=(3,)))
        made = len(self.tensors) - 1
        fields = {str(number): (number, kind, value) for number, kind, value in options}
        inputs = (self.last, *more)
        self.operators.append(OperatorSpec(code, inputs, (made,), fields, union=union, version=version))
        self.last = made
        return self

    def convolution(
        self, code: int, weight: tuple[int, ...], shape: tuple[int, ...], stride: int = 1
    ) -> File:
        count = weight[3] if code == DEPTHWISE else weight[0]
        w = RNG.integers(-127, 128, weight).astype(np.int8)
        self.tensors.append(TensorSpec("w", weight, data=w, scale=(0.02,) * count, zero_point=(0,) * count,
                                       axis=3 if code == DEPTHWISE else 0))  # fmt: skip
        b = RNG.integers(-900, 900, count).astype(np.int32)
        self.tensors.append(TensorSpec("b", (count,), INT32, b, (0.002,) * count, (0,) * count))
        n, options = len(self.tensors), [(0, "int8", 1), (1, "int32", stride), (2, "int32", stride)]
        if code == DEPTHWISE:
            options += [(3, "int32", 1), (5, "int32", 1), (6, "int32", 1)]
        else:
            options += [(4, "int32", 1), (5, "int32", 1)]
        union = 2 if code == DEPTHWISE else 1
        return self.add(code, shape, n - 2, n - 1, scale=1.0, union=union, version=3, options=tuple(options))

    def bytes(self) -> bytes:
        return FileSpec(self.tensors, self.operators, (0,), (self.last,)).bytes()


def pixels(code: int, *, crop: int = 0) -> File:
    """A 3x3 window that skips one pixel, on 7 x 6 pixels; SAME, or with one more row that is cropped."""
    file = File((1, 7, 6, 4))
    x = file.add(RELU, (1, 7, 6, 4))
    count = 4 if code == DEPTHWISE else 5
    x.add(TO, (4, 6, 5, 4), file.constant([2, 2]), file.constant([[2, 3], [2, 2]]), version=2)
    x.convolution(code, (1, 3, 3, 4) if code == DEPTHWISE else (5, 3, 3, 4), (4, 4, 3, count))
    crops = file.constant([[0, 1 + crop], [0, 0]])
    file.tensors[file.last].zero_point = (3,)
    return x.add(FROM, (1, 7 - crop, 6, count), file.constant([2, 2]), crops, scale=1.0, version=2)


def sequence() -> File:
    """A causal window of three over time, dilated by four, as Keras's Conv1D is converted."""
    file = File((1, 10, 4))
    x = file.add(RELU, (1, 10, 4))
    x.add(TO, (4, 5, 4), file.constant([4]), file.constant([[8, 2]]))
    x.add(EXPAND, (4, 1, 5, 4), file.constant(1), version=1)
    x.convolution(CONV, (6, 1, 3, 4), (4, 1, 3, 6))
    x.add(SQUEEZE, (4, 3, 6), scale=1.0, version=1)
    x.add(RELU, (4, 3, 6), scale=0.9)
    return x.add(FROM, (1, 10, 6), file.constant([4]), file.constant([[0, 2]]), scale=0.9)


CASES = {
    "convolution": (lambda: pixels(CONV), [K.RELU, K.CONV_2D]),
    "depthwise": (lambda: pixels(DEPTHWISE), [K.RELU, K.DEPTHWISE_CONV_2D]),
    "cropped": (lambda: pixels(CONV, crop=1), [K.RELU, K.CONV_2D]),
    "over time": (sequence, [K.RELU, K.RESHAPE, K.CONV_2D, K.RESHAPE, K.RELU]),
}


def litert(data: bytes, x: np.ndarray) -> np.ndarray:
    module = pytest.importorskip("ai_edge_litert.interpreter")
    found = module.Interpreter(
        model_content=data, experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF
    )
    found.allocate_tensors()
    found.set_tensor(found.get_input_details()[0]["index"], x)
    found.invoke()
    return found.get_tensor(found.get_output_details()[0]["index"])


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_each_is_one_dilated_convolution_with_the_same_bits(name: str) -> None:
    make, kinds = CASES[name]
    data = make().bytes()
    model = parse_tflite(data, "m")
    assert [op.kind for op in model.ops] == kinds
    (convolution,) = (op for op in model.ops if op.traits.weighted)
    assert max(convolution.attributes.dilation) == (4 if name == "over time" else 2)
    x = RNG.integers(-128, 128, model.input.shape).astype(np.int8)
    np.testing.assert_array_equal(activations(model, x)[model.outputs[0]], litert(data, x))


def strided() -> File:
    file = File((1, 8, 8, 4))
    x = file.add(TO, (4, 6, 6, 4), file.constant([2, 2]), file.constant([[2, 2], [2, 2]]))
    return x.convolution(CONV, (5, 3, 3, 4), (4, 2, 2, 5), stride=2)


def unfinished() -> File:
    file = File((1, 8, 8, 4))
    return file.add(TO, (4, 4, 4, 4), file.constant([2, 2]), file.constant([[0, 0], [0, 0]]))


def never_dealt() -> File:
    file = File((4, 4, 4, 4))
    return file.add(FROM, (1, 8, 8, 4), file.constant([2, 2]), file.constant([[0, 0], [0, 0]]))


WRONG = {
    "stride": (strided, r"op 1 \(CONV_2D\): conv_2d works on phases with stride \(2, 2\)"),
    "phases go out": (unfinished, "its output .* holds phases of SPACE_TO_BATCH_ND"),
    "nothing dealt": (never_dealt, r"op 0 \(BATCH_TO_SPACE_ND\): .*no SPACE_TO_BATCH_ND dealt out"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_dilated_convolution_is_one_line(name: str) -> None:
    make, reason = WRONG[name]
    with pytest.raises(BadModel, match=reason) as caught:
        parse_tflite(make().bytes(), "file.tflite")
    assert "\n" not in str(caught.value)
