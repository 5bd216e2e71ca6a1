"""From a float network and the ranges of its tensors to an int8 network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.quantize.ranges import affine
from mcusim.core import BadModel
from mcusim.graph import Arithmetic, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.build import GraphBuilder
from mcusim.graph.traits import Family
from mcusim.graph.validate import validate

Head = Literal["int8", "float32"]
_BIAS_LIMIT = 2.0**30


def quantised_weight(
    weight: NDArray[np.float32], axis: int | None, floor: NDArray[np.float64]
) -> tuple[NDArray[np.int8], Quant]:
    """Return int8 weights, symmetric along ``axis``: scale = max |w| / 127, rounded half to even.

    A channel's only weight is 64, so that it can grow.

    ``floor`` is the smallest scale each channel may have, shape ``[channels]``; channels of zeros get the
    median scale. Without an axis one scale holds for all, shape ``[1]``.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.atleast_1d(np.abs(weight.astype(np.float64)).max(others))
    # A channel with one weight would have it at the end of its range, free to learn in one direction only.
    scale = largest / (64 if axis is not None and weight.size == len(largest) else 127)
    typical = float(np.median(scale[scale > 0])) if (scale > 0).any() else 1.0
    scale = np.maximum(np.where(scale > 0, scale, typical), floor)
    quant = Quant(np.maximum(scale, np.finfo(np.float32).tiny * 2).astype(np.float32), 0, axis)
    steps = weight / quant.scale.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
    return np.clip(np.rint(steps), -127, 127).astype(np.int8), quant


def rewrite(
    model: Model,
    ranges: Mapping[str, tuple[float, float]],
    *,
    head: Head = "int8",
    arithmetic: Arithmetic = Arithmetic.TFLITE,
) -> Model:
    """Return the int8 network.

    Weights are symmetric per output channel, biases int32 in units of s_x * s_W[c], activations
    asymmetric per tensor over ``ranges``. A scale s_W is never so small that a bias leaves 30 bits: that
    is how channels that batch normalisation has switched off stay harmless.

    A fully connected op that gives an output of the network becomes a head: with ``int8`` its output is
    the int32 accumulator, in units of s_x * s_W with one s_W for all classes, so that accumulators of
    different classes can be compared; with ``float32`` it stays as it is behind a DEQUANTIZE.

    Raises:
        BadModel: if an op cannot be quantised.
    """
    build = GraphBuilder()
    for name in model.inputs:
        build.activation(name, model.tensors[name].shape, affine(*ranges[name]))
    heads = heads_of(model)
    for op in model.ops:
        if op.name in heads:
            _add_head(build, model, op, head)
        elif op.traits.weighted:
            _add_weighted(build, model, op, affine(*ranges[op.output]))
        else:
            _add_other(build, model, op, ranges)
    return validate(
        Model(
            name=model.name,
            ops=tuple(build.ops),
            tensors=build.tensors,
            inputs=model.inputs,
            outputs=model.outputs,
            arithmetic=arithmetic,
            head=heads[0] if len(model.outputs) == len(heads) == 1 else None,
            preprocessing=model.preprocessing,
            labels=model.labels,
            source=model.source,
        )
    )


def heads_of(model: Model) -> tuple[str, ...]:
    """Return the names of the fully connected ops that give an output of the network and nothing else."""
    read = {name for op in model.ops for name in op.inputs}
    return tuple(
        op.name
        for op in model.ops
        if op.kind is OpKind.FULLY_CONNECTED
        and op.output in model.outputs
        and op.output not in read
        and op.attributes.clamp is None
    )


def _add_weighted(build: GraphBuilder, model: Model, op: Op, quant: Quant) -> None:
    axis = op.traits.channel_axis
    parameters = _parameters(build, model, op, axis)
    output = build.activation(op.output, model.tensors[op.output].shape, quant)
    build.op(op.name, op.kind, (op.inputs[0], *parameters), output, _clamped(op, quant))


def _add_head(build: GraphBuilder, model: Model, op: Op, head: Head) -> None:
    shape = model.tensors[op.output].shape
    if head == "float32":
        features = build[op.inputs[0]]
        x = build.activation(f"{op.name}.features", features.shape, None, "float32")
        build.op(f"{op.name}.dequantize", OpKind.DEQUANTIZE, (features.name,), x, Attributes(clamp=None))
        constants = [_constant(model, name) for name in op.inputs[1:]]
        parameters: tuple[str, ...] = tuple(
            build.constant(name, np.array(data, np.float32))
            for name, data in zip(op.inputs[1:], constants, strict=True)
        )
        output = build.activation(op.output, shape, None, "float32")
    else:
        x, parameters = op.inputs[0], _parameters(build, model, op, axis=None)
        output = build.activation(op.output, shape, build[parameters[1]].quant, "int32")
    build.op(op.name, op.kind, (x, *parameters), output, Attributes(clamp=None))


