"""Validation: sound networks pass, and each way of being wrong is named with its tensor or op."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadModel
from mcusim.graph import Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.shapes import infer, window
from mcusim.graph.validate import validate


def small_model() -> Model:
    """Return conv 3x3 stride 2 -> depthwise -> add -> mean -> fully connected."""
    rng = np.random.default_rng(0)

    def constant(name: str, shape: tuple[int, ...], dtype: str, axis: int) -> Tensor:
        data = rng.integers(-127, 128, shape).astype(dtype)
        return Tensor(name, shape, dtype, Quant(np.full(shape[axis], 0.01, np.float32), 0, axis), data)

    q = Quant.of(0.1, 3)
    tensors = [
        Tensor("x", (1, 8, 8, 3), "int8", q),
        constant("conv.w", (4, 3, 3, 3), "int8", 0),
        constant("conv.b", (4,), "int32", 0),
        Tensor("conv", (1, 4, 4, 4), "int8", q),
        constant("dw.w", (1, 3, 3, 4), "int8", 3),
        Tensor("dw", (1, 4, 4, 4), "int8", q),
        Tensor("add", (1, 4, 4, 4), "int8", q),
        Tensor("mean", (1, 1, 1, 4), "int8", q),
        constant("fc.w", (5, 4), "int8", 0),
        constant("fc.b", (5,), "int32", 0),
        Tensor("fc", (1, 5), "int8", q),
    ]
    ones = ((1, 1), (1, 1))
    ops = (
        Op("conv", OpKind.CONV_2D, ("x", "conv.w", "conv.b"), "conv", Attributes((2, 2), ones)),
        Op("dw", OpKind.DEPTHWISE_CONV_2D, ("conv", "dw.w"), "dw", Attributes(padding=ones)),
        Op("add", OpKind.ADD, ("conv", "dw"), "add"),
        Op("mean", OpKind.MEAN, ("add",), "mean", Attributes(axes=(1, 2))),
        Op("fc", OpKind.FULLY_CONNECTED, ("mean", "fc.w", "fc.b"), "fc"),
    )
    return Model("small", ops, {t.name: t for t in tensors}, ("x",), ("fc",), head="fc")


@pytest.mark.smoke
def test_sound_model_passes() -> None:
    model = small_model()
    assert validate(model) is model


def with_tensor(name: str, **changes: Any) -> Model:
    model = small_model()
    return model.with_tensors({name: replace(model.tensors[name], **changes)})


def with_op(which: str, **changes: Any) -> Model:
    model = small_model()
    return replace(model, ops=tuple(replace(o, **changes) if o.name == which else o for o in model.ops))


def scales(*values: float, axis: int | None = 0) -> Quant:
    return Quant(np.array(values, np.float32), 0, axis)


NAN, INF = float("nan"), float("inf")
WRONG = {
    "zero scale": (with_tensor("conv.w", quant=scales(1, 1, 0, 1)), "conv.w"),
    "nan scale": (with_tensor("conv.w", quant=scales(1, 1, NAN, 1)), "conv.w"),
    "infinite scale": (with_tensor("conv", quant=scales(INF, axis=None)), "conv"),
    "negative scale": (with_tensor("conv", quant=scales(-0.1, axis=None)), "conv"),
    "huge scale": (with_tensor("conv", quant=scales(1e9, axis=None)), "conv"),
    "subnormal scale": (with_tensor("conv", quant=scales(1e-40, axis=None)), "conv"),
    "too few scales": (with_tensor("conv.w", quant=scales(1, 1)), "conv.w"),
    "scales without an axis": (with_tensor("conv.w", quant=scales(1, 1, 1, 1, axis=None)), "conv.w"),
    "axis outside": (with_tensor("conv.w", quant=scales(1, 1, 1, 1, axis=7)), "conv.w"),
    "axis of the inputs": (with_tensor("conv.w", quant=scales(1, 1, 1, axis=3)), "conv.w"),
    "zero point outside": (with_tensor("conv", quant=Quant.of(0.1, 128)), "conv"),
    "zero point per channel": (
        with_tensor("conv.w", quant=Quant(np.ones(4, np.float32), 1, 0)),
        "conv.w",
    ),
    "scales that contradict": (with_tensor("conv", quant=scales(1e-30, axis=None)), "conv"),
    "no quantisation": (with_tensor("add", quant=None), "add"),
    "unknown type": (with_tensor("add", dtype="float16"), "float16"),
    "int16 of int8": (with_tensor("conv", dtype="int16"), "int16"),
    "float bias": (
        with_tensor("conv.b", dtype="float32", data=np.zeros(4, np.float32)),
        "conv.b",
    ),
    "values of another type": (with_tensor("conv.w", dtype="uint8"), "conv.w"),
    "values of another shape": (with_tensor("conv.w", shape=(4, 3, 3, 4)), "conv.w"),
    "dynamic shape": (with_tensor("x", shape=(-1, 8, 8, 3)), "'x'"),
    "empty shape": (with_tensor("x", shape=(1, 0, 8, 3)), "'x'"),
    "overflowing product": (with_tensor("x", shape=(2**20, 2**20, 2**20, 3)), "'x'"),
    "wrong output shape": (with_tensor("dw", shape=(1, 4, 4, 8)), "dw"),
    "missing tensor": (with_op("dw", inputs=("conv", "nowhere")), "nowhere"),
    "cycle": (with_op("conv", inputs=("dw", "conv.w", "conv.b")), "comes later"),
    "reads itself": (with_op("add", inputs=("add", "dw")), "add"),
    "second writer": (with_op("dw", output="conv"), "conv"),
    "writes a constant": (with_op("dw", output="fc.b"), "fc.b"),
    "writes the input": (with_op("conv", output="x"), "'x'"),
    "too many inputs": (with_op("mean", inputs=("add", "dw")), "mean"),
    "same op name": (with_op("dw", name="conv"), "same name"),
    "no stride": (with_op("conv", attributes=Attributes((0, 2))), "conv"),
    "negative padding": (with_op("conv", attributes=Attributes(padding=((-1, 0), (0, 0)))), "conv"),
    "empty clamp": (with_op("conv", attributes=Attributes(clamp=(5, 4))), "conv"),
    "bad axis": (with_op("mean", attributes=Attributes(axes=(9,))), "mean"),
    "dead end": (with_op("add", inputs=("conv", "conv")), "dw"),
    "unknown head": (replace(small_model(), head="nothing"), "nothing"),
    "output from nowhere": (replace(small_model(), outputs=("conv.b",)), "conv.b"),
    "no output": (replace(small_model(), outputs=()), "outputs"),
    "unknown input": (replace(small_model(), inputs=("y",)), "'y'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_wrong_thing_is_named(case: str) -> None:
    model, named = WRONG[case]
    with pytest.raises(BadModel, match="small") as caught:
        validate(model)
    assert named in str(caught.value)


@given(
    size=st.integers(1, 40),
    kernel=st.integers(1, 9),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 4),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_window_counts_the_places_a_window_fits(
    size: int, kernel: int, stride: int, dilation: int, padding: tuple[int, int]
) -> None:
    end = size + padding[1]
    starts = range(-padding[0], end - (kernel - 1) * dilation, stride)
    assert max(window(size, kernel, stride, dilation, padding), 0) == len(starts)


@pytest.mark.parametrize(
    ("kind", "shapes", "attributes", "expected"),
    [
        (OpKind.MUL, [(1, 4, 4, 8), (1, 1, 1, 8)], Attributes(), (1, 4, 4, 8)),
        (OpKind.SUB, [(4,), (2, 4)], Attributes(), (2, 4)),
        (OpKind.PAD, [(1, 4, 4, 8)], Attributes(pads=((0, 0), (0, 1), (2, 1), (0, 0))), (1, 5, 7, 8)),
        (OpKind.MEAN, [(1, 4, 4, 8)], Attributes(axes=(1, -2)), (1, 8)),
        (OpKind.MAX_POOL_2D, [(1, 5, 5, 8)], Attributes((2, 2), kernel=(2, 2)), (1, 2, 2, 8)),
        (OpKind.RESHAPE, [(1, 4, 4)], Attributes(shape=(2, 8)), (2, 8)),
        (OpKind.CONCATENATION, [(1, 4), (1, 2)], Attributes(axes=(-1,)), (1, 6)),
        (OpKind.TRANSPOSE, [(1, 3, 4, 5)], Attributes(axes=(0, 2, 3, 1)), (1, 4, 5, 3)),
        (OpKind.SOFTMAX, [(1, 5)], Attributes(), (1, 5)),
        (OpKind.RESIZE_BILINEAR, [(1, 3, 4, 5)], Attributes(shape=(1, 6, 9, 5)), (1, 6, 9, 5)),
        (OpKind.ARG_MAX, [(1, 3, 4, 5)], Attributes(axes=(-1,)), (1, 3, 4)),
        (OpKind.MUL, [(1, 4, 4, 8), (1, 1, 1, 7)], Attributes(), None),
        (OpKind.PAD, [(1, 4)], Attributes(pads=((0, 1),)), None),
        (OpKind.MEAN, [(1, 4)], Attributes(), None),
        (OpKind.MAX_POOL_2D, [(1, 2, 2, 8)], Attributes(kernel=(3, 3)), None),
        (OpKind.MAX_POOL_2D, [(1, 2, 2)], Attributes(), None),
        (OpKind.RESHAPE, [(1, 4, 4)], Attributes(shape=(3, 5)), None),
        (OpKind.CONCATENATION, [(1, 4), (2, 2)], Attributes(axes=(1,)), None),
        (OpKind.CONCATENATION, [(1, 4), (2, 2)], Attributes(), None),
        (OpKind.TRANSPOSE, [(1, 3)], Attributes(axes=(0, 0)), None),
        (OpKind.RESIZE_BILINEAR, [(1, 3, 4, 5)], Attributes(shape=(1, 6, 9, 4)), None),
        (OpKind.ARG_MAX, [(1, 5)], Attributes(axes=(2,)), None),
        (OpKind.FULLY_CONNECTED, [(1, 5), (3, 4)], Attributes(), None),
        (OpKind.CONV_2D, [(1, 5, 5, 3), (8, 3, 3, 4)], Attributes(), None),
        (OpKind.CONV_2D, [(1, 5, 5, 3), (8, 3, 3, 3), (7,)], Attributes(), None),
        (OpKind.DEPTHWISE_CONV_2D, [(1, 5, 5, 3), (1, 3, 3, 4)], Attributes(), None),
        (OpKind.DEPTHWISE_CONV_2D, [(1, 5, 5, 3), (1, 3, 3, 6)], Attributes(), (1, 3, 3, 6)),
        (OpKind.FULLY_CONNECTED, [(2, 3, 4), (5, 12)], Attributes(), (2, 5)),
    ],
)
def test_shapes_are_inferred(
    kind: OpKind, shapes: list[tuple[int, ...]], attributes: Attributes, expected: Any
) -> None:
    tensors = {f"t{i}": Tensor(f"t{i}", shape) for i, shape in enumerate(shapes)}
    tensors["y"] = Tensor("y", (1,))
    op = Op("it", kind, tuple(n for n in tensors if n != "y"), "y", attributes)
    if expected is None:
        with pytest.raises(BadModel, match="it"):
            infer(op, tensors)
    else:
        assert infer(op, tensors) == expected
