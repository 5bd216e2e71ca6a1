"""Gradients with respect to the weights of convolutions in groups, and of transposed ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.graph import Op, OpKind
from mcusim.kernels.arrays import Array, Tensors
from mcusim.kernels.columns import groups
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.errors import load_row
from mcusim.kernels.compiled.grad_record import RECORD, Gradient
from mcusim.kernels.compiled.prepared import (
    Workspace,
    address_of,
    aligned,
    array_at,
    check,
    check_shape,
    exist,
    record_at,
)
from mcusim.kernels.vector import simd


@compiled
def grad_weight_filter(address, scale):  # type: ignore[no-untyped-def]
    """Channel by channel: pixels ascending, and in each all outputs of the channel's group.

    ``multiplier`` holds the outputs of a group, ``plane_h`` its input channels; ``plane_w`` is 1 if every
    input is spread over outputs, transposed, and not gathered by them. False if a channel does not exist.
    """
    a = record_at(address, RECORD)
    if not exist(a.channels, a.selected, a.c_in):
        return False
    rows = simd.int64_at(a.workspace)
    wide = a.c_out + (-a.c_out & 15)
    each, taps, depth = a.multiplier, a.kh * a.kw, a.plane_h
    for pixel in range(a.n * a.oh * a.ow):
        load_row(a, scale, pixel, rows + pixel * wide * 4)
    errors = array_at(rows, a.n * a.oh * a.ow * wide, np.float32)
    channels = array_at(a.channels, a.selected, np.int32)
    out = array_at(a.out, a.selected * taps * each, np.float32)
    stored = a.n * a.h * a.w * a.selected
    integers, reals = array_at(a.x, stored, np.int8), array_at(a.x, stored, np.float32)
    for at in range(a.selected * taps * each):
        out[at] = 0
    # Fields are read once: the compiler must assume that every store may change a record.
    spread, selected, kw, images, real = a.plane_w != 0, a.selected, a.kw, a.n, a.x_float != 0
    zero, stride_h, stride_w = np.float32(a.z_x), a.stride_h, a.stride_w
    # Each tap meets its pixels in the order of the outputs, which is that of the inputs too.
    rows_of, columns_of = (a.h, a.w) if spread else (a.oh, a.ow)
    high, broad = (a.oh, a.ow) if spread else (a.h, a.w)
    for s in range(selected):
        first = channels[s] // depth * each
        for tap in range(taps):
            to = (s * taps + tap) * each
            down, across = tap // kw * a.dilation_h - a.top, tap % kw * a.dilation_w - a.left
            for image in range(images):
                for i in range(rows_of):
                    y = i * stride_h + down
                    if y < 0 or y >= high:
                        continue
                    for j in range(columns_of):
                        x = j * stride_w + across
                        if x < 0 or x >= broad:
                            continue
                        mine = (image * rows_of + i) * columns_of + j
                        other = (image * high + y) * broad + x
                        pixel, error = (mine, other) if spread else (other, mine)
                        at = pixel * selected + s
                        value = reals[at] if real else np.float32(integers[at]) - zero
                        g = error * wide + first
                        for o in range(each):
                            out[to + o] += value * errors[g + o]
    return True


class GradFilter(Gradient):
    """Kernel of the weights of selected input channels; see ``backward.grad_weight``."""

    def __init__(self, op: Op, tensors: Tensors, workspace: Workspace | None) -> None:
        super().__init__(op, tensors, workspace)
        r, count = self._constants[0], groups(op, tensors)
        r["multiplier"], r["plane_h"] = int(r["c_out"]) // count, int(r["c_in"]) // count
        r["plane_w"] = op.kind is OpKind.TRANSPOSE_CONV

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        g_y, mask, x, channels, out, _ = buffers
        record, r = self._start(g_y, mask)
        count, what = channels.size, f"weight gradient of {self.name}"
        check(f"features of {self.name}", x, self.x_dtype)
        check(f"channels of {self.name}", channels, "int32")
        check(what, out, "float32")
        check_shape(what, out, (count, int(r["kh"]), int(r["kw"]), int(r["multiplier"])))
        if count == 0 or x.ndim != 4 or g_y.ndim != 4 or x.shape[-1] != count or len(x) != len(g_y):
            raise BadArgument(what, f"has {count} channels and features of shape {x.shape}")
        (r["n"], r["h"], r["w"]), (r["oh"], r["ow"]) = x.shape[:3], g_y.shape[1:3]
        r["x"], r["channels"], r["selected"], r["out"] = (
            *map(address_of, (x, channels)),
            count,
            address_of(out),
        )
        self.workspace.reserve(int(r["n"] * r["oh"] * r["ow"]) * aligned(4 * int(r["c_out"])) + 64)
        return grad_weight_filter, record

    def __call__(
        self, g_y: Array, g_y_scale: float, mask: NDArray[np.uint8] | None,
        x: Array, channels: NDArray[np.int32], out: NDArray[np.float32],
        positions: NDArray[np.int32] | None = None,
    ) -> None:  # fmt: skip
        """Compute the gradient; see ``backward``. All pixels are saved: there are no ``positions``."""
        if not self.bound(g_y, mask, x, channels, out, None)(float(g_y_scale)):
            last = self._constants["c_in"][0] - 1
            raise BadArgument(f"channels of {self.name}", f"are not all in 0..{last}")
