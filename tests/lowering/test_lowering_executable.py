"""What the engine cannot execute is not planned: the same tables are asked, with the same reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from every_op import every_op_network
from networks import small_network

from mcusim.core import BadModel
from mcusim.engine.inference import Inference
from mcusim.graph import DTYPES, TRAITS, Arithmetic, Attributes, Model, Op, OpKind, Tensor
from mcusim.kernels import backward, forward
from mcusim.kernels.executable import TYPES, check_forward
from mcusim.kernels.reference import FORWARD, GRADIENTS
from mcusim.lowering.lower import lower, lower_inference
from mcusim.tasks.regression import Regression
from mcusim.update.scheme import scheme


def ending_in(model: Model, name: str, kind: OpKind, dtype: str, to: tuple[int, ...], **more) -> Model:
    """Return a network with one more op at its end."""
    end = Tensor(name, to, dtype)
    op = Op(name, kind, model.outputs, name, Attributes(clamp=None, **more))
    return replace(
        model, ops=(*model.ops, op), tensors={**model.tensors, name: end}, outputs=(name,), head=model.head
    )


def test_a_float_op_behind_dequantize_is_neither_planned_nor_executed():
    model = ending_in(small_network(), "extra", OpKind.HARD_SWISH, "float32", (1, 4))
    for refused in (
        lambda: lower(model, scheme("head").scope(model)),
        lambda: lower_inference(model),
        lambda: Inference(model),
    ):
        with pytest.raises(
            BadModel, match=r"op 'extra' \(hard_swish\): gives float32 from float32.*quantise"
        ):
            refused()


def test_a_float_convolution_is_neither_planned_nor_executed():
    model = small_network()
    floating = {
        n: replace(t, dtype="float32", quant=None, data=None if t.data is None else t.data.astype("float32"))
        for n, t in model.tensors.items()
    }
    model = model.with_tensors(floating)
    with pytest.raises(BadModel, match=r"op 'stem' \(conv_2d\): gives float32 from float32"):
        lower(model, scheme("head").scope(model))
    with pytest.raises(BadModel, match=r"op 'stem' \(conv_2d\): gives float32 from float32"):
        forward.forward(model.ops[0], model.tensors, Arithmetic.TFLITE)


def test_an_op_without_gradient_is_refused_only_where_a_gradient_must_pass_it():
    model = small_network()
    numbers = ending_in(model, "extra", OpKind.ARG_MAX, "int32", (1,), axes=(1,))
    back = ending_in(numbers, "back", OpKind.RESHAPE, "int32", (1, 1), shape=(1, 1))
    assert lower(numbers, scheme("dense").scope(numbers)).ops  # the loss reads the logits
    assert lower_inference(back).ops
    with pytest.raises(BadModel, match=r"op 'extra' \(arg_max\): gives the number .* no gradient"):
        lower(back, scheme("dense").scope(back), task=Regression())


def test_the_fast_kernels_have_what_the_slow_ones_have():
    assert set(forward.FORWARD) == set(FORWARD)
    assert set(backward.GRADIENTS) == set(GRADIENTS)


def test_every_op_of_the_network_with_every_op_has_its_types():
    model = every_op_network()
    for op in model.ops:
        check_forward(op, model.tensors, model.arithmetic)
    assert all(x in DTYPES and y in DTYPES for _, forms in TYPES.items() for x, y in forms)
    assert set(TYPES) == set(TRAITS)
