"""New heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mcusim.core import BadArgument, BadModel
from mcusim.graph import Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.head import replace_head


def test_float_head_ends_in_logits(synthetic_model: Model) -> None:
    model = replace_head(synthetic_model, 10)
    assert [op.kind for op in model.ops[-3:]] == [OpKind.MEAN, OpKind.DEQUANTIZE, OpKind.FULLY_CONNECTED]
    assert (model.output.shape, model.output.dtype, model.classes) == ((1, 10), "float32", 10)
    assert model.head == model.ops[-1].name
    assert model.labels == ()
    weight = model.tensors[model.ops[-1].inputs[1]].data
    assert weight is not None
    assert weight.shape == (10, 4)
    assert np.abs(np.asarray(weight)).max() <= 0.5
    assert not {"fc", "fc.w", "fc.b", "softmax"} & set(model.tensors)


@pytest.mark.smoke
def test_int8_head_gives_its_accumulator(synthetic_model: Model) -> None:
    model = replace_head(synthetic_model, 7, format="int8")
    op = model.ops[-1]
    assert (model.output.dtype, op.attributes.clamp) == ("int32", None)
    x, w, b = (model.tensors[name] for name in op.inputs)
    assert x.quant is not None
    assert w.quant is not None
    assert b.quant is not None
    assert model.output.quant is not None
    assert model.output.quant.scale[0] == x.quant.scale[0] * w.quant.scale[0]
    # Same draw as the float head, within half a step.
    real = replace_head(synthetic_model, 7).tensors["classifier.weight"].data
    step = w.quant.scale[0]
    assert np.abs(np.asarray(w.data) * step - np.asarray(real)).max() <= step * 0.5001


def test_seed_decides_the_weights(synthetic_model: Model) -> None:
    def draw(seed: int) -> bytes:
        return np.asarray(
            replace_head(synthetic_model, 3, seed=seed).tensors["classifier.weight"].data
        ).tobytes()

    assert draw(1) == draw(1) != draw(2)


def test_head_can_be_replaced_again(synthetic_model: Model) -> None:
    once = replace_head(synthetic_model, 3)
    twice = replace_head(once, 4, format="float32")
    assert [op.kind for op in twice.ops] == [op.kind for op in once.ops]
    assert twice.classes == 4


@pytest.mark.parametrize("classes", [1, 0, -3, 2.5, True, "10", 10**6])
def test_bad_class_counts_are_refused(synthetic_model: Model, classes: object) -> None:
    with pytest.raises(BadArgument, match="classes"):
        replace_head(synthetic_model, classes)  # type: ignore[arg-type]


def test_bad_formats_are_refused(synthetic_model: Model) -> None:
    with pytest.raises(BadArgument, match="head"):
        replace_head(synthetic_model, 3, format="int4")  # type: ignore[arg-type]


def test_an_int8_head_takes_the_place_of_a_float_one(synthetic_model: Model) -> None:
    direct = replace_head(synthetic_model, 3, format="int8")
    again = replace_head(replace_head(synthetic_model, 3), 3, format="int8")
    assert [op.kind for op in again.ops] == [op.kind for op in direct.ops]


def test_networks_without_a_classifier_are_refused(synthetic_model: Model) -> None:
    m = synthetic_model
    with pytest.raises(BadModel, match="no single vector"):
        replace_head(replace(m, ops=m.ops[:1], outputs=("conv",)), 3)
    with pytest.raises(BadModel, match="2 outputs"):
        replace_head(replace(m, outputs=("softmax", "fc")), 3)
    extra = Op("double", OpKind.ADD, ("softmax", "softmax"), "double", Attributes())
    doubled = replace(
        m,
        ops=(*m.ops, extra),
        tensors={**m.tensors, "double": Tensor("double", (1, 5), "int8", Quant.of(1.0))},
        outputs=("double",),
    )
    with pytest.raises(BadModel, match="what follows"):
        replace_head(doubled, 3)
