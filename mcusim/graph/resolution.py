"""The same network on smaller or larger images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcusim.core import BadArgument, BadModel
from mcusim.graph.enlarging import enlarged, enlarging
from mcusim.graph.model import Model
from mcusim.graph.ops import Op
from mcusim.graph.shapes import infer
from mcusim.graph.tensor import Tensor
from mcusim.graph.traits import POOLS, RESIZES
from mcusim.graph.validate import validate

MAX_SIDE = 2048


def at_resolution(model: Model, side: int) -> Model:
    """Return a fully convolutional network that takes images of ``side`` x ``side`` pixels.

    Weights, quantisation and paddings stay; windows over the whole image and resized maps follow it.
    The accuracy does not stay: quantisation was calibrated, and weights were trained, at another size.
    A network that enlarges its pictures itself goes on taking those; what it makes of them changes.

    Raises:
        BadArgument: if the network does not take square images, if a map becomes smaller than a
            window over it, or if an op needs maps of one size, as a classifier of flattened maps does.
    """
    if (picture := enlarged(model)) is not None:
        return enlarging(at_resolution(_behind(model, picture), side), model.input.shape[1])
    shape = model.input.shape
    if len(model.inputs) != 1 or len(shape) != 4 or shape[1] != shape[2]:
        raise BadArgument(
            f"resolution of {model.name}", f"cannot change: its input is {shape}, no square image"
        )
    if not 1 <= side <= MAX_SIDE:
        raise BadArgument(f"resolution {side}", "is not a number of pixels", f"choose 1 to {MAX_SIDE}")
    if side == shape[1]:
        return model
    tensors = dict(model.tensors)
    tensors[model.input.name] = replace(model.input, shape=(shape[0], side, side, shape[3]))
    try:
        ops = tuple(_reshaped(op, model.tensors, tensors) for op in model.ops)
        resized = replace(model, name=f"{model.name}@{side}", ops=ops, tensors=tensors)
        validate(resized)
    except BadModel as error:
        raise BadArgument(
            f"resolution {side}", f"does not suit {model.name}: {error}", f"it was made for {shape[1]}"
        ) from error
    return resized


def sides(model: Model) -> tuple[int, ...]:
    """Return the height and width of the pictures that the network looks at, enlarged; empty without."""
    shape = model.tensors[enlarged(model) or model.input.name].shape
    return shape[1:3] if len(shape) == 4 else ()


def _behind(model: Model, picture: str) -> Model:
    """Return the network without the op that makes ``picture`` of its input."""
    small = model.input
    tensors = {name: tensor for name, tensor in model.tensors.items() if name != small.name}
    name = model.name.removesuffix(f"<{small.shape[1]}")
    return replace(model, name=name, ops=model.ops[1:], tensors=tensors, inputs=(picture,))


def _reshaped(op: Op, before: Mapping[str, Tensor], tensors: dict[str, Tensor]) -> Op:
    """Give the output of ``op`` its new shape in ``tensors``; return the op as it is at the new size."""
    old, new = before[op.inputs[0]].shape, tensors[op.inputs[0]].shape
    a = op.attributes
    if op.kind in POOLS and a.kernel == old[1:3]:
        op = replace(op, attributes=replace(a, kernel=(new[1], new[2])))
    elif op.kind in RESIZES:
        height, width = (new[i] * a.shape[i] // old[i] for i in (1, 2))
        op = replace(op, attributes=replace(a, shape=(a.shape[0], height, width, a.shape[3])))
    output = tensors[op.output]
    tensors[op.output] = replace(output, shape=infer(op, tensors))
    return op
