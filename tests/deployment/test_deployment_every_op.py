"""Every operator alone, in every arithmetic and with every type of errors: C against engine, op by op."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from every_op import every_op_network
from self_tests import self_tests

import mcusim
from mcusim.deployment.forward import FORWARD
from mcusim.graph import CONVOLUTIONS, Arithmetic, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.traits import FILTERS
from mcusim.graph.validate import validate
from mcusim.kernels.reference import GRADIENTS
from mcusim.kernels.reference.pairs import PAIRS
from mcusim.update.formats import Formats

WAYS = [
    (Arithmetic.TFLITE, "float32"), (Arithmetic.FLOAT, "float32"), (Arithmetic.TINYENGINE, "int16"),
    (Arithmetic.TFLITE, "int8"),
]  # fmt: skip
IN_FLASH = "_in_flash"
"""Ends the name of a network whose weights are in flash, and what learns in SRAM, two examples at once."""
LEARN_IN_FLASH = (*CONVOLUTIONS, *FILTERS, OpKind.FULLY_CONNECTED)
KINDS = [kind for kind in FORWARD if kind in GRADIENTS]


def alone(source: Model, op: Op, name: str) -> Model:
    """Return a network of a layer that learns, this op, and a head; other operands are constants."""
    rng = np.random.default_rng(3)
    first = next(n for n in op.inputs if not source.tensors[n].constant)
    shape = source.tensors[first].shape
    channels = shape[-1]
    tensors = {n: source.tensors[n] for n in (*op.inputs, op.output)}
    ops: list[Op] = []

    def add(kind: OpKind, inputs: tuple[str, ...], output: Tensor, **attributes: object) -> str:
        tensors[output.name] = output
        ops.append(Op(f"{output.name}_op", kind, inputs, output.name, Attributes(**attributes)))
        return output.name

    def constant(label: str, data: np.ndarray, quant: Quant | None = None) -> str:
        tensors[label] = Tensor(label, data.shape, data.dtype.name, quant, data)
        return label

    for n in op.inputs:
        if n != first and not source.tensors[n].constant:
            constant(
                n, rng.integers(-128, 128, source.tensors[n].shape, dtype=np.int8), source.tensors[n].quant
            )
    image = shape if len(shape) == 4 else (1, 1, prod(shape[1:-1]), channels)
    tensors["input"] = Tensor("input", image, "int8", Quant.of(1 / 32, 3))
    scales = rng.uniform(0.01, 0.02, channels).astype(np.float32)
    weight = constant(
        "before.w", rng.integers(-90, 91, (channels, 1, 1, channels), dtype=np.int8), Quant(scales, 0, 0)
    )
    bias = constant(
        "before.b", rng.integers(-300, 300, channels, dtype=np.int32), Quant(scales / np.float32(32), 0, 0)
    )
    stored = source.tensors[first]
    if stored.dtype == "int8":
        made = Tensor("before", image, "int8", stored.quant)
        before = add(OpKind.CONV_2D, ("input", weight, bias), made)
    else:
        made = Tensor("before", image, "int8", Quant.of(0.05, -2))
        before = add(OpKind.CONV_2D, ("input", weight, bias), made)
        before = add(OpKind.DEQUANTIZE, (before,), Tensor("before.real", image, "float32"), clamp=None)
    if image != shape:
        like = replace(tensors[before], name="before.shaped", shape=shape)
        before = add(OpKind.RESHAPE, (before,), like, shape=shape)
    ops.append(replace(op, inputs=tuple(before if n == first else n for n in op.inputs)))
    last, y = op.output, source.tensors[op.output]
    if y.dtype == "int8":
        last = add(OpKind.DEQUANTIZE, (last,), Tensor("behind.real", y.shape, "float32"), clamp=None)
    count = prod(y.shape)
    if y.shape != (1, count):
        last = add(
            OpKind.RESHAPE,
            (last,),
            Tensor("behind.flat", (1, count), "float32"),
            shape=(1, count),
            clamp=None,
        )
    bound = 1 / np.sqrt(count)
    head = constant("behind.w", rng.uniform(-bound, bound, (3, count)).astype(np.float32))
    more = constant("behind.b", rng.uniform(-bound, bound, 3).astype(np.float32))
    logits = add(OpKind.FULLY_CONNECTED, (last, head, more), Tensor("logits", (1, 3), "float32"), clamp=None)
    used = {n for o in ops for n in (*o.inputs, o.output)}
    kept = {n: t for n, t in tensors.items() if n in used}
    return validate(Model(name, tuple(ops), kept, ("input",), (logits,), source.arithmetic, head="logits_op"))


def networks() -> Iterator[tuple[str, Model, Formats]]:
    for arithmetic, error in WAYS:
        source = every_op_network(arithmetic=arithmetic)
        for kind in KINDS:
            name = f"{kind}_{arithmetic}_{error}"
            op = next(op for op in source.ops if op.kind is kind)
            yield name, alone(source, op, name), Formats(error=error)
            if kind in LEARN_IN_FLASH:
                yield f"{name}{IN_FLASH}", alone(source, op, f"{name}{IN_FLASH}"), Formats(error=error)
            if kind is OpKind.BATCH_MATMUL:
                name = f"{kind}_{arithmetic}_{error}_of_a_stack"
                yield name, alone(*stacked(arithmetic), name), Formats(error=error)
            if kind in PAIRS:  # whose second operand was a constant
                name, first = f"{name}_of_itself", op.inputs[0]
                yield name, alone(source, replace(op, inputs=(first, first)), name), Formats(error=error)


def stacked(arithmetic: Arithmetic) -> tuple[Model, Op]:
    """Return a product of one matrix with a stack of three; what it gets back sums over these."""
    shapes = {"one": (1, 1, 4, 6), "stack": (1, 3, 5, 6), "products": (1, 3, 4, 5)}
    tensors = {n: Tensor(n, shape, "int8", Quant.of(0.05, -7)) for n, shape in shapes.items()}
    op = Op("op", OpKind.BATCH_MATMUL, ("one", "stack"), "products", Attributes(adjoint=(False, True)))
    return Model("", (op,), tensors, ("one",), ("products",), arithmetic), op


def sessions() -> Iterator[mcusim.Session]:
    for name, model, formats in networks():
        choices = {"formats": formats, "simplify": "off", "planner": "greedy_by_size"}
        sgd = mcusim.Sgd(lr=0.05)
        if name.endswith(IN_FLASH):
            sgd, choices["residency"] = mcusim.Sgd(lr=0.05, accumulate=2), "flash"
        yield mcusim.Session(model, "stm32h743", "dense", sgd=sgd, **choices)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What the self test of each network has printed."""
    return self_tests(tmp_path_factory.mktemp("every_op"), sessions())


@pytest.mark.parametrize(("arithmetic", "error"), WAYS, ids=[f"{a}-{e}" for a, e in WAYS])
def test_every_operator_alone_gives_the_same_bits(verdicts, arithmetic, error):
    names = [f"{kind}_{arithmetic}_{error}" for kind in KINDS]
    names += [f"{kind}_{arithmetic}_{error}_of_itself" for kind in PAIRS]
    names += [f"{kind}_{arithmetic}_{error}{IN_FLASH}" for kind in LEARN_IN_FLASH]
    names.append(f"{OpKind.BATCH_MATMUL}_{arithmetic}_{error}_of_a_stack")
    assert not {name: verdicts[name] for name in names if not verdicts[name].startswith("PASS")}
