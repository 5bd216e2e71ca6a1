"""A new classifier for a network that was trained on other classes."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Literal

import numpy as np

from mcusim.core import BadArgument, BadModel
from mcusim.core.wording import choice
from mcusim.graph import QUANTISED, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.build import GraphBuilder
from mcusim.graph.states import kept, needed
from mcusim.graph.validate import validate

HeadFormat = Literal["float32", "int8"]
HEAD_RANGE = 8
"""An int8 head's weights span ±8 times their initial bound, so that they can grow while they learn."""
MAX_CLASSES = 65_536


def replace_head(model: Model, classes: int, *, format: HeadFormat = "float32", seed: int = 0) -> Model:
    """Return ``model`` with its last weighted op, and all that follows, replaced by a fresh classifier.

    The weights are drawn from U(-1/sqrt(C), 1/sqrt(C)) for C features, as PyTorch's ``Linear`` draws
    them; the bias is zero. A map of features that the old classifier read whole is first reshaped to (1, C);
    one whose scores were averaged is averaged itself. One output is a yes or no, or a real number.

    - ``float32``: DEQUANTIZE, then a float32 FULLY_CONNECTED. The output is float32 logits.
    - ``int8``: a FULLY_CONNECTED with int8 weights, one symmetric scale s_W = 8 / (127 sqrt(C)) for all,
      int32 bias, and the int32 accumulator as output: logit = acc * s_x * s_W.

    Raises:
        BadArgument: if ``classes`` or ``format`` makes no sense.
        BadModel: if the network has no classifier that could be replaced.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or not 1 <= classes <= MAX_CLASSES:
        raise BadArgument(choice("classes", classes), f"must be an integer from 1 to {MAX_CLASSES:,}")
    if format not in ("float32", "int8"):
        raise BadArgument(choice("head", format), "is no head format", "use float32 or int8")
    head = find_head(model)
    features = _features(model, head)
    old = model.tensors[head.inputs[1]]
    pooled = _pools(model, head)
    count = old.shape[-1] if pooled else features.elements
    if head_name(model) is None or (not pooled and old.elements != count * old.shape[0]):
        raise BadModel(
            f"{model.name}: op {head.name!r} ({head.kind})",
            f"is the last weighted op, and from its input {features.name!r} of shape {features.shape} "
            "it makes no single vector of scores: there is no classifier to replace",
        )
    if format == "int8" and features.dtype != "int8":
        reason = f"needs int8 features, these are {features.dtype}"
        raise BadArgument(choice("head", "int8"), reason, choice("head", "float32"))

    build = GraphBuilder()
    build.ops, build.tensors = _without_head(model, head, features.name)
    x = features.name
    if pooled:
        # Without an activation between them, to average and then to classify is to classify and average.
        axes = tuple(range(1, len(features.shape) - 1))
        x = _append(build, "pool", OpKind.MEAN, (x,), (1, count), features.quant, features.dtype, axes)
    elif features.shape != (1, count):
        x = _append(build, "flatten", OpKind.RESHAPE, (x,), (1, count), features.quant, features.dtype)
    if format == "float32" and features.dtype in QUANTISED:
        x = _append(build, "dequantize", OpKind.DEQUANTIZE, (x,), (1, count), None, "float32")

    weight, bias = _initial(count, classes, format, features.quant, seed)
    w = build.constant(_free(build, "classifier.weight"), weight, quant := _weight_quant(count, format))
    b_quant = None
    if quant is not None and features.quant is not None:
        b_quant = Quant(np.asarray(features.quant.scale * quant.scale))
    b = build.constant(_free(build, "classifier.bias"), bias, b_quant)
    dtype = "float32" if format == "float32" else "int32"
    output = _append(build, "classifier", OpKind.FULLY_CONNECTED, (x, w, b), (1, classes), b_quant, dtype)
    return validate(
        replace(
            model, ops=tuple(build.ops), tensors=build.tensors, outputs=(output,), head=output, labels=(),
            states=kept(model.states, set(build.tensors)),
        )
    )  # fmt: skip


def find_head(model: Model) -> Op:
    """Return the op that is the classifier: the one the model names, or else its last weighted op.

    Raises:
        BadModel: if there is none, or if what follows it reads anything else.
    """
    weighted = [op for op in model.ops if op.traits.weighted]
    if len(model.outputs) != 1 or not weighted:
        raise BadModel(
            model.name,
            f"has {len(model.outputs)} outputs and {len(weighted)} weighted ops: there is no classifier",
        )
    head = model.op(model.head) if model.head else weighted[-1]
    if _followers(model, head) is None:
        raise BadModel(
            f"{model.name}: op {head.name!r} ({head.kind})",
            "is the last weighted op, but what follows it is no pooling, softmax or the like: "
            "there is no classifier to replace",
        )
    return head


def head_name(model: Model) -> str | None:
    """Return the name of the op that is the classifier; None if there is none.

    It makes the scores, one vector of them: a fully connected op, a convolution over the whole map, or a
    convolution whose map is then pooled, as SqueezeNet ends.
    """
    try:
        head = find_head(model)
    except BadModel:
        return None
    scores = head.output
    for op in _followers(model, head) or ():
        if op.kind is not OpKind.ARG_MAX:
            scores = op.output
    classes = model.tensors[head.inputs[1]].shape[0]
    mixes = head.traits.channels == "mixed"
    return head.name if mixes and model.tensors[scores].elements == classes else None


def _followers(model: Model, head: Op) -> list[Op] | None:
    """Return the ops from the head to the output, each the only reader of the one before; None if others."""
    found: list[Op] = []
    name = head.output
    while name != model.outputs[0]:
        readers = [op for op in model.ops if name in op.inputs]
        if len(readers) != 1 or readers[0].traits.weighted:
            return None
        found.append(readers[0])
        if sum(not model.tensors[n].constant for n in readers[0].inputs) != 1:
            return None
        name = readers[0].output
    return found


def _pools(model: Model, head: Op) -> bool:
    """True if the head makes a map of scores that is averaged afterwards."""
    output = model.tensors[head.output]
    return output.elements != output.shape[-1]


def _features(model: Model, head: Op) -> Tensor:
    """Return what the head learns from: the int8 features, where a float32 head has them dequantised."""
    for op in model.ops:
        if op.output == head.inputs[0] and op.kind is OpKind.DEQUANTIZE:
            return model.tensors[op.inputs[0]]
    return model.tensors[head.inputs[0]]


def _without_head(model: Model, head: Op, features: str) -> tuple[list[Op], dict[str, Tensor]]:
    """Return the ops and tensors that ``features`` need, the network's inputs included."""
    before = [op for op in model.ops if op is not head]
    names = {*needed((features,), before, model.states), *model.inputs}
    ops = [op for op in before if op.output in names]
    return ops, {name: tensor for name, tensor in model.tensors.items() if name in names}


