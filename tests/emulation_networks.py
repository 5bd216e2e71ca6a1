"""Networks whose step runs on an emulated core, and a step of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from networks import small_network

import mcusim
from mcusim.graph import LIMITS, Model
from mcusim.kernels.scales import scale_of
from mcusim.session.session import Session


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
        low, high = LIMITS[model.input.dtype]
        x = rng.integers(low, high + 1, model.input.shape).astype(model.input.dtype)
        yield x, int(rng.integers(model.classes)), 1 - 0.3 * step
