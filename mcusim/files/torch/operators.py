"""What each operation of PyTorch's exported graphs becomes. Rules get the graph, the node, its arguments."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from mcusim.files.names import NAMES
from mcusim.files.torch import moves
from mcusim.files.torch.graph import NHWC, TorchGraph, stored
from mcusim.graph import TRAITS, OpKind
from mcusim.graph.traits import CLAMPS, UNARY


def _pair(value: Any) -> tuple[int, int]:
    values = [value, value] if isinstance(value, int) else list(value)
    return (int(values[0]), int(values[-1]))


def _pads(value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    vertical, horizontal = _pair(value)
    return ((vertical, vertical), (horizontal, horizontal))


def _conv(
    g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> str:  # fmt: skip
    if weight not in g.arrays or isinstance(padding, str):
        raise g.fail(node, "its weight is computed or its padding is a word")
    w, channels = g.arrays[weight].astype(np.float32), g.shape(x)[1]
    depthwise = groups == channels and groups > 1
    if groups != 1 and not depthwise:
        raise g.fail(node, f"has {groups} groups for {channels} channels: only 1 or one a channel")
    # OIHW to OHWI; depthwise (C, 1, kh, kw) to (1, kh, kw, C).
    w = w.transpose(1, 2, 3, 0) if depthwise else w.transpose(0, 2, 3, 1)
    inputs = [g.tensor(x), g.build.constant(g.free(f"{weight.name}"), np.ascontiguousarray(w))]
    if bias is not None:
        inputs.append(g.build.constant(g.free(bias.name), g.arrays[bias].astype(np.float32)))
    kind = OpKind.DEPTHWISE_CONV_2D if depthwise else OpKind.CONV_2D
    return g.op(
        node, kind, inputs, stored(g.shape(node)),
        stride=_pair(stride), padding=_pads(padding), dilation=_pair(dilation),
    )  # fmt: skip


def _linear(g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any = None) -> str:
    if weight not in g.arrays or len(g.shape(x)) != 2:
        raise g.fail(node, "its weight is computed or its input is no list of vectors")
    inputs = [g.tensor(x), g.build.constant(g.free(weight.name), g.arrays[weight].astype(np.float32))]
    if bias is not None:
        inputs.append(g.build.constant(g.free(bias.name), g.arrays[bias].astype(np.float32)))
    return g.op(node, OpKind.FULLY_CONNECTED, inputs, g.shape(node))


def _batch_norm(
    g: TorchGraph, node: Any, x: Any, weight: Any, bias: Any, mean: Any, variance: Any,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, *_: Any,
) -> str:  # fmt: skip
    if training:
        raise g.fail(node, "is in training mode: call module.eval() first")
    scale = 1 / np.sqrt(g.arrays[variance].astype(np.float64) + eps)
    if weight is not None:
        scale = scale * g.arrays[weight]
    shift = -g.arrays[mean] * scale + (0 if bias is None else g.arrays[bias])
    shape = stored(g.shape(node))
    factor = g.build.constant(g.free(f"{node.name}.scale"), scale.astype(np.float32))
    scaled = g.op(node, OpKind.MUL, (g.tensor(x), factor), shape, suffix=".scaled")
    offset = g.build.constant(g.free(f"{node.name}.shift"), shift.astype(np.float32))
    return g.op(node, OpKind.ADD, (scaled, offset), shape)


def _unary(kind: OpKind) -> Callable[..., str]:
    def rule(g: TorchGraph, node: Any, x: Any, *_: Any) -> str:
        return g.op(node, kind, (g.tensor(x),), stored(g.shape(node)))

    return rule


def _leaky_relu(g: TorchGraph, node: Any, x: Any, slope: Any = 0.01, *_: Any) -> str:
    return g.op(node, OpKind.LEAKY_RELU, (g.tensor(x),), stored(g.shape(node)), alpha=float(slope))


def _elu(g: TorchGraph, node: Any, x: Any, alpha: Any = 1, scale: Any = 1, slope: Any = 1) -> str:
    if (alpha, scale, slope) != (1, 1, 1):
        raise g.fail(node, f"is scaled by {alpha}, {scale}, {slope}: only by 1")
    return _unary(OpKind.ELU)(g, node, x)


def _gelu(g: TorchGraph, node: Any, x: Any, *, approximate: str = "none") -> str:
    shape = stored(g.shape(node))
    return g.op(node, OpKind.GELU, (g.tensor(x),), shape, approximate=approximate == "tanh")


def _prelu(g: TorchGraph, node: Any, x: Any, slopes: Any) -> str:
    shape, values = g.shape(x), g.arrays.get(slopes)
    if values is None:
        raise g.fail(node, "its slopes are computed")
    # Channels are dimension 1; only images are stored with them last.
    along = (-1,) if len(shape) in (2, 4) else (-1, *(1,) * (len(shape) - 2))
    constant = g.build.constant(g.free(slopes.name), values.astype(np.float32).reshape(along))
    return g.op(node, OpKind.PRELU, (g.tensor(x), constant), stored(g.shape(node)))


def _clamp(g: TorchGraph, node: Any, x: Any, low: Any = None, high: Any = None) -> str:
    bounds = (-inf if low is None else float(low), inf if high is None else float(high))
    kinds = {TRAITS[kind].activation: kind for kind in CLAMPS}
    if bounds not in kinds:
        known = ", ".join(str(known) for known in kinds)
        raise g.fail(node, f"clamps to {bounds}: only to {known}")
    return _unary(kinds[bounds])(g, node, x)


def _hard_tanh(g: TorchGraph, node: Any, x: Any, low: Any = -1, high: Any = 1) -> str:
    return _clamp(g, node, x, low, high)


def _hard_sigmoid(g: TorchGraph, node: Any, x: Any) -> str:
    shape = stored(g.shape(node))
    three = g.constant(f"{node.name}.three", np.full(1, 3))
    moved = g.op(node, OpKind.ADD, (g.tensor(x), three), shape, suffix=".moved")
    clamped = g.op(node, OpKind.RELU6, (moved,), shape, suffix=".clamped")
    sixth = g.constant(f"{node.name}.sixth", np.full(1, 1 / 6))
    return g.op(node, OpKind.MUL, (clamped, sixth), shape)


def _silu(g: TorchGraph, node: Any, x: Any) -> str:
    shape = stored(g.shape(node))
    gate = g.op(node, OpKind.LOGISTIC, (g.tensor(x),), shape, suffix=".gate")
    return g.op(node, OpKind.MUL, (g.tensor(x), gate), shape)


def _binary(kind: OpKind) -> Callable[..., str]:
    def rule(g: TorchGraph, node: Any, a: Any, b: Any, *, alpha: float = 1) -> str:
        if alpha != 1:
            raise g.fail(node, f"has alpha {alpha}")
        operands = [
            g.constant(f"{node.name}.value", np.full(1, o)) if isinstance(o, int | float) else g.tensor(o)
            for o in (a, b)
        ]
        return g.op(node, kind, operands, stored(g.shape(node)))

    return rule


def _mean(g: TorchGraph, node: Any, x: Any, axes: Any, keepdim: bool = False, **_: Any) -> str:
    rank = len(g.shape(x))
    chosen = sorted(a % rank for a in axes)
    if rank == 4 and len(g.shape(node)) not in (4, 2):
        raise g.fail(node, f"reduces {g.shape(x)} to {g.shape(node)}")
    if rank == 4 and len(g.shape(node)) == 2 and chosen != [2, 3]:
        raise g.fail(node, f"reduces dimensions {chosen} and drops them")
    places = tuple(sorted(NHWC.index(a) for a in chosen)) if rank == 4 else tuple(chosen)
    return g.op(node, OpKind.MEAN, (g.tensor(x),), stored(g.shape(node)), axes=places)


def _global_pool(g: TorchGraph, node: Any, x: Any, size: Any) -> str:
    if _pair(size) != (1, 1):
        raise g.fail(node, f"pools to {_pair(size)}: only to (1, 1)")
    return g.op(node, OpKind.MEAN, (g.tensor(x),), stored(g.shape(node)), axes=(1, 2))


def _average_pool(
    g: TorchGraph, node: Any, x: Any, kernel: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor: int | None = None,
) -> str:  # fmt: skip
    if ceil_mode or divisor or (count_include_pad and _pair(padding) != (0, 0)):
        raise g.fail(node, "rounds up, counts its padding or has its own divisor")
    return g.op(
        node, OpKind.AVERAGE_POOL_2D, (g.tensor(x),), stored(g.shape(node)),
        kernel=_pair(kernel), stride=_pair(stride or kernel), padding=_pads(padding),
    )  # fmt: skip


def _max_pool(
    g: TorchGraph, node: Any, x: Any, kernel: Any, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False,
) -> str:  # fmt: skip
    if ceil_mode or _pair(dilation) != (1, 1):
        raise g.fail(node, "rounds up or is dilated")
    return g.op(
        node, OpKind.MAX_POOL_2D, (g.tensor(x),), stored(g.shape(node)),
        kernel=_pair(kernel), stride=_pair(stride or kernel), padding=_pads(padding),
    )  # fmt: skip


def _reshape(g: TorchGraph, node: Any, x: Any, *_: Any) -> str:
    return g.reshaped(node, g.tensor(x), g.shape(x), g.shape(node))


def _permute(g: TorchGraph, node: Any, x: Any, order: Any) -> str:
    axes: tuple[int, ...] = tuple(int(a) % len(order) for a in order)
    if len(axes) == 4:
        axes = tuple(NHWC.index(axes[NHWC[i]]) for i in range(4))
    return g.op(node, OpKind.TRANSPOSE, (g.tensor(x),), stored(g.shape(node)), axes=axes)


def _concatenate(g: TorchGraph, node: Any, parts: Any, axis: int = 0) -> str:
    rank = len(g.shape(node))
    place = NHWC.index(axis % rank) if rank == 4 else axis % rank
    return g.op(
        node, OpKind.CONCATENATION, [g.tensor(p) for p in parts], stored(g.shape(node)), axes=(place,)
    )


def _softmax(g: TorchGraph, node: Any, x: Any, axis: int, *_: Any) -> str:
    rank = len(g.shape(node))
    if rank == 4 or axis % rank != rank - 1:
        raise g.fail(node, f"works along dimension {axis}: only along the last of a list of vectors")
    return g.op(node, OpKind.SOFTMAX, (g.tensor(x),), g.shape(node))


def _pad(g: TorchGraph, node: Any, x: Any, pads: Any, mode: Any = "constant", value: Any = None) -> str:
    if value is None and isinstance(mode, int | float):
        mode, value = "constant", mode
    sides = [(0, 0)] * len(g.shape(x))
    for i in range(len(pads) // 2):
        sides[-1 - i] = (int(pads[2 * i]), int(pads[2 * i + 1]))
    if mode not in ("constant", "reflect") or min(min(s) for s in sides) < 0:
        raise g.fail(node, f"pads by {list(pads)} with {mode}: only with a number, or by reflection")
    places = tuple(sides[i] for i in NHWC) if len(sides) == 4 else tuple(sides)
    if mode == "reflect":
        return g.op(node, OpKind.MIRROR_PAD, (g.tensor(x),), stored(g.shape(node)), pads=places)
    if value:
        shape = stored(g.shape(node))
        return g.op(node, OpKind.PAD, (g.tensor(x),), shape, pads=places, fill=float(value))
    return g.op(node, OpKind.PAD, (g.tensor(x),), stored(g.shape(node)), pads=places)


def _nearest(g: TorchGraph, node: Any, x: Any, *_: Any) -> str:
    shape = stored(g.shape(node))
    return g.op(node, OpKind.RESIZE_NEAREST_NEIGHBOR, (g.tensor(x),), shape, shape=shape)


def _bilinear(g: TorchGraph, node: Any, x: Any, size: Any, align: bool, *_: Any) -> str:
    shape = stored(g.shape(node))
    return g.op(
        node, OpKind.RESIZE_BILINEAR, (g.tensor(x),), shape,
        shape=shape, align_corners=bool(align), half_pixel_centers=not align,
    )  # fmt: skip


def _same(g: TorchGraph, node: Any, x: Any, *_: Any, **__: Any) -> str:
    return g.tensor(x)


RULES: dict[str, Callable[..., str]] = {
    **{name: _unary(kind) for kind in UNARY for name in NAMES[kind].torch},
    "elu": _elu, "elu_": _elu, "gelu": _gelu, "prelu": _prelu, "_prelu_kernel": _prelu,
    "minimum": _binary(OpKind.MINIMUM), "maximum": _binary(OpKind.MAXIMUM), "div": _binary(OpKind.DIV),
    "div_": _binary(OpKind.DIV), "leaky_relu": _leaky_relu, "leaky_relu_": _leaky_relu,
    "conv2d": _conv, "linear": _linear, "batch_norm": _batch_norm,
    "hardtanh": _hard_tanh, "hardtanh_": _hard_tanh, "clamp": _clamp, "clamp_min": _clamp,
    "hardsigmoid": _hard_sigmoid, "silu": _silu, "silu_": _silu,
    "add": _binary(OpKind.ADD), "add_": _binary(OpKind.ADD), "sub": _binary(OpKind.SUB),
    "mul": _binary(OpKind.MUL), "mul_": _binary(OpKind.MUL),
    "mean.dim": _mean, "adaptive_avg_pool2d": _global_pool, "avg_pool2d": _average_pool,
    "max_pool2d": _max_pool, "flatten": _reshape, "view": _reshape, "reshape": _reshape,
    "squeeze": _reshape, "unsqueeze": _reshape, "permute": _permute, "cat": _concatenate,
    "slice": moves.cut, "select": moves.select, "split": moves.split, "split_with_sizes": moves.split,
    "chunk": moves.split,
    "<built-in function getitem>": moves.part, "repeat": moves.repeat, "expand": moves.expand,
    "flip": moves.flip, "index_select": moves.index_select, "pixel_shuffle": moves.pixel_shuffle,
    "pixel_unshuffle": moves.pixel_unshuffle, "stack": moves.stack, "softmax": _softmax,
    "pad": _pad, "constant_pad_nd": _pad,
    "upsample_nearest2d": _nearest, "upsample_bilinear2d": _bilinear,
    "dropout": _same, "dropout_": _same, "contiguous": _same, "clone": _same, "alias": _same,
    "detach": _same, "to": _same, "_to_copy": _same,
}  # fmt: skip
"""By operation, overload included or not."""
