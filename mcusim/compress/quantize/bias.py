"""Bias correction: what quantisation changes in the mean of a channel is taken back by its bias.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019,
arXiv 1906.04721), section 4.2 and appendix D (the empirical form).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.quantize import float_ops
from mcusim.compress.quantize.forward import Array, groups, keeps_batch, run
from mcusim.compress.quantize.int8 import operands_of, quantised_inputs, real_values
from mcusim.graph import Model, Op, Tensor

_ROOM = 2**28
"""Bytes of int8 activations held at once: as many examples are used as fit."""


def correct_biases(floating: Model, quantised: Model, inputs: Array) -> Model:
    """Return the int8 network with biases that give every channel the float network's mean.

    Layer by layer, each on what the corrected layers before it give: a layer without its activation is
    linear, so the mean error of a channel is the layer applied to E[x̂] with the rounded weights minus the
    layer applied to E[x] with the float ones, averaged over positions. Means are over the first of
    ``inputs``, as many as fit in 256 MiB of activations. A network that mixes the examples of a batch
    stays as it is.
    """
    from mcusim.kernels.forward import forward

    if not keeps_batch(floating):
        return quantised
    size = sum(t.elements for t in quantised.tensors.values() if not t.constant)
    inputs = inputs[: max(1, _ROOM // size)]
    wanted = _means(floating, inputs)
    twins = {op.name: op for op in floating.ops}
    last = {name: i for i, op in enumerate(quantised.ops) for name in op.inputs}
    uses = Counter(name for op in quantised.ops for name in op.inputs)
    tensors = dict(quantised.tensors)
    values: dict[str, NDArray[Any]] = quantised_inputs(quantised, inputs)
    for i, op in enumerate(quantised.ops):
        if op.traits.weighted and op.bias and uses[op.bias] == 1:
            x = tensors[op.inputs[0]]
            mean = real_values(x, values[x.name]).mean(0, dtype=np.float64)
            twin = twins[op.name]
            goal = _applied(floating, twin, wanted[twin.inputs[0]])
            tensors[op.bias] = _moved(tensors, op, _applied(quantised, op, mean) - goal)
        output = tensors[op.output]
        values[op.output] = np.empty((len(inputs), *output.shape[1:]), output.dtype)
        forward(op, tensors, quantised.arithmetic)(operands_of(op, tensors, values), values[op.output])
        for name in {*op.inputs} & values.keys():
            if last[name] == i:
                del values[name]
    return replace(quantised, tensors=tensors)


def _means(floating: Model, inputs: Array) -> dict[str, NDArray[np.float64]]:
    """Return the mean example of every tensor of the float network."""
    total: dict[str, NDArray[np.float64]] = {}

    def visit(name: str, values: Array) -> None:
        total[name] = total.get(name, np.zeros(values.shape[1:])) + values.sum(0)

    for group in groups(floating, inputs):
        run(floating, group, visit)
    return {name: values / len(inputs) for name, values in total.items()}


def _applied(model: Model, op: Op, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over positions of a weighted op's output, before its bias, for one mean example."""
    weight = model.tensors[op.inputs[1]]
    assert weight.data is not None
    real = weight.data.astype(np.float64)
    axis = op.traits.channel_axis
    if weight.quant is not None:
        real = real * weight.quant.scale.reshape([-1 if i == axis else 1 for i in range(real.ndim)])
    output = float_ops.FORWARD.of(op)(op, [mean[None], real])
    return np.asarray(output.reshape(-1, weight.shape[axis]).mean(0))


def _moved(tensors: dict[str, Tensor], op: Op, shift: NDArray[np.float64]) -> Tensor:
    bias = tensors[op.inputs[2]]
    assert bias.data is not None
    if bias.quant is None:
        return replace(bias, data=(bias.data.astype(np.float64) - shift).astype(np.float32))
    steps = np.rint(shift / bias.quant.scale.astype(np.float64))
    limit = 2**31 - 1
    moved = np.clip(bias.data.astype(np.int64) - steps, -limit, limit)
    return replace(bias, data=moved.astype(np.int32))
