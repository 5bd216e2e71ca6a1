"""New heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from arena_steps import train

import mcusim
from mcusim.core import BadArgument, BadModel
from mcusim.graph import Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.head import head_name, replace_head
from mcusim.graph.validate import validate
from mcusim.update.formats import Formats


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


@pytest.mark.parametrize("classes", [0, -3, 2.5, True, "10", 10**6])
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


def ending(end: str) -> Model:
    """Return a convolution of an 8x8 picture, and one of the ways in which networks end."""
    rng = np.random.default_rng(3)
    tensors = {"input": Tensor("input", (1, 8, 8, 3), "int8", Quant.of(0.02, 0))}
    ops: list[Op] = []

    def op(name: str, kind: OpKind, inputs: tuple[str, ...], made: tuple[int, ...], **more: object) -> str:
        tensors[name] = Tensor(name, made, "int8", Quant.of(0.05, 0))
        ops.append(Op(name, kind, inputs, name, Attributes(**more)))  # type: ignore[arg-type]
        return name

    def weighted(
        name: str,
        x: str,
        weight: tuple[int, ...],
        shape: tuple[int, ...],
        *,
        bias: bool = True,
        **more: object,
    ) -> str:
        kind = OpKind.CONV_2D if len(weight) == 4 else OpKind.FULLY_CONNECTED
        data = rng.integers(-127, 128, weight, dtype=np.int8)
        tensors[f"{name}.w"] = Tensor(f"{name}.w", weight, "int8", Quant.of(0.004), data)
        inputs = [x, f"{name}.w"]
        if bias:
            tensors[f"{name}.b"] = Tensor(
                f"{name}.b", weight[:1], "int32", Quant.of(0.004 * float(tensors[x].quant.scale[0])),  # type: ignore[union-attr]
                rng.integers(-200, 200, weight[0], dtype=np.int32),
            )  # fmt: skip
            inputs.append(f"{name}.b")
        return op(name, kind, tuple(inputs), shape, **more)

    x = weighted("conv", "input", (6, 3, 3, 3), (1, 6, 6, 6))
    match end:
        case "map, mean":
            x = weighted("head", x, (4, 1, 1, 6), (1, 6, 6, 4))
            x = op("scores", OpKind.MEAN, (x,), (1, 4), axes=(1, 2))
        case "map, relu, pool, softmax":
            x = weighted("head", x, (4, 3, 3, 6), (1, 4, 4, 4))
            x = op("relu", OpKind.RELU, (x,), (1, 4, 4, 4), clamp=(0, 127))
            x = op("pool", OpKind.AVERAGE_POOL_2D, (x,), (1, 1, 1, 4), kernel=(4, 4))
            x = op("flat", OpKind.RESHAPE, (x,), (1, 4), shape=(1, 4))
            x = op("softmax", OpKind.SOFTMAX, (x,), (1, 4), axes=(1,))
        case "window over all":
            x = weighted("head", x, (4, 6, 6, 6), (1, 1, 1, 4))
            x = op("flat", OpKind.RESHAPE, (x,), (1, 4), shape=(1, 4))
        case "dense of a map":
            x = weighted("head", x, (4, 216), (1, 4))
        case "no bias":
            x = op("pooled", OpKind.MEAN, (x,), (1, 6), axes=(1, 2))
            x = weighted("head", x, (4, 6), (1, 4), bias=False)
        case "yes or no":
            x = op("pooled", OpKind.MEAN, (x,), (1, 6), axes=(1, 2))
            x = weighted("head", x, (1, 6), (1, 1))
            x = op("sigmoid", OpKind.LOGISTIC, (x,), (1, 1))
        case "map":
            x = weighted("last", x, (4, 1, 1, 6), (1, 6, 6, 4))
        case "features":
            x = weighted("last", x, (4, 1, 1, 6), (1, 6, 6, 4))
            x = op("half", OpKind.AVERAGE_POOL_2D, (x,), (1, 3, 3, 4), kernel=(2, 2), stride=(2, 2))
    if x in ("softmax", "sigmoid"):
        tensors[x] = replace(tensors[x], quant=Quant.of(1 / 256, -128))
    model = validate(Model("ending", tuple(ops), tensors, ("input",), (x,)))
    return replace(model, head=head_name(model))


ENDS = ("map, mean", "map, relu, pool, softmax", "window over all", "dense of a map", "no bias", "yes or no")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("format", ["float32", "int8"])
def test_every_way_to_end_is_a_head_that_learns_and_can_be_replaced(end: str, format: str) -> None:
    own = ending(end)
    assert own.head == "head"
    board = mcusim.board("stm32h743")
    fresh = replace_head(own, 7, format=format)  # type: ignore[arg-type]
    assert fresh.output.shape == (1, 7)
    assert "conv" in {op.name for op in fresh.ops}
    x = np.random.default_rng(0).integers(-128, 128, (40, 8, 8, 3)).astype(np.int8)
    for model, count in ((own, max(own.classes, 2)), (fresh, 7)):
        y = x[:, 0, 0].argmax(axis=1) % count
        run = mcusim.Session(model, board, "head").train(mcusim.data.from_arrays(x, y), epochs=4)
        assert run.rows[-1]["loss"] < run.rows[0]["loss"]
        learned = {
            name for name, tensor in model.tensors.items() if not run.model.tensors[name].same_as(tensor)
        }
        head = model.op(model.head)  # type: ignore[arg-type]
        assert head.weight in learned <= {head.weight, head.bias}


@pytest.mark.parametrize("end", ENDS[:5])
def test_every_such_head_is_the_same_in_the_arena(end: str) -> None:
    model = ending(end)
    images = np.random.default_rng(1).integers(-128, 128, (4, *model.input.shape)).astype(np.int8)
    formats = Formats(error="int8", head="int8")
    runs = [train(model, "dense", formats, arena=arena, x=images) for arena in (True, False)]
    assert runs[0][0] == runs[1][0]
    assert all(np.array_equal(value, runs[1][1].arrays[slot]) for slot, value in runs[0][1].arrays.items())


@pytest.mark.parametrize("end", ["map", "features"])
def test_a_network_that_ends_in_a_map_has_no_classifier(end: str) -> None:
    model = ending(end)
    assert model.head is None
    with pytest.raises(BadModel, match="no single vector of scores"):
        replace_head(model, 3)


def test_a_fresh_head_of_one_output_tells_yes_from_no() -> None:
    model = replace_head(ending("map, mean"), 1)
    x = np.random.default_rng(0).integers(-128, 128, (40, 8, 8, 3)).astype(np.int8)
    data = mcusim.data.from_arrays(x, (x.mean(axis=(1, 2, 3)) > 0).astype(int))
    run = mcusim.Session(model, mcusim.board("stm32h743"), "head").train(data, epochs=3)
    assert run.plan.settings.task == "binary"
    assert run.rows[-1]["loss"] < run.rows[0]["loss"]
