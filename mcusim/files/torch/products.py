"""Operations of PyTorch that multiply matrices or share out rows."""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from mcusim.files.torch.graph import Rule, TorchGraph
from mcusim.files.torch.layout import Held, Order, stored
from mcusim.graph import OpKind


def last(g: TorchGraph, x: Any) -> Held:
    """Return a node's tensor with PyTorch's last dimension last in memory."""
    held = g.held(x)
    order = _counted(len(held.order))
    return held if held.order[-1:] == order[-1:] else Held(g.ordered(x, order), order)


def _counted(rank: int) -> Order:
    return tuple(range(rank))


def _matrices(g: TorchGraph, x: Any) -> tuple[str, bool]:
    """Return a node's tensor as matrices in its last two dimensions, and whether they lie transposed."""
    order = _counted(len(g.shape(x)))
    turned = (*order[:-2], *order[:-3:-1])
    if g.held(x).order == turned != order:
        return g.held(x).name, True
    return g.ordered(x, order), False


def linear(g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any = None) -> Held:
    """``linear``."""
    if weight not in g.arrays:
        raise g.fail(node, "its weight is computed")
    held = last(g, x)
    inputs = [held.name, g.build.constant(g.free(weight.name), g.arrays[weight].astype(np.float32))]
    if bias is not None:
        inputs.append(g.build.constant(g.free(bias.name), g.arrays[bias].astype(np.float32)))
    out = stored(g.shape(node), held.order)
    return Held(g.op(node, OpKind.FULLY_CONNECTED, inputs, out), held.order)


def matmul(g: TorchGraph, node: Any, a: Any, b: Any) -> Held:
    """``a @ b``; a constant matrix of two dimensions is a fully connected layer."""
    if b in g.arrays and g.arrays[b].ndim == 2:
        held = last(g, a)
        weight = g.build.constant(g.free(b.name), np.ascontiguousarray(g.arrays[b].T.astype(np.float32)))
        out = stored(g.shape(node), held.order)
        return Held(g.op(node, OpKind.FULLY_CONNECTED, (held.name, weight), out), held.order)
    if a in g.arrays or b in g.arrays:
        raise g.fail(node, "multiplies by a constant of more than two dimensions")
    if min(len(g.shape(a)), len(g.shape(b))) < 2:
        raise g.fail(node, "multiplies by a vector: give it two dimensions")
    (left, turned), (right, other) = _matrices(g, a), _matrices(g, b)
    shape = g.shape(node)
    name = g.op(node, OpKind.BATCH_MATMUL, (left, right), shape, adjoint=(turned, other))
    return Held(name, _counted(len(shape)))


def attention(
    g: TorchGraph, node: Any, query: Any, key: Any, value: Any, mask: Any = None, dropout: float = 0.0,
    causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Held:  # fmt: skip
    """``softmax(q kᵀ / sqrt(d)) v``."""
    if mask is not None or causal or enable_gqa:
        raise g.fail(node, "has a mask, is causal or shares keys between heads")
    (q, q_turned), (k, k_turned), (v, v_turned) = (_matrices(g, x) for x in (query, key, value))
    shape = g.shape(query)
    scores = (*shape[:-1], g.shape(key)[-2])
    likeness = g.op(
        node, OpKind.BATCH_MATMUL, (q, k), scores, suffix=".likeness", adjoint=(q_turned, not k_turned)
    )
    factor = np.full((1,) * len(scores), scale or 1 / sqrt(shape[-1]), np.float32)
    constant = g.build.constant(g.free(f"{node.name}.scale"), factor)
    scaled = g.op(node, OpKind.MUL, (likeness, constant), scores, suffix=".scaled")
    shares = g.op(node, OpKind.SOFTMAX, (scaled,), scores, suffix=".shares")
    name = g.op(
        node, OpKind.BATCH_MATMUL, (shares, v), g.shape(node), suffix=".mixed", adjoint=(False, v_turned)
    )
    return Held(name, _counted(len(scores)))


def layer_norm(
    g: TorchGraph, node: Any, x: Any, sizes: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *_: Any,
) -> Held:  # fmt: skip
    """``layer_norm`` along the last dimension, as the ops that compute it on a device."""
    if len(sizes) != 1:
        raise g.fail(node, f"normalises {len(sizes)} dimensions: only the last")
    held = last(g, x)
    shape, axis = stored(g.shape(x), held.order), (len(held.order) - 1,)
    one = (*shape[:-1], 1)

    def value(array: Any, name: str) -> str:
        return g.build.constant(g.free(f"{node.name}.{name}"), np.asarray(array, np.float32).reshape(-1))

    mean = g.op(node, OpKind.MEAN, (held.name,), one, suffix=".mean", axes=axis)
    moved = g.op(node, OpKind.SUB, (held.name, mean), shape, suffix=".centred")
    square = g.op(node, OpKind.SQUARED_DIFFERENCE, (held.name, mean), shape, suffix=".square")
    variance = g.op(node, OpKind.MEAN, (square,), one, suffix=".variance", axes=axis)
    safe = g.op(node, OpKind.ADD, (variance, value([eps], "eps")), one, suffix=".safe")
    factor = g.op(node, OpKind.RSQRT, (safe,), one, suffix=".factor")
    name = g.op(node, OpKind.MUL, (moved, factor), shape, suffix=".normal" if weight is not None else "")
    if weight is not None:
        inputs = (name, value(g.arrays[weight], "weight"))
        name = g.op(node, OpKind.MUL, inputs, shape, suffix=".scaled" if bias is not None else "")
    if bias is not None:
        name = g.op(node, OpKind.ADD, (name, value(g.arrays[bias], "bias")), shape)
    return Held(name, held.order)


def softmax(kind: OpKind) -> Rule:
    """``softmax`` or ``log_softmax``, along any dimension: it is brought to the end first."""
    return partial(_softmax, kind)


def _softmax(kind: OpKind, g: TorchGraph, node: Any, x: Any, axis: int, *_: Any) -> Held:
    held, shape = g.held(x), g.shape(x)
    axis %= len(shape)
    if held.order[-1] != axis:
        order = (*(d for d in held.order if d != axis), axis)
        held = Held(g.ordered(x, order), order)
    return Held(g.op(node, kind, (held.name,), stored(shape, held.order)), held.order)
