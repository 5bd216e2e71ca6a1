"""The checks a network must pass before anything is computed with it."""

from __future__ import annotations

import math
from math import prod

import numpy as np

from mcusim.core import BadModel
from mcusim.graph.curves import CurveName
from mcusim.graph.kinds import OpKind
from mcusim.graph.model import Model
from mcusim.graph.ops import Op
from mcusim.graph.shapes import infer
from mcusim.graph.states import check_states, turns
from mcusim.graph.tensor import DTYPES, LIMITS, QUANTISED, Quant, Tensor

MAX_BYTES = 2**31 - 1
"""No tensor may be larger: offsets on a 32-bit device are signed 32-bit integers."""
SCALE_RANGE = (float(np.finfo(np.float32).tiny), 1e6)
"""Scales outside are damage: below, float32 products vanish; above, an int8 spans more than 2.5e8."""


def validate(model: Model) -> Model:
    """Return ``model`` if it is sound.

    Checked are the graph (every tensor has one producer that comes before its readers, everything
    leads to an output), all shapes (by inference, products bounded), types, constants and scales.

    Raises:
        BadModel: names the first tensor or op that is wrong, and why.
    """
    try:
        for tensor in model.tensors.values():
            check_tensor(tensor)
        _check_order(model)
        for op in model.ops:
            _check_op(op, model)
    except BadModel as error:
        if error.thing.startswith(f"{model.name}: "):
            raise
        raise BadModel(f"{model.name}: {error.thing}", error.reason, error.way_out) from None
    return model


def check_tensor(tensor: Tensor) -> None:
    """Check one tensor by itself: type, shape, size, scales, and its values' shape if it is a constant.

    Raises:
        BadModel: names the tensor and what is wrong with it.
    """
    thing = f"tensor {tensor.name!r}"
    if tensor.dtype not in DTYPES:
        raise BadModel(thing, f"has element type {tensor.dtype}", f"supported: {', '.join(DTYPES)}")
    if any(size < 1 for size in tensor.shape):
        raise BadModel(thing, f"has shape {tensor.shape}", "every dimension must be fixed and positive")
    if tensor.bytes > MAX_BYTES:
        raise BadModel(thing, f"has shape {tensor.shape}: {tensor.bytes:,} B is more than {MAX_BYTES:,} B")
    if tensor.data is not None and (
        tensor.data.shape != tensor.shape or tensor.data.dtype != np.dtype(tensor.dtype)
    ):
        raise BadModel(
            thing,
            f"is declared {tensor.dtype} {tensor.shape} but its values are "
            f"{tensor.data.dtype} {tensor.data.shape}",
        )
    if tensor.quant is not None:
        _check_quant(thing, tensor, tensor.quant)


def _check_quant(thing: str, tensor: Tensor, quant: Quant) -> None:
    low, high = SCALE_RANGE
    if not np.all(np.isfinite(quant.scale)) or quant.scale.min() < low or quant.scale.max() > high:
        bad = next(float(s) for s in quant.scale.flat if not low <= s <= high)
        raise BadModel(thing, f"has the scale {bad:g}", f"scales lie between {low:.2g} and {high:.2g}")
    if quant.axis is None:
        if quant.scale.shape != (1,):
            raise BadModel(thing, f"has {quant.scale.size} scales but no channel axis")
        floor, ceiling = LIMITS.get(tensor.dtype, (-(2**31), 2**31 - 1))
        if not floor <= quant.zero_point <= ceiling:
            raise BadModel(thing, f"has zero point {quant.zero_point}, which {tensor.dtype} cannot hold")
        return
    if not 0 <= quant.axis < len(tensor.shape) or quant.scale.shape != (tensor.shape[quant.axis],):
        raise BadModel(
            thing, f"of shape {tensor.shape} has {quant.scale.size} scales along axis {quant.axis}"
        )
    if quant.zero_point:
        raise BadModel(thing, f"has scales per channel and zero point {quant.zero_point}", "it must be 0")


def _check_order(model: Model) -> None:
    made: dict[str, str] = {}
    for op in model.ops:
        for name in (*op.inputs, op.output):
            if name not in model.tensors:
                raise BadModel(f"op {op.name!r} ({op.kind})", f"names tensor {name!r}, which does not exist")
        if op.output in made or op.output in model.inputs or model.tensors[op.output].constant:
            before = f"op {made[op.output]!r}" if op.output in made else "being an input or a constant"
            raise BadModel(f"op {op.name!r} ({op.kind})", f"writes tensor {op.output!r} after {before}")
        made[op.output] = op.name
    if len({op.name for op in model.ops}) != len(model.ops):
        raise BadModel("the graph", "has two ops of the same name")
    if not model.ops or not model.inputs or not model.outputs:
        raise BadModel("the graph", "has no ops, no inputs or no outputs")
    for name in model.inputs:
        if name not in model.tensors or model.tensors[name].constant:
            raise BadModel(f"input {name!r}", "does not exist or is a constant")
    if missing := [name for name in model.outputs if name not in made]:
        raise BadModel(f"output {missing[0]!r}", "is written by no op: the graph is disconnected")
    check_states(model.states, model.tensors, (*model.inputs, *made))
    states = [state.name for state in model.states]
    if taken := [name for name in states if name in made or name in model.inputs]:
        raise BadModel(f"state {taken[0]!r}", "is an input, or an op writes it")
    ready = {*model.inputs, *states, *(t.name for t in model.tensors.values() if t.constant)}
    for op in model.ops:
        for name in op.inputs:
            if name not in ready:
                why = (
                    f"op {made[name]!r}, which comes later, writes it"
                    if name in made
                    else "nothing writes it"
                )
                raise BadModel(
                    f"op {op.name!r} ({op.kind})",
                    f"reads tensor {name!r} and {why}",
                    "a graph has no cycles, and its ops come in execution order",
                )
        ready.add(op.output)
    if model.head is not None and model.head not in {op.name for op in model.ops}:
        raise BadModel("the head", f"is named {model.head!r}, and there is no such op")
    read = {name for op in model.ops for name in op.inputs} | {state.after for state in model.states}
    for name in (*model.inputs, *states, *made):
        if name not in read and name not in model.outputs:
            raise BadModel(
                f"tensor {name!r}", "leads to no output: the graph is disconnected",
                "export the network without it",
            )  # fmt: skip
    turns(model.states, model.ops)


