"""Operations of PyTorch that multiply matrices or share out rows."""

from __future__ import annotations

from functools import partial
from math import prod, sqrt
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
    inputs = [held.name, g.parameter(weight, g.arrays[weight].astype(np.float32))]
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
    shape = stored(g.shape(x), held.order)
    name = _normalised(g, node, held.name, shape, (len(shape) - 1,), eps=eps, plain=weight is None)
    return Held(_affine(g, node, name, shape, weight, bias, (-1,)), held.order)


def group_norm(
    g: TorchGraph, node: Any, x: Any, count: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *_: Any,
) -> Held:  # fmt: skip
    """``group_norm``: channels in groups, with all that lies in them, side by side."""
    shape, held = g.shape(x), g.held(x)
    wide = (shape[0], count, prod(shape[1:]) // count)
    rows = g.in_order(g.reshape(node, held, shape, wide, suffix=".groups"), wide, _counted(3))
    unit = _normalised(g, node, rows, wide, (2,), eps=eps)
    found = g.reshape(node, Held(unit, _counted(3)), wide, shape, suffix=".whole")
    name = g.in_order(found, shape, held.order)
    along = tuple(-1 if d == 1 else 1 for d in held.order)
    return Held(_affine(g, node, name, stored(shape, held.order), weight, bias, along), held.order)


def instance_norm(
    g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, own: bool,
    momentum: float, eps: float, *_: Any,
) -> Held:  # fmt: skip
    """``instance_norm``: every channel of an example by itself."""
    if not own:
        raise g.fail(node, "normalises by means that were kept: use batch normalisation")
    held = g.held(x)
    shape = stored(g.shape(x), held.order)
    axes = tuple(place for place, dimension in enumerate(held.order) if dimension > 1)
    unit = _normalised(g, node, held.name, shape, axes, eps=eps, plain=weight is None)
    along = tuple(-1 if d == 1 else 1 for d in held.order)
    return Held(_affine(g, node, unit, shape, weight, bias, along), held.order)


def _value(g: TorchGraph, node: Any, array: Any, name: str, shape: tuple[int, ...] = (-1,)) -> str:
    return g.build.constant(g.free(f"{node.name}.{name}"), np.asarray(array, np.float32).reshape(shape))


def _normalised(
    g: TorchGraph, node: Any, x: str, shape: tuple[int, ...], axes: tuple[int, ...], *, eps: float = 1e-5,
    plain: bool = False,
) -> str:  # fmt: skip
    """Normalise a stored shape along axes, by the ops that compute it on a device.

    The last of them has the name of the module if it is ``plain``: if nothing follows.
    """
    one = tuple(1 if i in axes else size for i, size in enumerate(shape))
    mean = g.op(node, OpKind.MEAN, (x,), one, suffix=".mean", axes=axes)
    moved = g.op(node, OpKind.SUB, (x, mean), shape, suffix=".centred")
    square = g.op(node, OpKind.SQUARED_DIFFERENCE, (x, mean), shape, suffix=".square")
    variance = g.op(node, OpKind.MEAN, (square,), one, suffix=".variance", axes=axes)
    safe = g.op(node, OpKind.ADD, (variance, _value(g, node, [eps], "eps")), one, suffix=".safe")
    factor = g.op(node, OpKind.RSQRT, (safe,), one, suffix=".factor")
    return g.op(node, OpKind.MUL, (moved, factor), shape, suffix="" if plain else ".normal")


def _affine(
    g: TorchGraph, node: Any, x: str, shape: tuple[int, ...], weight: Any, bias: Any, along: tuple[int, ...]
) -> str:
    """Multiply by a weight and add a bias, where there are any; their numbers lie along one dimension."""
    if weight is not None:
        inputs = (x, _value(g, node, g.arrays[weight], "weight", along))
        x = g.op(node, OpKind.MUL, inputs, shape, suffix=".scaled" if bias is not None else "")
    if bias is not None:
        x = g.op(node, OpKind.ADD, (x, _value(g, node, g.arrays[bias], "bias", along)), shape)
    return x


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