def _parameters(build: GraphBuilder, model: Model, op: Op, axis: int | None) -> tuple[str, str]:
    weight = _constant(model, op.inputs[1])
    bias = _constant(model, op.inputs[2]).ravel() if len(op.inputs) > 2 else np.zeros(weight.shape[axis or 0])
    x_quant = build[op.inputs[0]].quant
    assert x_quant is not None
    s_x = float(x_quant.scale[0])
    floor = np.abs(bias).astype(np.float64) / (s_x * _BIAS_LIMIT)
    data, quant = quantised_weight(weight, axis, floor if axis is not None else floor.max(keepdims=True))
    unit = s_x * quant.scale.astype(np.float64)
    names = (op.inputs[1], op.inputs[2] if len(op.inputs) > 2 else f"{op.name}.bias")
    known = build.tensors.get(names[0])
    if known is not None and known.quant is not None and quant.same_as(known.quant):
        names = (names[0], f"{op.name}.bias")  # one weight in several ops, as in a recurrent layer
    elif any(name in build.tensors for name in names):
        # The same constant in two ops: each gets its own, since their scales differ.
        names = (f"{op.name}.weight", f"{op.name}.bias")
    if names[0] not in build.tensors:
        build.constant(names[0], data, quant)
    bias_quant = Quant(unit.astype(np.float32), 0, None if axis is None else 0)
    build.constant(names[1], np.rint(bias / unit).astype(np.int32), bias_quant)
    return names


def _add_other(build: GraphBuilder, model: Model, op: Op, ranges: Mapping[str, tuple[float, float]]) -> None:
    inputs = []
    # What is compared needs one scale, and that of what is chosen is enough.
    compares = op.traits.family is Family.PAIR and op.traits.scale == "input"
    shares = compares or op.traits.family is Family.JOIN
    for name in op.inputs:
        if model.tensors[name].constant and name not in build.tensors:
            values = _constant(model, name)
            quant = affine(*ranges[op.output]) if shares else affine(values.min(), values.max())
            steps = np.rint(values / quant.scale[0]) + quant.zero_point
            build.constant(name, np.clip(steps, -128, 127).astype(np.int8), quant)
        inputs.append(name)
    shape = model.tensors[op.output].shape
    scale = op.traits.scale
    if scale == "none":
        output = build.activation(op.output, shape, None, model.tensors[op.output].dtype)
        build.op(op.name, op.kind, tuple(inputs), output, op.attributes)
        return
    quant = scale if isinstance(scale, Quant) else affine(*ranges[op.output])
    if compares:
        inputs = [_requantised(build, op, i, name, quant) for i, name in enumerate(inputs)]
    elif scale in ("input", "any"):
        kept = build[inputs[0]].quant
        assert kept is not None
        quant = kept
    elif op.traits.family is Family.JOIN:
        inputs = [_requantised(build, op, i, name, quant) for i, name in enumerate(inputs)]
    output = build.activation(op.output, shape, quant)
    build.op(op.name, op.kind, tuple(inputs), output, _clamped(op, quant))


def _requantised(build: GraphBuilder, op: Op, place: int, name: str, quant: Quant) -> str:
    """Bring an input of a concatenation to the scale of its output."""
    tensor: Tensor = build[name]
    if quant.same_as(tensor.quant):
        return name
    output = build.activation(f"{op.name}.input{place}", tensor.shape, quant)
    build.op(output, OpKind.QUANTIZE, (name,), output, Attributes())
    return output


def _clamped(op: Op, quant: Quant) -> Attributes:
    """Return the op's attributes with the fused activation as a range of output integers."""
    low, high = op.attributes.clamp or (-np.inf, np.inf)
    scale, zero = float(quant.scale[0]), quant.zero_point
    bottom = max(-128, round(low / scale) + zero) if isfinite(low) else -128
    top = min(127, round(high / scale) + zero) if isfinite(high) else 127
    fill = op.attributes.fill
    if fill is not None:
        fill = int(np.clip(round(fill / scale) + zero, -128, 127))
    return replace(op.attributes, clamp=(min(bottom, 127), max(top, bottom, -128)), fill=fill)


def _constant(model: Model, name: str) -> NDArray[np.float32]:
    data = model.tensors[name].data
    if data is None:
        raise BadModel(f"tensor {name!r}", "is computed, and must be a constant", "weights cannot be inputs")
    return data.astype(np.float32, copy=False)
