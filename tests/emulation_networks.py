"""A network in which every op with a C kernel and a gradient occurs, and a step of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import every_op
import numpy as np
import pytest
from every_op import every_op_network
from networks import small_network

import mcusim
from mcusim.graph import Arithmetic, Model, OpKind
from mcusim.kernels.scales import scale_of
from mcusim.session.session import Session


def c_op_network(arithmetic: Arithmetic = Arithmetic.TFLITE) -> Model:
    """Return the network of every op, without the ops that have no C kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(every_op, "filters", lambda add, constant, x: x)
        patch.setattr(every_op, "matrices", reduced)
        return every_op_network(arithmetic=arithmetic)


def reduced(add: Any, x: str) -> str:
    """Return what is (1, 4, 4, 6) reduced in every way."""
    largest = add("largest", OpKind.REDUCE_MAX, x, scale=None, axes=(1,))
    smallest = add("smallest", OpKind.REDUCE_MIN, x, scale=None, axes=(2,))
    x = add("spans", OpKind.SUB, largest, smallest, scale=0.02)
    x = add("total", OpKind.SUM, x, axes=(1,), scale=0.05)
    return add("one_row", OpKind.RESHAPE, x, scale=None, shape=(1, 1, 1, 6))


def wide_network() -> Model:
    """Return a network of arithmetic float whose sums leave 32 bits, and whose outputs tell by how much."""
    model = small_network()
    tensors = dict(model.tensors)
    for op in model.ops:
        if op.bias is None or tensors[op.weight].dtype != "int8":
            continue
        bias, weight = tensors[op.bias], tensors[op.weight]
        ends = np.where(np.arange(bias.elements) % 4 < 2, 2**31 - 9, 9 - 2**31).astype(np.int32)
        far = np.arange(bias.elements) % 2 == 0
        assert weight.quant is not None
        scale = scale_of(tensors[op.output]) / scale_of(tensors[op.inputs[0]]) * 10 / 2**31
        scales = np.where(far, scale, weight.quant.scale).astype(np.float32)
        tensors[op.weight] = replace(weight, quant=replace(weight.quant, scale=scales))
        tensors[op.bias] = replace(bias, data=np.where(far, ends, bias.data).astype(np.int32))
    return replace(model, tensors=tensors)


def session(model: Model, update: str, board: str = "stm32h743", **choices: Any) -> Session:
    """Return a session with a high learning rate, so that everything moves."""
    return mcusim.Session(model, board, update, sgd=mcusim.Sgd(lr=0.05, **choices.pop("sgd", {})), **choices)


def drawn(model: Model, steps: int, seed: int = 3) -> Iterator[tuple[np.ndarray, int, float]]:
    """Yield random inputs and labels at falling learning rates."""
    rng = np.random.default_rng(seed)
    for step in range(steps):
        x = rng.integers(-128, 128, model.input.shape).astype(np.int8)
        yield x, int(rng.integers(model.classes)), 1 - 0.3 * step
