"""16-bit activations, and fully connected layers over rows: every operator in C against the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from compatibility import large_board
from networks import rows_network
from one_op import EDGES, Edge, between, in_16_bits
from self_tests import self_tests

import mcusim
from mcusim.core import BadModel
from mcusim.deployment.int16 import KERNELS
from mcusim.deployment.tables import tables
from mcusim.deployment.text import identifier
from mcusim.graph import TRAITS, WEIGHTED, Arithmetic, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.traits import POOLS
from mcusim.graph.validate import validate
from mcusim.kernels.reference.int16 import ANY_TYPE, INT16
from mcusim.update.formats import Formats

K = OpKind
FORMS = {
    identifier(f"{kind}_{edge.name}").lower(): in_16_bits(model)
    for kind in (*INT16, *ANY_TYPE)
    for edge in EDGES[kind][: None if TRAITS[kind].weighted else 2]
    if (model := between(kind, edge)) is not None
}
IN_FLASH = "_in_flash"
LEARN_IN_FLASH = [name for name, model in FORMS.items() if model.ops[1].traits.weighted]


def with_bias(model: Model, dtype: str | None) -> Model:
    """Return a 16-bit network whose second op has a narrow bias, or none."""
    ops, tensors = list(model.ops), dict(model.tensors)
    bias = tensors[ops[1].inputs[2]]
    if dtype is None:
        ops[1] = replace(ops[1], inputs=ops[1].inputs[:2])
        del tensors[bias.name]
    else:
        tensors[bias.name] = replace(bias, dtype=dtype, data=np.asarray(bias.data, dtype))
    return validate(replace(model, ops=tuple(ops), tensors=tensors))


def mixed() -> Model:
    """Return a network that goes to 16 bits and back, as a recurrent layer does inside, and to float32."""
    rng = np.random.default_rng(5)
    scale = Quant.of(2.0**-13)
    tensors = {
        "x": Tensor("x", (1, 3, 10), "int8", Quant.of(0.03, -5)),
        "gates": Tensor("gates", (1, 3, 9), "int16", scale),
        "share": Tensor("share", (1, 3, 9), "int16", Quant.of(2.0**-15)),
        "more": Tensor("more", (1, 3, 9), "int16", Quant.of(0.0004)),
        "narrow": Tensor("narrow", (1, 3, 9), "int8", Quant.of(0.01, 3)),
        "wide": Tensor("wide", (1, 3, 9), "int16", Quant.of(0.0001)),
        "rounded": Tensor("rounded", (1, 3, 9), "int8", Quant.of(0.02, -9)),
        "real": Tensor("real", (1, 3, 9), "float32"),
        "again": Tensor("again", (1, 3, 9), "int16", Quant.of(0.0003)),
        "flat": Tensor("flat", (1, 27), "int16", Quant.of(0.0003)),
        "given": Tensor("given", (1, 27), "float32"),
        "logits": Tensor("logits", (1, 3), "float32"),
    }
    ops: list[Op] = []

    def add(kind: OpKind, *inputs: str, output: str, **attributes: object) -> None:
        if tensors[output].dtype == "float32":
            attributes["clamp"] = None
        elif tensors[output].dtype == "int16":
            attributes["clamp"] = (-32768, 32767)
        ops.append(Op(f"{output}_op", kind, inputs, output, Attributes(**attributes)))

    def weight(name: str, data: np.ndarray, quant: Quant | None = None) -> str:
        tensors[name] = Tensor(name, data.shape, data.dtype.name, quant, data)
        return name

    w = weight("w", rng.integers(-100, 101, (9, 10), dtype=np.int8), Quant.of(0.01))
    b = weight("b", rng.integers(-3000, 3000, 9, dtype=np.int32))
    add(K.FULLY_CONNECTED, "x", w, b, output="gates")
    add(K.LOGISTIC, "gates", output="share")
    add(K.MUL, "gates", "share", output="more")
    add(K.MUL, "more", "share", output="narrow")
    add(K.QUANTIZE, "narrow", output="wide")
    add(K.QUANTIZE, "wide", output="rounded")
    add(K.DEQUANTIZE, "rounded", output="real")
    add(K.QUANTIZE, "real", output="again")
    add(K.RESHAPE, "again", output="flat", shape=(1, 27))
    add(K.DEQUANTIZE, "flat", output="given")
    head = weight("head", rng.uniform(-0.3, 0.3, (3, 27)).astype(np.float32))
    add(K.FULLY_CONNECTED, "given", head, output="logits")
    return validate(Model("mixed", tuple(ops), tensors, ("x",), ("logits",), head="logits_op"))


def with_second(model: Model, scale: float, **attributes: object) -> Model:
    """Return a network whose second op has other attributes, and an output with another scale."""
    ops = list(model.ops)
    ops[1] = replace(ops[1], attributes=replace(ops[1].attributes, **attributes))
    y = model.tensors[ops[1].output]
    coarse = replace(y, quant=Quant.of(float(y.quant.scale[0]) * scale))
    return validate(replace(model, ops=tuple(ops), tensors={**model.tensors, y.name: coarse}))


def others() -> Iterator[tuple[str, Model]]:
    """Yield what only some networks have: other biases, arithmetics and types, and rows."""
    dense, image = FORMS["fully_connected_a_vector"], FORMS["conv_2d_1x1"]
    yield "narrow_dense", with_bias(dense, "int32")
    yield "narrow_image", with_bias(image, "int32")
    yield "unbiased_dense", with_bias(dense, None)
    yield "rounded_once", replace(dense, arithmetic=Arithmetic.LITERT)
    yield "unbiased_depthwise", with_bias(FORMS["depthwise_conv_2d_stride_2"], None)
    yield "matrices", with_second(FORMS["batch_matmul_itself_turned"], 4000)
    for kind in (*WEIGHTED, *POOLS, K.ADD, K.SUB, K.MUL, K.SQUARED_DIFFERENCE):
        name = identifier(f"{kind}_{EDGES[kind][0].name}").lower()
        yield f"clamped_{kind}", with_second(FORMS[name], 3, clamp=(-1500, 9000))
    yield "mixed", mixed()
    wide = between(K.FULLY_CONNECTED, Edge("rows", {}, (5, 700), (1, 3, 700)))
    assert wide is not None
    yield "wide_rows", in_16_bits(wide)
    yield "wide_rows_once", replace(in_16_bits(wide), arithmetic=Arithmetic.LITERT)
    for arithmetic in Arithmetic:
        yield f"rows_{arithmetic}", rows_network(arithmetic)


FEW = dict(others())


def session(name: str, model: Model, **choices: object) -> mcusim.Session:
    return mcusim.Session(
        replace(model, name=name), large_board(), "dense", simplify="off", planner="greedy_by_size",
        **{"sgd": mcusim.Sgd(lr=0.05), "formats": Formats(), **choices},
    )  # fmt: skip


def sessions() -> Iterator[mcusim.Session]:
    for name, model in FEW.items():
        yield session(name, model)
    for number, (name, model) in enumerate(FORMS.items()):
        yield session(name, model, formats=Formats(error=("float32", "int16")[number % 2]))
    for name in LEARN_IN_FLASH:
        yield session(
            f"{name}{IN_FLASH}", FORMS[name], residency="flash", sgd=mcusim.Sgd(lr=0.05, accumulate=2)
        )
    apart = FORMS["depthwise_conv_2d_3x3_padded"]
    yield session("depthwise_apart", apart, in_place=False)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    return self_tests(tmp_path_factory.mktemp("int16"), sessions())


def test_every_operator_with_16_bit_activations_gives_the_same_bits(verdicts):
    assert {model.ops[1].kind for model in FORMS.values()} >= {*KERNELS} - {K.DEQUANTIZE}
    wanted = [*FORMS, *(f"{name}{IN_FLASH}" for name in LEARN_IN_FLASH), "depthwise_apart"]
    assert not {name: verdicts[name] for name in wanted if not verdicts[name].startswith("PASS")}


@pytest.mark.parametrize("name", FEW)
def test_other_types_biases_and_rows_give_the_same_bits(verdicts, name):
    assert verdicts[name].startswith("PASS"), verdicts[name]


def test_what_64_bits_cannot_rescale_is_refused():
    model = FORMS["conv_2d_1x1"]
    op = model.ops[1]
    weight = model.tensors[op.inputs[1]]
    far = replace(weight, quant=replace(weight.quant, scale=weight.quant.scale * np.float32(2e7)))
    own = session("far", model.with_tensors({weight.name: far}))
    with pytest.raises(BadModel, match=r"op 'op' \(conv_2d\): rescales sums by more than 16,384"):
        tables(own.plan(), own.scheme)
