"""Resize: ONNX names a dozen grids, a graph here has three; equal grids are found by computing both.

Other grids are computed by ops that take or mix pixels one by one.

Formulas of the coordinates: https://onnx.ai/onnx/operators/onnx__Resize.html, in float32 as ONNX Runtime
takes them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.files.onnx.graph import NHWC, Const, OnnxGraph, Shape, Value, View, onnx_shape
from mcusim.files.onnx.proto import Node
from mcusim.files.onnx.windows import as_row, as_signal
from mcusim.graph import OpKind

MAX_SIDE = 2**15
Side = tuple[int, int, np.float32]
"""Pixels along one side before and after, and the factor between them."""
TOLERANCE = 1e-4
"""Pixels by which the places of a linear grid may differ: rounding of float32, far below one step of int8."""

GRIDS = ((False, False), (False, True), (True, False))
"""(align_corners, half_pixel_centers) of the ops of a graph."""


def resize(g: OnnxGraph, node: Node) -> Value:
    """Return the value behind a Resize node, or an Upsample of old files.

    Raises:
        BadModel: if the network is quantised and no op puts every output pixel where this node does.
    """
    if node.kind == "Upsample" or g.opset < 11:
        named = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        scales = node.inputs[1:2] if "scales" not in node.attributes else ()
        attributes = {**node.attributes, **named}
        node = replace(node, inputs=(*node.inputs[:1], "", *scales), attributes=attributes)
    x, mode = g.value(node, 0), node.attributes.get("mode", "nearest")
    shape = onnx_shape(g.shape(x))
    new, factors = _sizes(g, node, shape)
    signal = len(shape) == 3
    if signal:  # a picture of one row
        x = as_row(g, node, x)
        shape, new = ((*s[:2], 1, *s[2:]) for s in (shape, new))
        factors.insert(2, np.float32(1))
    if len(shape) != 4 or new[:2] != shape[:2] or mode not in ("nearest", "linear"):
        raise node.fail(f"resizes {shape} to {new}, {mode}", "supported: nearest and linear, over pixels")
    if not 1 <= min(new) <= max(new) <= MAX_SIDE:
        raise node.fail(f"resizes {shape} to {new}", f"sides lie between 1 and {MAX_SIDE:,}")
    if node.integer("antialias", 0):
        raise node.fail("smooths before it makes an image smaller (antialias)", "export it without")
    linear = mode == "linear"
    sides = [(shape[i], new[i], factors[i]) for i in (2, 3)]
    found = _by_grid(g, node, x, new, sides, linear)
    if found is None:
        found = _by_products(g, node, x, sides) if linear else _by_choice(g, node, x, sides)
    return as_signal(g, node, found) if signal else found


def _by_grid(g: OnnxGraph, node: Node, x: Value, new: Shape, sides: list[Side], linear: bool) -> Value | None:
    """Return the op whose grid is that of the node; None if there is none."""
    kind = OpKind.RESIZE_BILINEAR if linear else OpKind.RESIZE_NEAREST_NEIGHBOR
    for align, half in GRIDS:
        if all(_same_grid(node, side, linear, align, half) for side in sides):
            stored = tuple(new[i] for i in NHWC)
            return g.move(
                node, kind, x, suffix=".resized", shape=stored, align_corners=align, half_pixel_centers=half
            )
    return None


def _by_choice(g: OnnxGraph, node: Node, x: Value, sides: list[Side]) -> Value:
    """Return what takes the nearest pixels one by one, whatever the grid.

    Raises:
        BadModel: if rounding errors decide which pixel is nearest: runtimes differ there.
    """
    for axis, (source, target, scale) in enumerate(sides, 1):
        wanted = _onnx_places(node, source, target, scale)
        places, *around = (
            np.clip(_nearest(node, wanted + shift), 0, source - 1) for shift in (0, -TOLERANCE, TOLERANCE)
        )
        exact = float(scale).as_integer_ratio()[1] <= MAX_SIDE
        if not exact and not all(np.array_equal(places, others) for others in around):
            raise node.fail(
                f"takes pixels elsewhere by an error of rounding ({source} to {target})",
                "export it with another nearest_mode, or with asymmetric or half_pixel coordinates",
            )
        if not np.array_equal(places, np.arange(source)):
            indices = tuple(int(i) for i in places)
            x = g.move(node, OpKind.GATHER, x, suffix=f".side{axis}", axes=(axis,), indices=indices)
    return x


def _by_products(g: OnnxGraph, node: Node, x: Value, sides: list[Side]) -> Value:
    """Return what mixes the rows, then the columns, by two products of matrices, whatever the grid.

    Raises:
        BadModel: if the network is quantised: it does not say at what scale the rows are kept between.
    """
    if isinstance(x, View):
        way = node.attributes.get("coordinate_transformation_mode", "half_pixel")
        factors = tuple(round(float(side[2]), 4) for side in sides)
        raise node.fail(
            f"puts the pixels of {tuple(side[1] for side in sides)} elsewhere than any int8 resize of a "
            f"microcontroller ({way}, linear, factors {factors})",
            "export it with sizes instead of factors, or with asymmetric or half_pixel coordinates",
        )
    rows, columns = (Const(_mixture(node, side)) for side in sides)
    (batch, height, width, depth), new = g.shape(x), sides[0][1]
    x = g.move(node, OpKind.RESHAPE, x, suffix=".rows", shape=(batch, height, width * depth))
    x = g.settled(g.pend(node, OpKind.BATCH_MATMUL, [rows, x], suffix=".mixed"))
    x = g.move(node, OpKind.RESHAPE, x, suffix=".columns", shape=(batch, new, width, depth))
    return g.pend(node, OpKind.BATCH_MATMUL, [columns, x])


def _mixture(node: Node, side: Side) -> NDArray[np.float32]:
    """Return how much of each pixel of a side goes into each of the new ones: ``[after, before]``."""
    source, target, scale = side
    places = np.clip(_onnx_places(node, source, target, scale), 0, source - 1)
    first = np.floor(places).astype(int)
    found = np.zeros((target, source), np.float32)
    np.add.at(found, (np.arange(target), first), 1 - (places - first))
    np.add.at(found, (np.arange(target), np.minimum(first + 1, source - 1)), places - first)
    return found


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


def _same_grid(node: Node, side: Side, linear: bool, align: bool, half: bool) -> bool:
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
    x, centre = np.arange(target, dtype=np.float32), np.float32(0.5)
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
