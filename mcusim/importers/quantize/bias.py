"""Bias correction: what rounding the weights changes in the mean is taken back by the bias.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019,
arXiv 1906.04721), section 4.2, with measured means in place of those of batch normalisation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import replace

import numpy as np

from mcusim.graph import WEIGHTED, Model, OpKind, Tensor
from mcusim.importers.quantize import float_ops
from mcusim.importers.quantize.calibrate import Statistics
from mcusim.importers.quantize.rewrite import quantised_weight


def correct_biases(
    model: Model, statistics: Mapping[str, Statistics], exact: Container[str | None] = ()
) -> Model:
    """Return the float network with biases that undo the mean error of its rounded weights.

    A convolution is linear, so E[(W_q - W) x] is the convolution of W_q - W with the mean of x over the
    calibration data. Its average over the positions of an output channel is subtracted from the bias.
    ``exact`` names ops whose weights are not going to be rounded.
    """
    tensors = dict(model.tensors)
    uses = Counter(name for op in model.ops for name in op.inputs)
    ops = []
    for op in model.ops:
        if op.kind not in WEIGHTED or op.name in exact:
            ops.append(op)
            continue
        weight = model.tensors[op.inputs[1]].data
        assert weight is not None
        axis = 3 if op.kind is OpKind.DEPTHWISE_CONV_2D else 0
        rounded, quant = quantised_weight(weight.astype(np.float32), axis, np.zeros(weight.shape[axis]))
        scale = quant.scale.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
        error = rounded * scale - weight.astype(np.float32)
        mean = statistics[op.inputs[0]].mean.astype(np.float32)[None]
        shift = float_ops.OPS[op.kind](op, [mean, error]).reshape(-1, weight.shape[axis]).mean(0)
        old = model.tensors[op.inputs[2]].data if op.bias else None
        bias = np.asarray((0 if old is None else old) - shift, np.float32).ravel()
        name = op.bias if op.bias and uses[op.bias] == 1 else f"{op.name}.corrected_bias"
        tensors[name] = Tensor(name, bias.shape, "float32", None, bias)
        ops.append(replace(op, inputs=(*op.inputs[:2], name)))
    return replace(model, ops=tuple(ops), tensors=tensors)
