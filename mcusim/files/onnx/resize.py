"""Resize: ONNX names a dozen grids, a graph here has three; equal grids are found by computing both.

Formulas of the coordinates: https://onnx.ai/onnx/operators/onnx__Resize.html, in float32 as ONNX Runtime
takes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.files.onnx.graph import NHWC, OnnxGraph, Shape, Value, onnx_shape
from mcusim.files.onnx.proto import Node
from mcusim.graph import OpKind

MAX_SIDE = 2**15
TOLERANCE = 1e-4
"""Pixels by which the places of a linear grid may differ: rounding of float32, far below one step of int8."""

GRIDS = ((False, False), (False, True), (True, False))
"""(align_corners, half_pixel_centers) of the ops of a graph."""


def resize(g: OnnxGraph, node: Node) -> Value:
    """Return the value behind a Resize node.

    Raises:
        BadModel: if no op of a graph puts every output pixel where this node does.
    """
    x, mode = g.value(node, 0), node.attributes.get("mode", "nearest")
    shape = onnx_shape(g.shape(x))
    new, scales = _sizes(g, node, shape)
    if len(shape) != 4 or new[:2] != shape[:2] or mode not in ("nearest", "linear"):
        raise node.fail(f"resizes {shape} to {new}, {mode}", "supported: nearest and linear, over pixels")
    if not 1 <= min(new) <= max(new) <= MAX_SIDE:
        raise node.fail(f"resizes {shape} to {new}", f"sides lie between 1 and {MAX_SIDE:,}")
    if node.integer("antialias", 0):
        raise node.fail("smooths before it makes an image smaller (antialias)", "export it without")
    linear = mode == "linear"
    sides = [(shape[i], new[i], scales[i]) for i in (2, 3)]
    for align, half in GRIDS:
        if all(_same_grid(node, side, linear, align, half) for side in sides):
            kind = OpKind.RESIZE_BILINEAR if linear else OpKind.RESIZE_NEAREST_NEIGHBOR
            stored = tuple(new[i] for i in NHWC)
            return g.move(node, kind, x, shape=stored, align_corners=align, half_pixel_centers=half)
    way = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    rounding = "" if linear else f" {node.attributes.get('nearest_mode', 'round_prefer_floor')}"
    factors = tuple(round(float(s), 4) for s in scales[2:])
    raise node.fail(
        f"puts the pixels of {new} elsewhere than any resize of a microcontroller ({way}, {mode}{rounding}, "
        f"factors {factors})",
        "export it with sizes instead of factors, or with asymmetric or half_pixel coordinates",
    )


def _sizes(g: OnnxGraph, node: Node, shape: Shape) -> tuple[Shape, list[np.float32]]:
    """Return the new shape and the factor of each dimension."""
    scales, sizes = g.constant(node, 2), g.constant(node, 3)
    given = sizes if sizes is not None and sizes.data.size else scales
    axes = node.axes(node.integers("axes", tuple(range(len(shape)))), len(shape))
    if given is None or given.data.size != len(axes) or not np.isfinite(given.real).all():
        raise node.fail("has neither sizes nor scales that are constant")
    if node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.fail("keeps the aspect ratio", "export it with the sizes that come out")
    new, factors = list(shape), [np.float32(1)] * len(shape)
    for axis, value in zip(axes, given.real.reshape(-1), strict=True):
        if given is sizes:
            new[axis], factors[axis] = int(value), np.float32(value) / np.float32(shape[axis])
        else:
            new[axis] = int(np.clip(np.floor(np.float32(shape[axis]) * value), 0, 2 * MAX_SIDE))
            factors[axis] = value
    return tuple(new), factors


def _same_grid(node: Node, side: tuple[int, int, np.float32], linear: bool, align: bool, half: bool) -> bool:
    """Return True if the node and an op with these attributes read the same places of one side."""
    source, target, scale = side
    wanted = _onnx_places(node, source, target, scale)
    place = np.arange(target)
    stretch = (source - 1) / (target - 1) if align and target > 1 else source / target
    if linear:
        found = (place + 0.5) * stretch - 0.5 if half else place * stretch
        difference = np.clip(found, 0, source - 1) - np.clip(wanted, 0, source - 1)
        return bool(np.abs(difference).max() < TOLERANCE)
    found = (place + 0.5) * stretch if half else place * stretch
    found = np.floor(found + 0.5) if align else np.floor(found)
    return bool((np.minimum(found, source - 1) == np.clip(_nearest(node, wanted), 0, source - 1)).all())


def _onnx_places(node: Node, source: int, target: int, scale: np.float32) -> NDArray[Any]:
    x = np.arange(target, dtype=np.float32)
    centre = np.float32(0.5)
    way = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    match way:
        case "pytorch_half_pixel" if target == 1:
            return np.zeros(1, np.float32)
        case "half_pixel" | "pytorch_half_pixel":
            return (x + centre) / scale - centre
        case "half_pixel_symmetric":
            whole = np.float32(target) / (scale * np.float32(source))
            return np.float32(source / 2) * (1 - whole) + (x + centre) / scale - centre
        case "asymmetric":
            return x / scale
        case "tf_half_pixel_for_nn":
            return (x + centre) / scale
        case "align_corners":
            return x * np.float32(source - 1) / np.float32(max(target - 1, 1))
    raise node.fail(
        f"has the coordinates {way}", "supported: half_pixel, asymmetric, align_corners and alike"
    )


def _nearest(node: Node, places: NDArray[Any]) -> NDArray[Any]:
    rounding = node.attributes.get("nearest_mode", "round_prefer_floor")
    match rounding:
        case "floor":
            return np.asarray(np.floor(places))
        case "ceil":
            return np.asarray(np.ceil(places))
        case "round_prefer_floor":
            return np.asarray(np.ceil(places - np.float32(0.5)))
        case "round_prefer_ceil":
            return np.asarray(np.floor(places + np.float32(0.5)))
    raise node.fail(f"rounds to the nearest pixel by {rounding}")
