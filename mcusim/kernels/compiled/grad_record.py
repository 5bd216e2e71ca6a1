"""What the backward kernels of weighted ops share: the record they read, and its geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.compiled.prepared import (
    Prepared,
    Workspace,
    address_of,
    aligned,
    check,
    check_mask,
    check_shape,
)
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.scales import gradient_factors, quant_of
from mcusim.kernels.vector.tiles import SUMS

FIELDS = (
    "g", "g_format", "mask", "mask_bytes", "factor", "workspace",
    # Where the gradient of the bias goes if it is summed in the same pass, and where it grows.
    "bias", "bias_sums",
    "weight", "weight_float", "g_x", "g_x_format",
    # Weights as the kernels of input gradients convert them, and of learning ones those they were made of.
    "floats", "known",
    # Saved features of the selected input channels, which those are, and where the gradient goes.
    "x", "x_float", "channels", "selected", "out",
    "z_x", "z_w", "n", "h", "w", "c_in", "oh", "ow", "c_out", "kh", "kw", "multiplier",
    "stride_h", "stride_w", "dilation_h", "dilation_w", "top", "left",
    # A plane with a border of zeros: rows and columns before, and in all.
    "before_h", "before_w", "plane_h", "plane_w",
    # Which of how many pixels of an image were saved, and whether the plane holds them in their places.
    "positions", "kept", "pixels", "placed",
    # The input's gradient grows over the output's, so nothing is read before it is needed: rows, or pixels.
    "rows",
    # Every output pixel meets the one saved pixel at its place.
    "pointwise",
)  # fmt: skip
RECORD = np.dtype([(name, np.int64) for name in FIELDS])
ROW_BY_ROW, PIXEL_BY_PIXEL = 1, 2
"""What ``rows`` says."""


class Gradient(Prepared):
    """Base of the backward kernels of weighted ops."""

    def __init__(self, op: Op, tensors: Tensors, workspace: Workspace | None) -> None:
        super().__init__()
        self.op, self.workspace = op, Workspace() if workspace is None else workspace
        self.name = f"op {op.name!r}"
        x, weight = tensors[op.inputs[0]], tensors[op.inputs[1]]
        self.weight_shape, self.weight_dtype = weight.shape, weight.dtype
        self.x_shape, self.x_dtype = x.shape, x.dtype
        a, r = op.attributes, np.zeros(1, RECORD)
        self._constants = r
        if op.kind is OpKind.FULLY_CONNECTED:
            r["c_out"], r["c_in"] = weight.shape
            r["kh"] = r["kw"] = r["stride_h"] = r["stride_w"] = r["dilation_h"] = r["dilation_w"] = 1
        else:
            depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
            r["c_out"], r["c_in"] = weight.shape[3 if depthwise else 0], x.shape[3]
            r["kh"], r["kw"] = weight.shape[1:3]
            r["stride_h"], r["stride_w"] = a.stride
            r["dilation_h"], r["dilation_w"] = a.dilation
            r["top"], r["left"] = a.padding[0][0], a.padding[1][0]
        r["multiplier"] = r["c_out"] // r["c_in"]
        r["kept"] = r["pixels"] = 1
        r["z_x"] = quant_of(x).zero_point if x.dtype == "int8" else 0
        r["z_w"] = quant_of(weight).zero_point if weight.dtype == "int8" else 0
        r["weight_float"], r["x_float"] = weight.dtype == "float32", x.dtype == "float32"
        factors = gradient_factors(op, tensors)
        self._factor = np.zeros(aligned(4 * factors.size) // 4, np.float32)
        self._factor[: factors.size] = factors
        r["factor"], r["workspace"] = address_of(self._factor), address_of(self.workspace.cell)

    def _start(self, g: Array, mask: Array | None) -> tuple[NDArray[Any], Any]:
        """Return a copy of the record with the output's gradient and mask."""
        record = self._constants.copy()
        r = record[0]
        if str(g.dtype) not in ERRORS:
            raise BadArgument(f"gradient of {self.name}", f"is {g.dtype}", f"use {', '.join(ERRORS)}")
        check(f"gradient of {self.name}", g, str(g.dtype))
        if g.size % int(r["c_out"]):
            raise BadArgument(f"gradient of {self.name}", f"has shape {g.shape}, not {r['c_out']} channels")
        r["g"], r["mask"] = address_of(g), address_of(mask)
        r["g_format"] = ERRORS[str(g.dtype)].compiled()
        if mask is not None:
            check_mask(self.name, mask, g)
            r["mask_bytes"] = mask.size
        return record, r

    def _set_sizes(self, r: Any, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> None:
        """Set the spatial sizes; what needs no window becomes one long row of pixels."""
        if self.op.kind is OpKind.FULLY_CONNECTED:
            r["n"], r["h"], r["oh"], r["w"] = 1, 1, 1, int(np.prod(y_shape)) // int(r["c_out"])
            r["ow"] = r["w"]
            return
        if len(x_shape) != 4 or len(y_shape) != 4 or x_shape[0] != y_shape[0]:
            raise BadArgument(f"gradients of {self.name}", f"have shapes {x_shape} and {y_shape}")
        r["n"], r["h"], r["w"] = x_shape[:3]
        r["oh"], r["ow"] = y_shape[1:3]
        if self._pointwise(r, x_shape, y_shape):
            r["rows"] *= PIXEL_BY_PIXEL
            r["w"] = r["ow"] = int(np.prod(x_shape[:3]))
            r["n"] = r["h"] = r["oh"] = 1

    @staticmethod
    def _pointwise(r: Any, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> bool:
        """True if every output pixel meets the one input pixel at its place."""
        window = r["kh"] * r["kw"] * r["stride_h"] * r["stride_w"]
        return bool(x_shape[:3] == y_shape[:3] and window == 1)

    def _set_pixels(self, r: Any, x: Array, y: Array, positions: NDArray[np.int32] | None) -> None:
        """Set the spatial sizes where only the pixels at ``positions`` of the op's input were saved.

        A pointwise op meets each of them with the output pixel at the same place; an op with a window
        needs them in their places, with zeros between them.
        """
        if positions is None:
            self._set_sizes(r, x.shape, y.shape)
            return
        what, kept = f"positions of {self.name}", positions.size
        check(what, positions, "int32")
        if self.op.kind is OpKind.FULLY_CONNECTED or positions.ndim != 1 or not kept:
            raise BadArgument(what, f"have shape {positions.shape}", "give one or more, of a convolution")
        check_shape(f"features of {self.name}", x, (len(x), kept, x.shape[-1]))
        height, width = self.x_shape[1:3]
        self._set_sizes(r, (len(x), height, width, x.shape[-1]), y.shape)
        r["positions"], r["kept"], r["pixels"] = address_of(positions), kept, height * width
        r["placed"] = not self._pointwise(r, (len(x), height, width), y.shape)
        if not r["placed"]:
            r["n"], r["w"], r["ow"] = len(x), kept, kept

    def _frame_outputs(self, r: Any) -> None:
        """Frame the plane of output pixels so that every tap of every input pixel falls into it."""
        for d, k, edge in (("h", "kh", "top"), ("w", "kw", "left")):
            stride, reach = int(r[f"stride_{d}"]), (int(r[k]) - 1) * int(r[f"dilation_{d}"])
            before = max(0, -(-(reach - int(r[edge])) // stride))
            last = max((int(r[d]) - 1 + int(r[edge])) // stride, int(r[f"o{d}"]) - 1)
            r[f"before_{d}"], r[f"plane_{d}"] = before, before + last + 1

    def _frame_inputs(self, r: Any) -> None:
        """Frame the plane of input pixels so that every tap of every output pixel falls into it."""
        for d, k, edge in (("h", "kh", "top"), ("w", "kw", "left")):
            reach = (int(r[k]) - 1) * int(r[f"dilation_{d}"])
            last = (int(r[f"o{d}"]) - 1) * int(r[f"stride_{d}"]) + reach
            r[f"before_{d}"] = r[edge]
            r[f"plane_{d}"] = max(last + 1, int(r[edge]) + int(r[d]))


def tile_rows(count: int) -> int:
    """Return ``count`` rows plus those that an incomplete last tile reads beyond them."""
    return count + SUMS
