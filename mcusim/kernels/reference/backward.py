"""Gradients of every op, slowly, in the order of summation that defines the result.

All sums are float32, every product and every addition rounded on its own. The gradient with respect to
an input sums taps in row-major order, and within a tap output channels ascending; gradients of weights
and biases sum output pixels ascending.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import QUANTISED, WEIGHTED, Arithmetic, Op, OpKind, OpTable
from mcusim.kernels.arrays import Array, StoreResult, Tensors, unpack
from mcusim.kernels.columns import of_outputs
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.reference.plain import PLAIN
from mcusim.kernels.reference.window import channel_groups, meeting
from mcusim.kernels.scales import gradient_factors, quant_of

F = np.float32
Floats = Array
Kernel = Callable[..., StoreResult]


def load(g: Array, scale: float, mask: NDArray[np.uint8] | None = None) -> Floats:
    """Return a stored gradient in real units, zero where the clamp acted."""
    real = g.astype(F) * F(scale)
    return np.where(unpack(mask, g.shape), real, F(0))


def store(values: Floats, g: Array, scale: float, accumulate: bool) -> StoreResult:
    """Store a gradient in the format of ``g``."""
    return ERRORS[g.dtype.name].store(values.reshape(g.shape), g, scale, accumulate)


def grad_input(op: Op, tensors: Tensors, arithmetic: Arithmetic, index: int = 0) -> Kernel:
    """Return the kernel of the gradient with respect to activation input ``index``."""
    compute = GRADIENTS.of(op)(op, tensors, index)

    def kernel(
        g_y: Array, g_y_scale: float, mask: NDArray[np.uint8] | None, inputs: tuple[Array, ...],
        g_x: Array, g_x_scale: float, accumulate: bool,
    ) -> StoreResult:  # fmt: skip
        return store(compute(load(g_y, g_y_scale, mask), inputs, g_x.shape), g_x, g_x_scale, accumulate)

    return kernel


def _weighted(op: Op, tensors: Tensors, index: int) -> Callable[..., Floats]:
    factors = gradient_factors(op, tensors)
    z_w = quant_of(tensors[op.inputs[1]]).zero_point if tensors[op.inputs[1]].dtype == "int8" else 0

    def compute(g: Floats, inputs: tuple[Array, ...], shape: tuple[int, ...]) -> Floats:
        weight = (inputs[0].astype(np.int64) - z_w).astype(F) if z_w else inputs[0].astype(F)
        ga = g * factors
        if op.kind is OpKind.FULLY_CONNECTED:
            ga = ga.reshape(-1, ga.shape[-1])
            g_x = np.zeros((len(ga), weight.shape[1]), F)
            for c in range(weight.shape[0]):
                g_x += ga[:, c, None] * weight[c]
            return g_x.reshape(shape)
        g_x = np.zeros(shape, F)
        for i, j, inside, outside in meeting(op, shape, ga.shape, weight.shape[1:3]):
            if op.kind is OpKind.DEPTHWISE_CONV_2D:
                multiplier = weight.shape[3] // shape[3]
                for m in range(multiplier):
                    g_x[inside] += (ga[outside] * weight[0, i, j])[..., m::multiplier]
                continue
            for read, written in channel_groups(shape[3], weight.shape):
                for c in range(written.start, written.stop):
                    g_x[inside][..., read] += ga[outside][..., c, None] * weight[c, i, j]
        return g_x

    return compute


def grad_bias(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[..., None]:
    """Return the kernel of the gradient with respect to the bias."""
    factors = gradient_factors(op, tensors)

    def kernel(g_y: Array, g_y_scale: float, mask: NDArray[np.uint8] | None, out: Floats) -> None:
        ga = load(g_y, g_y_scale, mask) * factors
        out.fill(0)
        for pixel in ga.reshape(-1, ga.shape[-1]):
            out += pixel

    return kernel


def grad_weight(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Callable[..., None]:
    """Return the kernel of the gradient with respect to the weights of selected input channels.

    With ``positions``, x holds only those pixels: every sum runs over the output pixels that meet one of
    them through the tap, and is then multiplied by H * W / kept.
    """
    factors = gradient_factors(op, tensors)
    given = tensors[op.inputs[0]]
    z_x = quant_of(given).zero_point if given.dtype in QUANTISED else 0

    def kernel(
        g_y: Array, g_y_scale: float, mask: NDArray[np.uint8] | None,
        x: Array, channels: NDArray[np.int32], out: Floats, positions: NDArray[np.int32] | None = None,
    ) -> None:  # fmt: skip
        ga = load(g_y, g_y_scale, mask) * factors
        values = x.astype(F) - F(z_x)
        out.fill(0)
        if op.kind is OpKind.FULLY_CONNECTED:
            for row, g in zip(
                values.reshape(-1, values.shape[-1]), ga.reshape(-1, ga.shape[-1]), strict=True
            ):
                out += row[:, None] * g
            return
        values, saved = _placed(values, positions, tensors[op.inputs[0]].shape)
        outputs = np.arange(ga.shape[3])
        own = of_outputs(op, outputs, tensors[op.inputs[1]].shape, channels, given.shape[-1])
        for i, j, inside, outside in meeting(op, values.shape, g_y.shape, out.shape[1:3]):
            met, g = values[inside].reshape(-1, len(channels)), ga[outside].reshape(-1, ga.shape[3])
            there = saved[inside].reshape(-1)
            met, g = met[there], g[there]
            for p, q in zip(met, g, strict=True):
                out[:, i, j] += p[:, None] * q[own]
        out *= F(saved.size / np.count_nonzero(saved))

    return kernel


def _placed(
    values: Floats, positions: NDArray[np.int32] | None, shape: tuple[int, ...]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return saved pixels [N, kept, n] in their places [N, H, W, n], and which places these are."""
    if positions is None:
        return values, np.ones(values.shape[:3], np.bool_)
    images, _, channels = values.shape
    placed = np.zeros((images, shape[1] * shape[2], channels), F)
    saved = np.zeros(placed.shape[:2], np.bool_)
    placed[:, positions], saved[:, positions] = values, True
    return placed.reshape(images, *shape[1:3], channels), saved.reshape(images, *shape[1:3])


GRADIENTS: OpTable[Callable[[Op, Tensors, int], Callable[..., Floats]]] = OpTable(
    "slow gradients of inputs",
    {**dict.fromkeys(WEIGHTED, _weighted), **PLAIN},
    absent={OpKind.ARG_MAX: "gives the number of the largest element, which has no gradient"},
    way_out="let only layers behind it learn",
)
