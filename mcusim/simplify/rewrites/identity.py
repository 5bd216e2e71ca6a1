"""Ops that give back what they were given go."""

from __future__ import annotations

import numpy as np

from mcusim.graph import Op, OpKind, Tensor
from mcusim.simplify.draft import NetworkDraft
from mcusim.simplify.rewrites.table import LEAST, table


def identity(network: NetworkDraft) -> bool:
    """Take out an op, or a DEQUANTIZE with the QUANTIZE behind it, that changes no value.

    Of ops on single int8 elements the whole table of results is looked at.
    """
    return any(_taken_out(network, op) for op in network.ops)


def _taken_out(network: NetworkDraft, op: Op) -> bool:
    before = network.producer(op.inputs[0])
    if before is not None and before.kind is OpKind.DEQUANTIZE and op.kind is OpKind.QUANTIZE:
        x, y = network.tensors[before.inputs[0]], network.tensors[op.output]
        return _alike(x, y) and _every_value_stays(network, before, op) and _bridged(network, op, x.name)
    x, y = network.tensors[op.inputs[0]], network.tensors[op.output]
    return not x.constant and _alike(x, y) and _changes_nothing(network, op) and _bridged(network, op, x.name)


def _alike(x: Tensor, y: Tensor) -> bool:
    same = x.quant is None if y.quant is None else y.quant.same_as(x.quant)
    return x.shape == y.shape and x.dtype == y.dtype and same


def _changes_nothing(network: NetworkDraft, op: Op) -> bool:
    a = op.attributes
    match op.kind:
        case OpKind.RESHAPE:
            return True
        case OpKind.PAD:
            return not any(map(any, a.pads))
        case OpKind.TRANSPOSE:
            return a.axes == tuple(range(len(a.axes)))
        case OpKind.MAX_POOL_2D | OpKind.AVERAGE_POOL_2D:
            unmoved = a.kernel == a.stride == (1, 1) and not any(map(any, a.padding))
            return unmoved and a.clamp in (None, (-128, 127))
    return _every_value_stays(network, op)


def _every_value_stays(network: NetworkDraft, *ops: Op) -> bool:
    results = table(network, *ops)
    return results is not None and bool(np.all(results == LEAST))


def _bridged(network: NetworkDraft, op: Op, source: str) -> bool:
    """Let the readers of an op read its source; an output of the network is written by who wrote that."""
    if op.output not in network.outputs:
        network.remove(op)
        network.rename(op.output, source)
        return True
    if source in network.outputs or network.producer(source) is None:
        return False
    network.remove(op)
    network.rename(source, op.output)
    return True
