"""Chains of RESHAPE and TRANSPOSE become one op, and what moves only dimensions of one element a view."""

from __future__ import annotations

from dataclasses import replace

from mcusim.graph import Attributes, Op, OpKind
from mcusim.simplify.draft import NetworkDraft


def shape(network: NetworkDraft) -> bool:
    """Merge two RESHAPE or two TRANSPOSE in a row, or make a TRANSPOSE that moves nothing a RESHAPE."""
    return any(_merged(network, op) or _viewed(network, op) for op in network.ops)


def _merged(network: NetworkDraft, op: Op) -> bool:
    before = network.producer(op.inputs[0])
    if before is None or before.kind is not op.kind or op.kind not in (OpKind.RESHAPE, OpKind.TRANSPOSE):
        return False
    if network.tensors[before.inputs[0]].constant:
        return False
    attributes = op.attributes
    if op.kind is OpKind.TRANSPOSE:
        axes = tuple(before.attributes.axes[axis] for axis in op.attributes.axes)
        attributes = replace(attributes, axes=axes)
    network.put(op, replace(op, inputs=before.inputs, attributes=attributes), before)
    return True


def _viewed(network: NetworkDraft, op: Op) -> bool:
    if op.kind is not OpKind.TRANSPOSE:
        return False
    sizes = network.tensors[op.inputs[0]].shape
    kept = [axis for axis in op.attributes.axes if sizes[axis] > 1]
    if kept != sorted(kept) or op.attributes.axes == tuple(range(len(sizes))):
        return False
    attributes = Attributes(clamp=None, shape=network.tensors[op.output].shape)
    network.put(op, replace(op, kind=OpKind.RESHAPE, attributes=attributes))
    return True