def _free(build: GraphBuilder, name: str) -> str:
    taken = {*build.tensors, *(op.name for op in build.ops)}
    names = (name, *(f"{name}_{i}" for i in range(1, len(taken) + 2)))
    return next(n for n in names if n not in taken)


def _append(
    build: GraphBuilder,
    name: str,
    kind: OpKind,
    inputs: tuple[str, ...],
    shape: tuple[int, ...],
    quant: Quant | None,
    dtype: str,
    axes: tuple[int, ...] = (),
) -> str:
    name = _free(build, name)
    clamp = (-128, 127) if dtype == "int8" else None
    attributes = Attributes(clamp=clamp, axes=axes, shape=shape if kind is OpKind.RESHAPE else ())
    output = build.activation(name, shape, quant, dtype)
    build.op(name, kind, inputs, output, attributes)
    return output


def _weight_quant(count: int, format: HeadFormat) -> Quant | None:
    return None if format == "float32" else Quant.of(HEAD_RANGE / (127 * sqrt(count)))


def _initial(
    count: int, classes: int, format: HeadFormat, x: Quant | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    bound = 1 / sqrt(count)
    weight = np.random.default_rng(seed).uniform(-bound, bound, (classes, count)).astype(np.float32)
    quant = _weight_quant(count, format)
    if quant is None:
        return weight, np.zeros(classes, np.float32)
    return np.rint(weight / quant.scale[0]).astype(np.int8), np.zeros(classes, np.int32)
