"""What each operation of PyTorch's exported graphs becomes. Rules get the graph, the node, its arguments."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, prod
from typing import Any

import numpy as np

from mcusim.files.names import NAMES
from mcusim.files.torch import curves, moves, products, windows
from mcusim.files.torch.graph import Rule, TorchGraph, stored
from mcusim.files.torch.layout import Held, Order, channels_last, permuted, plain
from mcusim.files.torch.layout import stored as memory
from mcusim.graph import TRAITS, OpKind
from mcusim.graph.traits import CLAMPS, UNARY


def _batch_norm(
    g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any, mean: Any, variance: Any,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, *_: Any,
) -> Held:  # fmt: skip
    if training:
        raise g.fail(node, "is in training mode: call module.eval() first")
    scale = 1 / np.sqrt(g.arrays[variance].astype(np.float64) + eps)
    if weight is not None:
        scale = scale * g.arrays[weight]
    shift = -g.arrays[mean] * scale + (0 if bias is None else g.arrays[bias])
    order = channels_last(len(g.shape(x)))
    shape, name = memory(g.shape(x), order), g.ordered(x, order)
    factor = g.build.constant(g.free(f"{node.name}.scale"), scale.astype(np.float32))
    scaled = g.op(node, OpKind.MUL, (name, factor), shape, suffix=".scaled")
    offset = g.build.constant(g.free(f"{node.name}.shift"), shift.astype(np.float32))
    return Held(g.op(node, OpKind.ADD, (scaled, offset), shape), order)


def _batch_norm_frozen(
    g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float,
    eps: float,
) -> Held:  # fmt: skip
    return _batch_norm(g, node, x, weight, bias, mean, variance, False, momentum, eps)


def _each(g: TorchGraph, node: Any, kind: OpKind, x: Any, *, suffix: str = "", **attributes: Any) -> Held:
    """Add an op on single elements; in whatever order they lie."""
    held = g.held(x)
    shape = memory(g.shape(x), held.order)
    return Held(g.op(node, kind, (held.name,), shape, suffix=suffix, **attributes), held.order)


def _unary(kind: OpKind) -> Callable[..., Held]:
    def rule(g: TorchGraph, node: Any, x: Any, *_: Any) -> Held:
        return _each(g, node, kind, x)

    return rule


def _leaky_relu(g: TorchGraph, node: Any, x: Any, slope: Any = 0.01, *_: Any) -> Held:
    return _each(g, node, OpKind.LEAKY_RELU, x, alpha=float(slope))


def _gelu(g: TorchGraph, node: Any, x: Any, *, approximate: str = "none") -> Held:
    return _each(g, node, OpKind.GELU, x, approximate=approximate == "tanh")


def _prelu(g: TorchGraph, node: Any, x: Any, slopes: Any) -> str:
    shape, values = g.shape(x), g.arrays.get(slopes)
    if values is None:
        raise g.fail(node, "its slopes are computed")
    # Channels are dimension 1; only images are stored with them last.
    along = (-1,) if len(shape) in (2, 4) else (-1, *(1,) * (len(shape) - 2))
    constant = g.build.constant(g.free(slopes.name), values.astype(np.float32).reshape(along))
    return g.op(node, OpKind.PRELU, (g.tensor(x), constant), stored(g.shape(node)))


def _clamp(g: TorchGraph, node: Any, x: Any, low: Any = None, high: Any = None) -> Held:
    bounds = (-inf if low is None else float(low), inf if high is None else float(high))
    kinds = {TRAITS[kind].activation: kind for kind in CLAMPS}
    if bounds in kinds:
        return _unary(kinds[bounds])(g, node, x)
    held = g.held(x)
    shape, name = memory(g.shape(x), held.order), held.name
    if not bounds[0] <= bounds[1]:
        raise g.fail(node, f"clamps to {bounds}, which is empty")
    for kind, bound in zip((OpKind.MAXIMUM, OpKind.MINIMUM), bounds, strict=True):
        if isfinite(bound):
            suffix = ".floor" if kind is OpKind.MAXIMUM and isfinite(bounds[1]) else ""
            limit = g.constant(f"{node.name}.bound", np.full(1, bound))
            name = g.op(node, kind, (name, limit), shape, suffix=suffix)
    return Held(name, held.order)


def _hard_tanh(g: TorchGraph, node: Any, x: Any, low: Any = -1, high: Any = 1) -> Held:
    return _clamp(g, node, x, low, high)


def _hard_sigmoid(g: TorchGraph, node: Any, x: Any) -> Held:
    held = g.held(x)
    shape = memory(g.shape(x), held.order)
    three = g.constant(f"{node.name}.three", np.full(1, 3))
    moved = g.op(node, OpKind.ADD, (held.name, three), shape, suffix=".moved")
    clamped = g.op(node, OpKind.RELU6, (moved,), shape, suffix=".clamped")
    sixth = g.constant(f"{node.name}.sixth", np.full(1, 1 / 6))
    return Held(g.op(node, OpKind.MUL, (clamped, sixth), shape), held.order)


def _silu(g: TorchGraph, node: Any, x: Any) -> Held:
    held = g.held(x)
    shape = memory(g.shape(x), held.order)
    gate = g.op(node, OpKind.LOGISTIC, (held.name,), shape, suffix=".gate")
    return Held(g.op(node, OpKind.MUL, (held.name, gate), shape), held.order)


def _binary(kind: OpKind) -> Callable[..., Held]:
    def rule(g: TorchGraph, node: Any, a: Any, b: Any, *, alpha: float = 1) -> Held:
        if alpha != 1:
            raise g.fail(node, f"has alpha {alpha}")
        out = g.shape(node)
        computed = [o for o in (a, b) if o in g.kept and len(g.shape(o)) == len(out)]
        order = g.held(max(computed, key=lambda o: prod(g.shape(o)))).order if computed else plain(len(out))
        names = [_broadcast(g, node, o, len(out), order) for o in (a, b)]
        return Held(g.op(node, kind, names, memory(out, order)), order)

    return rule


def _reversed_sub(g: TorchGraph, node: Any, a: Any, b: Any, *_: Any, alpha: float = 1) -> Held:
    return _binary(OpKind.SUB)(g, node, b, a, alpha=alpha)


def _negative(g: TorchGraph, node: Any, x: Any) -> Held:
    return _binary(OpKind.MUL)(g, node, x, -1)


def _reciprocal(g: TorchGraph, node: Any, x: Any) -> Held:
    return _binary(OpKind.DIV)(g, node, 1, x)


def _power(g: TorchGraph, node: Any, x: Any, exponent: float) -> Held:
    """A power that a product, a root or a quotient amounts to."""
    if exponent not in (1, 2, 0.5, -0.5, -1):
        raise g.fail(node, f"has the exponent {exponent}: only 1, 2, 0.5, -0.5 and -1")
    if exponent == 2:
        return _binary(OpKind.MUL)(g, node, x, x)
    if exponent == -1:
        return _reciprocal(g, node, x)
    return g.held(x) if exponent == 1 else _each(g, node, OpKind.SQRT if exponent > 0 else OpKind.RSQRT, x)


def _broadcast(g: TorchGraph, node: Any, x: Any, rank: int, order: Order) -> str:
    """Return an operand with as many dimensions as the output has, in its order."""
    if isinstance(x, int | float):
        return g.constant(f"{node.name}.value", np.full(1, x))
    if x in g.arrays:
        array = g.arrays[x].astype(np.float32)
        if array.size == 1:
            return g.build.constant(g.free(f"{x.name}.value"), array.reshape(1))
        wide = array.reshape((1,) * (rank - array.ndim) + array.shape).transpose(order)
        return g.build.constant(g.free(f"{x.name}.value"), np.ascontiguousarray(wide))
    shape = g.shape(x)
    if len(shape) == rank:
        return g.ordered(x, order)
    wide_shape = (1,) * (rank - len(shape)) + shape
    held = g.reshape(node, g.held(x), shape, wide_shape, suffix=f".{x.name}")
    return g.in_order(held, wide_shape, order)


def _reduce(kind: OpKind) -> Callable[..., Held]:
    """A reduction keeps the order that the dimensions lie in, whichever of them it takes."""

    def rule(g: TorchGraph, node: Any, x: Any, axes: Any = None, keepdim: bool = False, **_: Any) -> Held:
        held, shape = g.held(x), g.shape(x)
        chosen = {a % len(shape) for a in (axes or range(len(shape)))}
        places = tuple(i for i, dimension in enumerate(held.order) if dimension in chosen)
        if keepdim:
            order = held.order
        else:
            left = [d for d in range(len(shape)) if d not in chosen]
            order = tuple(left.index(d) for d in held.order if d not in chosen)
        return Held(g.op(node, kind, (held.name,), memory(g.shape(node), order), axes=places), order)

    return rule


def _reshape(g: TorchGraph, node: Any, x: Any, *_: Any) -> Held:
    return g.reshape(node, g.held(x), g.shape(x), g.shape(node))


def _permute(g: TorchGraph, node: Any, x: Any, axes: Any) -> Held:
    held, shape = g.held(x), g.shape(x)
    return _counted(g, held, shape, [int(a) % len(shape) for a in axes])


def _transpose(g: TorchGraph, node: Any, x: Any, one: int = 0, other: int = 1) -> Held:
    held, shape = g.held(x), g.shape(x)
    axes = list(range(len(shape)))
    axes[one], axes[other] = axes[other], axes[one]
    return _counted(g, held, shape, axes)


def _counted(g: TorchGraph, held: Held, shape: tuple[int, ...], axes: list[int]) -> Held:
    """Return a tensor with its dimensions counted in another order: nothing moves."""
    new = tuple(shape[a] for a in axes)
    counted = Held(held.name, tuple(axes.index(i) for i in held.order))
    usual = permuted(shape, held.order, axes)
    return Held(g.in_order(counted, new, usual), usual)


def _concatenate(g: TorchGraph, node: Any, parts: Any, axis: int = 0) -> Held:
    rank = len(g.shape(node))
    order = g.held(parts[0]).order
    names = [g.ordered(p, order) for p in parts]
    place = (order.index(axis % rank),)
    return Held(g.op(node, OpKind.CONCATENATION, names, memory(g.shape(node), order), axes=place), order)


def _pad(g: TorchGraph, node: Any, x: Any, pads: Any, mode: Any = "constant", value: Any = None) -> Held:
    if value is None and isinstance(mode, int | float):
        mode, value = "constant", mode
    held = g.held(x)
    sides = [(0, 0)] * len(held.order)
    for i in range(len(pads) // 2):
        sides[-1 - i] = (int(pads[2 * i]), int(pads[2 * i + 1]))
    if mode not in ("constant", "reflect") or min(min(s) for s in sides) < 0:
        raise g.fail(node, f"pads by {list(pads)} with {mode}: only with a number, or by reflection")
    places, shape = tuple(sides[i] for i in held.order), memory(g.shape(node), held.order)
    kind = OpKind.MIRROR_PAD if mode == "reflect" else OpKind.PAD
    fill = float(value) if value and kind is OpKind.PAD else None
    return Held(g.op(node, kind, (held.name,), shape, pads=places, fill=fill), held.order)


def _nearest(g: TorchGraph, node: Any, x: Any, *_: Any) -> str:
    shape = stored(g.shape(node))
    return g.op(node, OpKind.RESIZE_NEAREST_NEIGHBOR, (g.tensor(x),), shape, shape=shape)


def _bilinear(g: TorchGraph, node: Any, x: Any, size: Any, align: bool, *_: Any) -> str:
    shape = stored(g.shape(node))
    return g.op(
        node, OpKind.RESIZE_BILINEAR, (g.tensor(x),), shape,
        shape=shape, align_corners=bool(align), half_pixel_centers=not align,
    )  # fmt: skip


def _same(g: TorchGraph, node: Any, x: Any, *_: Any, **__: Any) -> Held:
    return g.held(x)


RULES: dict[str, Rule] = {
    **{name: _unary(kind) for kind in UNARY for name in NAMES[kind].torch},
    **curves.RULES,
    "gelu": _gelu, "prelu": _prelu, "_prelu_kernel": _prelu,
    "minimum": _binary(OpKind.MINIMUM), "maximum": _binary(OpKind.MAXIMUM), "div": _binary(OpKind.DIV),
    "div_": _binary(OpKind.DIV), "leaky_relu": _leaky_relu, "leaky_relu_": _leaky_relu,
    "conv1d": windows.convolution, "conv2d": windows.convolution, "linear": products.linear,
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm_frozen, "rsub": _reversed_sub, "neg": _negative,
    "reciprocal": _reciprocal, "pow": _power,
    "layer_norm": products.layer_norm, "group_norm": products.group_norm,
    "instance_norm": products.instance_norm,
    "hardtanh": _hard_tanh, "hardtanh_": _hard_tanh, "clamp": _clamp, "clamp_min": _clamp,
    "hardsigmoid": _hard_sigmoid, "silu": _silu, "silu_": _silu,
    "add": _binary(OpKind.ADD), "add_": _binary(OpKind.ADD), "sub": _binary(OpKind.SUB),
    "mul": _binary(OpKind.MUL), "mul_": _binary(OpKind.MUL),
    "mean.dim": _reduce(OpKind.MEAN), "sum.dim_IntList": _reduce(OpKind.SUM),
    "amax": _reduce(OpKind.REDUCE_MAX), "amin": _reduce(OpKind.REDUCE_MIN),
    "avg_pool1d": windows.average_pool, "avg_pool2d": windows.average_pool,
    "max_pool1d": windows.max_pool, "max_pool2d": windows.max_pool,
    "adaptive_avg_pool1d": windows.adaptive_pool,
    "adaptive_avg_pool2d": windows.adaptive_pool,
    "flatten": _reshape, "view": _reshape, "reshape": _reshape, "unflatten": _reshape,
    "squeeze": _reshape, "unsqueeze": _reshape, "permute": _permute, "transpose": _transpose, "t": _transpose,
    "cat": _concatenate,
    "slice": moves.cut, "select": moves.select, "split": moves.split, "split_with_sizes": moves.split,
    "chunk": moves.split, "unbind": moves.split,
    "<built-in function getitem>": moves.part, "repeat": moves.repeat, "expand": moves.expand,
    "flip": moves.flip, "index_select": moves.index_select, "pixel_shuffle": moves.pixel_shuffle,
    "pixel_unshuffle": moves.pixel_unshuffle, "stack": moves.stack,
    "softmax": products.softmax(OpKind.SOFTMAX), "log_softmax": products.softmax(OpKind.LOG_SOFTMAX),
    "matmul": products.matmul, "bmm": products.matmul, "scaled_dot_product_attention": products.attention,
    "conv_transpose1d": windows.transposed, "conv_transpose2d": windows.transposed,
    "pad": _pad, "constant_pad_nd": _pad,
    "upsample_nearest2d": _nearest, "upsample_bilinear2d": _bilinear,
    "dropout": _same, "dropout_": _same, "contiguous": _same, "clone": _same, "alias": _same,
    "detach": _same, "detach_": _same,
    "to": _same, "_to_copy": _same,
}  # fmt: skip
"""By operation, overload included or not."""