def _check_op(op: Op, model: Model) -> None:
    thing = f"op {op.name!r} ({op.kind})"
    low, high = op.traits.inputs
    if not low <= len(op.inputs) <= high:
        raise BadModel(thing, f"has {len(op.inputs)} inputs", f"it takes {low} to {high}")
    _check_attributes(op, thing)
    inputs = [model.tensors[name] for name in op.inputs]
    output = model.tensors[op.output]
    expected = infer(op, model.tensors)
    if prod(expected) * DTYPES[output.dtype] > MAX_BYTES or expected != output.shape:
        raise BadModel(thing, f"gives shape {expected} but its output {op.output!r} is {output.shape}")
    if op.traits.scale not in ("any", "none"):
        for tensor in (*inputs, output):
            if tensor.dtype in QUANTISED and tensor.quant is None:
                raise BadModel(thing, f"tensor {tensor.name!r} is {tensor.dtype} without a scale")
    if op.traits.weighted:
        _check_weighted(op, thing, inputs, output)


def _check_attributes(op: Op, thing: str) -> None:
    a = op.attributes
    if min(*a.stride, *a.dilation, *a.kernel) < 1 or max(*a.stride, *a.dilation, *a.kernel) > 2**15:
        raise BadModel(thing, f"has stride {a.stride}, dilation {a.dilation}, window {a.kernel}")
    if any(not 0 <= p < 2**15 for side in (*a.padding, *a.pads) for p in side):
        raise BadModel(thing, f"has padding {a.padding} {a.pads}")
    if a.clamp is not None and not a.clamp[0] <= a.clamp[1]:
        raise BadModel(thing, f"clamps to the empty range {a.clamp}")
    if not math.isfinite(a.beta):
        raise BadModel(thing, f"has beta {a.beta}")
    if (a.curve is None) is (op.kind is OpKind.CURVE):
        raise BadModel(thing, f"names {a.curve or 'no'} function")
    if op.kind is OpKind.CURVE and not -(2**15) < a.alpha < 2**15:
        raise BadModel(thing, f"has alpha {a.alpha}")
    if op.kind is OpKind.CURVE and a.curve in (CurveName.SOFTPLUS, CurveName.CELU) and a.alpha <= 0:
        raise BadModel(thing, f"has alpha {a.alpha}", "it must be above 0")
    if op.kind is not OpKind.CURVE and not 0 <= a.alpha < 2**15:
        raise BadModel(thing, f"has the slope {a.alpha} below zero")


def _check_weighted(op: Op, thing: str, inputs: list[Tensor], output: Tensor) -> None:
    x, w = inputs[:2]
    kinds = (x.dtype, w.dtype, output.dtype)
    if kinds not in {
        ("int8", "int8", "int8"), ("int8", "int8", "int32"), ("int8", "int8", "int16"),
        ("int16", "int8", "int16"), ("float32", "float32", "float32"),
    }:  # fmt: skip
        raise BadModel(thing, f"works on {kinds[0]} with {kinds[1]} weights and gives {kinds[2]}")
    if w.constant and w.dtype == "float32" and not np.all(np.isfinite(w.data)):  # type: ignore[arg-type]
        raise BadModel(thing, f"weight {w.name!r} holds values that are no finite numbers")
    if len(inputs) > 2:
        want = {"float32": ("float32",), "int16": ("int32", "int64")}.get(x.dtype, ("int32",))
        if inputs[2].dtype not in want:
            reason = f"bias {inputs[2].name!r} is {inputs[2].dtype}, not {' or '.join(want)}"
            raise BadModel(thing, reason)
    if output.dtype == "int32" and (w.quant is None or w.quant.per_channel or output.quant is None):
        # Accumulators of different scales cannot be compared; those without one mean nothing.
        raise BadModel(
            thing,
            f"gives accumulators {output.name!r} that lack one scale for all channels",
            "quantise the network again; such a head has one weight scale",
        )
    if x.quant is None or w.quant is None:
        return
    channel_axis = op.traits.channel_axis
    if w.quant.axis not in (None, channel_axis):
        raise BadModel(thing, f"weight {w.name!r} is quantised along axis {w.quant.axis}, not {channel_axis}")
    if output.dtype in ("int8", "int16") and output.quant is not None:
        ratio = float(x.quant.scale[0]) * float(w.quant.scale.max()) / float(output.quant.scale[0])
        if ratio >= 2**30:
            raise BadModel(thing, f"rescales by {ratio:g}: its scales contradict each other")
