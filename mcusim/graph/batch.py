"""A batch that is written into a file, taken out again: a device sees one example at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcusim.core import BadModel
from mcusim.graph.head import head_name
from mcusim.graph.kinds import OpKind
from mcusim.graph.model import Model
from mcusim.graph.ops import Op
from mcusim.graph.shapes import infer
from mcusim.graph.tensor import Tensor
from mcusim.graph.traits import Family, kinds
from mcusim.graph.validate import validate

_ROWS = {
    Family.CONVOLUTION, Family.DENSE, Family.BINARY, Family.UNARY, Family.POOL, Family.RESIZE,
    Family.CONVERSION, Family.PAIR, Family.FILTER,
}  # fmt: skip
"""Families that never mix examples."""
_BY_AXES = {
    *kinds(lambda t: t.family in (Family.REDUCTION, Family.NORMALISATION, Family.JOIN)),
    OpKind.STRIDED_SLICE, OpKind.GATHER, OpKind.REVERSE,
}  # fmt: skip
"""Kinds that mix, or choose among, what lies along the axes they name."""
_BY_PIXELS = {OpKind.DEPTH_TO_SPACE, OpKind.SPACE_TO_DEPTH}


def batch_of(model: Model) -> int:
    """Return the batch that a network is made for: the first dimension of all that goes in and comes out."""
    ends = [model.tensors[name].shape for name in (*model.inputs, *model.outputs)]
    sizes = {shape[0] if len(shape) > 1 else 1 for shape in ends}
    return sizes.pop() if len(sizes) == 1 else 1


def require_batch(model: Model, name: str) -> None:
    """Check that an input has a dimension for the examples of a batch.

    Raises:
        BadModel: if it has one dimension only.
    """
    shape = list(model.tensors[name].shape)
    if len(shape) < 2:
        raise BadModel(
            f"{model.name}: its input {name!r} {shape}", "has no dimension for a batch",
            f"export it with the shape {[1, *shape]}",
        )  # fmt: skip


def at_batch_one(model: Model) -> Model:
    """Return a network made for a batch of several examples as the same network for one.

    Raises:
        BadModel: if some op mixes the examples of a batch, so that one alone has no meaning.
    """
    batch = batch_of(model)
    if batch == 1:
        return model
    tensors = dict(model.tensors)
    for name in model.inputs:
        tensors[name] = _first(model.tensors[name])
    ops = []
    for op in model.ops:
        if not keeps_examples(op, model.tensors, batch):
            raise BadModel(
                f"{model.name}: op {op.name!r} ({op.kind})",
                f"mixes the {batch} examples of a batch, and a device learns from one at a time",
                "export it with a batch of 1",
            )
        ops.append(_alone(op))
        output = _first(tensors[op.output])
        tensors[op.output] = output
        tensors[op.output] = replace(output, shape=infer(ops[-1], tensors))
    single = validate(replace(model, ops=tuple(ops), tensors=tensors))
    return replace(single, head=single.head or head_name(single))


def single(model: Model) -> Model:
    """Return a network with its batch taken out, or as it is where that cannot be done."""
    try:
        return at_batch_one(model)
    except BadModel:
        return model


def _first(tensor: Tensor) -> Tensor:
    return replace(tensor, shape=(1, *tensor.shape[1:]))


def keeps_examples(op: Op, tensors: Mapping[str, Tensor], batch: int) -> bool:
    """True if each example of the output follows from the same example of the inputs alone.

    What follows from constants alone is one value for all examples, and so makes it false.
    """
    output = tensors[op.output].shape
    given = [tensors[name] for name in op.inputs]
    if all(t.constant for t in given):
        return False
    if output[:1] != (batch,) or any(t.shape[:1] != (batch,) for t in given if not t.constant):
        return False
    family, a = op.traits.family, op.attributes
    if family is Family.JOIN and any(t.constant for t in given):
        return False  # it is of one example
    if family in (Family.BINARY, Family.PAIR) and any(
        # A value for each example; or examples that would be broadcast along another dimension.
        t.shape[0] != 1 if t.constant and len(t.shape) == len(output)
        else not t.constant and len(t.shape) != len(output)
        for t in given
    ):  # fmt: skip
        return False
    if family in _ROWS or family is Family.VIEW:
        return True
    if op.kind in _BY_AXES:
        return 0 not in {axis % len(given[0].shape) for axis in a.axes}
    if op.kind is OpKind.TRANSPOSE:
        return a.axes[0] == 0
    if family is Family.PRODUCT:
        return all(t.constant or len(t.shape) == len(output) > 2 for t in given)
    if op.kind is OpKind.TILE:
        return a.repeats[0] == 1
    return op.kind in _BY_PIXELS or (op.kind in (OpKind.PAD, OpKind.MIRROR_PAD) and a.pads[0] == (0, 0))


def _alone(op: Op) -> Op:
    shape = op.attributes.shape
    if not shape or op.kind is OpKind.STRIDED_SLICE:
        return op
    return replace(op, attributes=replace(op.attributes, shape=(1, *shape[1:])))
