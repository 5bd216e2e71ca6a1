"""Ops that move elements: most without changing them. They are as fast as numpy copies, and have no twin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.reference.rescale import FAR, half_away, store
from mcusim.kernels.scales import clamp_of, quant_of, scale_of

F = np.float32
Kernel = Callable[..., None]
Mask = NDArray[np.uint8] | None


def reshape(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of RESHAPE."""

    def kernel(inputs: tuple[Array, ...], output: Array, mask: Mask = None) -> None:
        np.copyto(output, inputs[0].reshape(output.shape))

    return kernel


def pad(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of PAD; it pads with the output's zero point unless the op says more."""
    y, nothing = tensors[op.output], op.attributes.fill
    if nothing is None:
        nothing = quant_of(y).zero_point if y.dtype == "int8" else 0
    inside = interior(op, tensors[op.inputs[0]].shape)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: Mask = None) -> None:
        output.fill(nothing)
        output[(slice(None), *inside[1:]) if not any(op.attributes.pads[0]) else inside] = inputs[0]

    return kernel


def interior(op: Op, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return where PAD puts its input."""
    return tuple(
        slice(before, before + size) for size, (before, _) in zip(shape, op.attributes.pads, strict=True)
    )


def concatenation(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of CONCATENATION."""
    y, axis = tensors[op.output], op.attributes.axes[0]
    low, high = clamp_of(op)

    def kernel(inputs: tuple[Array, ...], output: Array, mask: Mask = None) -> None:
        np.concatenate(inputs, axis=axis, out=output)
        for place, name, x in zip(parts(inputs, axis, output), op.inputs, inputs, strict=True):
            quant = tensors[name].quant
            if quant is None or quant.same_as(y.quant):
                continue
            # As TFLite's ConcatenationWithScaling: a float32 scale and bias an input, half away from zero.
            scale = F(scale_of(tensors[name])) * (F(1) / F(scale_of(y)))
            scaled = half_away(x.astype(F) * scale + F(-quant.zero_point) * scale)
            pre = np.clip(scaled, -FAR, FAR).astype(np.int64) + quant_of(y).zero_point
            store(pre, low, high, place, None)

    return kernel


def parts(inputs: tuple[Array, ...], axis: int, output: Array) -> list[Array]:
    """Return the views of ``output`` that belong to each input along ``axis``."""
    ends = np.cumsum([x.shape[axis] for x in inputs])[:-1]
    return list(np.split(output, ends, axis=axis))


def transpose(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of TRANSPOSE."""

    def kernel(inputs: tuple[Array, ...], output: Array, mask: Mask = None) -> None:
        np.copyto(output, inputs[0].transpose(op.attributes.axes))

    return kernel


def resize_nearest(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of RESIZE_NEAREST_NEIGHBOR."""

    def kernel(inputs: tuple[Array, ...], output: Array, mask: Mask = None) -> None:
        rows, columns = (nearest(op, i, inputs[0].shape[1 + i], output.shape[1 + i]) for i in (0, 1))
        np.copyto(output, inputs[0][:, rows[:, None], columns])

    return kernel


def nearest(op: Op, axis: int, size: int, new: int) -> Array:
    """Return the source of every output row (axis 0) or column (1), found in float32 as TFLite does."""
    a = op.attributes
    (size, new, low, first), count = a.part[axis] if a.part else (size, new, 0, 0), new
    aligned = a.align_corners and new > 1
    scale = F(size - 1) / F(new - 1) if aligned else F(size) / F(new)
    position = (np.arange(new, dtype=F) + F(0.5 if a.half_pixel_centers else 0)) * scale
    index = half_away(position) if a.align_corners else np.floor(position)
    return np.clip(index.astype(np.int64), 0, size - 1)[first : first + count] - low


def resize_bilinear(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of RESIZE_BILINEAR."""
    low, high = clamp_of(op)
    offset = 128 if op.attributes.unsigned else 0

    def kernel(inputs: tuple[Array, ...], output: Array, mask: Mask = None) -> None:
        x = inputs[0].astype(np.int64)
        total: Array = np.zeros(1, F if op.attributes.unsigned else np.int64)
        for rows, down in weights(op, 0, x.shape[1], output.shape[1]):
            for columns, across in weights(op, 1, x.shape[2], output.shape[2]):
                corner = x[:, rows[:, None], columns] + offset
                if op.attributes.unsigned:
                    corner = corner.astype(F)
                total = total + corner * down[:, None, None] * across[:, None]
        if op.attributes.unsigned:
            pre = (total + F(0.5)).astype(np.int64) - offset
        else:
            magnitude = (np.abs(total) + (1 << 19)) >> 20
            pre = np.where(total < 0, -magnitude, magnitude)
        store(pre, low, high, output, None)

    return kernel


def weights(op: Op, axis: int, size: int, new: int) -> list[tuple[Array, Array]]:
    """Return (lower index, its weight) and (upper index, its weight) of every output row (axis 0) or column.

    TFLite's int8 kernel works in units of 1/1024, its uint8 kernel in float32.
    """
    a = op.attributes
    (size, new, low, first), count = a.part[axis] if a.part else (size, new, 0, 0), new
    at = np.arange(first, first + count, dtype=np.int64)
    aligned = a.align_corners and new > 1
    if a.unsigned:
        scale = F(size - 1) / F(new - 1) if aligned else F(size) / F(new)
        place = (at.astype(F) + F(0.5)) * scale - F(0.5) if a.half_pixel_centers else at.astype(F) * scale
        lower = np.maximum(np.floor(place), 0).astype(np.int64)
        upper = np.minimum(np.ceil(place).astype(np.int64), size - 1)
        share = place - lower.astype(F)
        return [(lower - low, F(1) - share), (upper - low, share)]
    step = (1024 * (size - 1) + (new - 1) // 2) // (new - 1) if aligned else (1024 * size + new // 2) // new
    fixed = at * step + (step // 2 - 512 if a.half_pixel_centers else 0)
    # C's division truncates toward zero; before the first centre both indices are 0.
    lower = np.maximum(np.trunc(fixed / 1024).astype(np.int64), 0)
    upper = np.minimum(np.trunc((fixed + 1023) / 1024).astype(np.int64), size - 1)
    share = fixed - 1024 * lower
    return [(lower - low, 1024 - share), (upper - low, share)]


def sources(op: Op, axis: int, size: int, new: int) -> tuple[Array, Array]:
    """Return the lowest and the highest input index that every output row (axis 0) or column (1) reads."""
    if op.kind is OpKind.RESIZE_NEAREST_NEIGHBOR:
        index = nearest(op, axis, size, new)
        return index, index
    (lower, _), (upper, _) = weights(op, axis, size, new)
    return lower, upper


def arg_max(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> Kernel:
    """Return the kernel of ARG_MAX."""

    def kernel(inputs: tuple[Array, ...], output: Array, mask: Mask = None) -> None:
        output[...] = inputs[0].argmax(op.attributes.axes[0]).reshape(output.shape)

    return kernel
