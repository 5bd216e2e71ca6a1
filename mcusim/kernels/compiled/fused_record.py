"""Which int8 weighted ops the tiles of `fused` compute exactly, and the records of those.

That is what most networks consist of. The others (int32 outputs, weights with a zero point, several outputs a
depthwise channel, sums that may leave 32 bits) go the general way of `convolution` and `depthwise`, which
gives the same integers.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array
from mcusim.kernels.compiled.fused import ENTRIES
from mcusim.kernels.compiled.fused_prepare import LINES, ROWS, TWO_LINES, nearer
from mcusim.kernels.compiled.prepared import Workspace, address_of
from mcusim.kernels.reference.rescale import rescale
from mcusim.kernels.scales import Rescaling
from mcusim.kernels.vector.fused import FIELDS

RECORD = np.dtype([(name, np.int64) for name in FIELDS])
LANES, QUAD = 16, 4
SLACK = 256
"""Bytes beyond a plane or line that vectors may touch."""
MOST_SUM, MOST_REAL, MOST_SHIFT = 1 << 30, 1 << 29, 22
"""Bounds on sums, on sums times factor, and on TFLite's right shift: within them the tiles are exact."""
MOST_FLOAT_SUM = 1 << 31
"""Bound on sums where only their float32 is rescaled."""
MOST_CONSTANT = 1 << 20
"""Larger outputs of a channel without weights are beyond every clamp as well."""


class Learns(Enum):
    """What of an op's parameters changes from call to call."""

    NOTHING = 0
    BIAS = 1
    WEIGHT = 2
    """Weights, and the bias if there is one."""


class Fused:
    """Makes the records of one op.

    Args:
        parameters: weights [C_out, kh, kw, inputs of one output], less their zero point; bias of each output;
            what is added to each output besides (TFLite's profile only).
        learns: what changes from call to call.
        most_bias: magnitude that a learning bias must stay below, or be brought nearer.
        reach: bound on sums without a bias; 0 where a bias may not be brought nearer.
        z_x: zero point of the input.
        scale: how sums become outputs.
        workspace: host memory for planes and lines.
    """

    def __init__(
        self, op: Op, parameters: tuple[Array, Array, Array], learns: Learns, most_bias: int, reach: int,
        z_x: int, scale: Rescaling, workspace: Workspace,
    ) -> None:  # fmt: skip
        weight, bias, self.constant = parameters
        self.op, self.weight, self.scale, self.workspace = op, weight, scale, workspace
        self.learns, self.most_bias, self.reach, self.z_x = learns, most_bias, reach, z_x
        self.base = -(128 + z_x) * weight.astype(np.int64).sum((1, 2, 3))
        self.offset = self.base + bias
        self._made: dict[tuple[Any, int], dict[str, Array]] = {}

    @classmethod
    def of(
        cls, op: Op, weight: Array, z_w: int, bias: Array | None, learns: Learns, z_x: int, scale: Rescaling,
        workspace: Workspace,
    ) -> Fused | None:  # fmt: skip
        """Return the maker of an op's records, or ``None`` if the tiles might not be exact for it.

        Of a learning op ``weight`` and ``bias`` are what it starts with.
        """
        depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
        if z_w and (not depthwise or learns is Learns.WEIGHT):
            return None
        wide = weight.astype(np.int16) - z_w
        if wide.size == 0 or wide.min() < -128 or wide.max() > 127:
            return None
        wide = np.moveaxis(wide, 3, 0).reshape(wide.shape[3], *wide.shape[1:3], 1) if depthwise else wide
        if op.kind is OpKind.FULLY_CONNECTED:
            wide = wide[:, None, None, :]
        biases = np.zeros(len(wide), np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
        sums = 255 * np.abs(wide.astype(np.int64)).sum((1, 2, 3))
        if learns is Learns.WEIGHT:
            sums = np.full(len(wide), 255 * 128 * wide[0].size)
        constant = np.zeros(len(wide), np.int64)
        if scale.arithmetic.fixed_point and learns is Learns.NOTHING:
            # Channels without a weight (training with a decay leaves many) give the same for every input.
            idle = sums == 0
            found = np.clip(rescale(biases, scale) - scale.zero_point, -MOST_CONSTANT, MOST_CONSTANT)
            constant, biases = np.where(idle, found, 0), np.where(idle, 0, biases)
        reach = int(sums.max())
        most_bias, bound, real = MOST_SUM - reach, MOST_SUM, scale.arithmetic is Arithmetic.FLOAT
        if real and learns is Learns.NOTHING:
            bound, limits = MOST_FLOAT_SUM, (scale.low - scale.zero_point, scale.high - scale.zero_point)
            for c in np.flatnonzero(sums + np.abs(biases) >= MOST_SUM):
                biases[c] = nearer.py_func(biases[c], sums[c], scale.factor[c], *limits)
        largest = sums + np.abs(biases)
        if learns is not Learns.NOTHING:
            largest = np.full(len(wide), MOST_SUM - 1)
        if largest.max() >= bound or most_bias <= 0:
            return None
        if scale.arithmetic.fixed_point:
            # A channel whose outputs all round to the zero point needs no multiplier.
            high = (largest * scale.multiplier.astype(np.int64) + (1 << 30)) >> 31
            dead = 2 * high < 1 << np.maximum(-scale.shift, 0).astype(np.int64)
            dead |= (scale.multiplier == 0) | (constant != 0)
            shift = np.where(dead, -1, scale.shift)
            scale = replace(scale, multiplier=np.where(dead, 0, scale.multiplier), shift=shift)
            exact = bool(shift.min() >= -MOST_SHIFT and shift.max() < 0)
        else:
            exact = bool((largest * scale.factor.astype(np.float64)).max() < MOST_REAL)
        parameters = wide.astype(np.int8), biases, constant
        made = cls(op, parameters, learns, most_bias, reach if real else 0, z_x, scale, workspace)
        return made if exact else None

    def record(
        self,
        y: Array,
        mask: Array | None,
        x: Array,
        sizes: tuple[int, ...],
        weight: int,
        bias: int,
        grows: bool,
    ) -> tuple[Any, NDArray[Any]] | None:
        """Return the kernel and the record for these buffers, or ``None`` if no kernel here takes them.

        ``sizes`` are n, h, w, oh, ow; a fully connected op is n pixels of 1 x 1. ``weight`` and ``bias`` are
        the addresses of what learns. Where the output ``grows`` over the input, only kernels do that
        read what a line or two of the output need, in the input itself, before they write as many.
        """
        n, h, w, oh, ow = sizes
        a, (c_out, kh, kw, c_in) = self.op.attributes, self.weight.shape
        pointwise, window, three, any_ = ENTRIES[self.scale.arithmetic]
        if self.op.kind is OpKind.FULLY_CONNECTED:
            h, w, oh, ow, n = 1, n, 1, n, 1
        record = np.zeros(1, RECORD)
        r = record[0]
        r["stride_h"], r["stride_w"] = a.stride
        r["dilation_h"], r["dilation_w"] = a.dilation
        r["top"], r["left"] = a.padding[0][0], a.padding[1][0]
        reach = (ow - 1) * a.stride[1] + (kw - 1) * a.dilation[1] + 1
        r["n"], r["h"], r["w"], r["oh"], r["ow"], r["kh"], r["kw"] = n, h, w, oh, ow, kh, kw
        copies, entry, room = 1, window, 0
        if self.op.kind is OpKind.DEPTHWISE_CONV_2D:
            if x.shape[3] != c_out:
                return None
            small = (kh, kw, *a.stride, *a.dilation) == (3, 3, 1, 1, 1, 1) and oh > 1
            entry = three if small else any_
            r["quads"], r["plane_w"] = -(-kh // 4), max(reach, int(r["left"]) + w)
            room = (4 * int(r["quads"] * r["plane_w"]) + w + n * h * w) * c_out
            c_in = c_out
        elif not grows and (kh, kw, *a.stride) == (1, 1, 1, 1) and c_in % QUAD == 0 and (h, w) == (oh, ow):
            entry = pointwise
            frozen = self.learns is Learns.NOTHING
            while frozen and 2 * copies * c_out <= LANES and n * h * w % (2 * copies) == 0:
                copies *= 2
            r["quads"], r["pixels"] = copies * c_in // QUAD, n * h * w // copies
        elif a.dilation[1] == 1:
            r["quads"], r["plane_w"] = -(-kw * c_in // QUAD), max(reach, int(r["left"]) + 1)
            rows = (oh - 1) * a.stride[0] + (kh - 1) * a.dilation[0] + 1
            room = rows * int(r["plane_w"]) * c_in
        else:
            return None
        if grows and entry is three and oh % 2:
            return None  # the last of an odd number of lines is made twice
        r["c_in"], r["c_out"], r["z_x"] = copies * c_in, copies * c_out, self.z_x
        r["blocks"] = -(-copies * c_out // LANES)
        if mask is not None and copies * c_out % 8:
            return None  # its bytes would belong to two pixels
        self.workspace.reserve(room + SLACK)
        r["workspace"] = address_of(self.workspace.cell)
        r["x"], r["y"], r["mask"] = address_of(x), address_of(y), address_of(mask)
        shares = r["x"] < r["y"] + y.nbytes and r["y"] < r["x"] + x.nbytes
        # Windows are read from a copy: of the whole image, or of the rows of one line if the output grows
        # over it. Depthwise ops copy an input that they would overwrite, but not one they may grow over.
        r["overlaps"] = grows if entry is window else shares and not grows
        r["low"], r["high"], r["zero"] = self.scale.low, self.scale.high, self.scale.zero_point
        for name, array in self._constants(entry, copies, int(r["quads"])).items():
            r[name] = address_of(array)
        r["weight"], r["raw_bias"] = weight, bias
        r["most_bias"], r["reach"] = self.most_bias, self.reach
        r["row"] = kw if self.op.kind is OpKind.DEPTHWISE_CONV_2D else kw * c_in
        if self.learns is Learns.WEIGHT:
            lines = {three: TWO_LINES, any_: LINES}
            r["layout"] = lines.get(entry, ROWS)
        return entry, record

    def _constants(self, entry: Any, copies: int, quads: int) -> dict[str, Array]:
        """Return packed weights and the constants of the channels, made once for each kernel."""
        key = (entry, copies)
        if key not in self._made:
            scale = self.scale
            made = {"packed": self._packed(entry, copies, quads), "offset": _blocks(self.offset, copies)}
            made["base"] = _blocks(self.base, copies)
            if self.learns is Learns.WEIGHT:
                made["known"] = self._raw()
            if scale.arithmetic.fixed_point:
                right = -scale.shift
                made["factor"], made["right"] = _blocks(scale.multiplier, copies), _blocks(right, copies)
                wide = right.astype(np.int64)
                rounding = (1 << (wide - 1)) + ((scale.zero_point + self.constant) << wide)
                made["rounding"] = _blocks(rounding, copies)
            else:
                made["factor"] = _blocks(scale.factor, copies)
            self._made[key] = made
        return self._made[key]

    def _raw(self) -> Array:
        """Return the weights in the order in which the op has them."""
        depthwise = self.op.kind is OpKind.DEPTHWISE_CONV_2D
        return np.array(np.moveaxis(self.weight, 0, 3) if depthwise else self.weight, order="C")

    def _packed(self, entry: Any, copies: int, quads: int) -> Array:
        """Return the weights as the kernel reads them."""
        c_out, kh, kw, c_in = self.weight.shape
        if self.op.kind is not OpKind.DEPTHWISE_CONV_2D:
            # [block][row][quad][16 outputs][4 inputs]; copies lie along the diagonal, one for each pixel.
            rows = np.zeros((-(-copies * c_out // LANES) * LANES, kh, quads * QUAD), np.int8)
            for i in range(copies):
                part = self.weight.reshape(c_out, kh, kw * c_in)
                rows[i * c_out : (i + 1) * c_out, :, i * c_in : i * c_in + kw * c_in] = part
            packed = rows.reshape(-1, LANES, kh, quads, QUAD).transpose(0, 2, 3, 1, 4)
            return np.ascontiguousarray(packed)
        columns_ = np.zeros((-(-c_out // LANES) * LANES, quads * 4, kw), np.int8)
        columns_[:c_out, :kh] = self.weight[..., 0]
        groups = columns_.reshape(-1, LANES, quads, 4, kw)
        if entry in (e[2] for e in ENTRIES.values()):
            # Two output lines from the same four rows: the second's taps are one row lower.
            groups = np.concatenate([groups, np.roll(groups, 1, axis=3)], axis=2)
        return np.ascontiguousarray(groups.transpose(0, 2, 4, 1, 3))


def _blocks(values: NDArray[Any], copies: int) -> Array:
    """Return one 32-bit value a channel, ``copies`` times, padded with zeros to whole blocks."""
    kind = np.float32 if values.dtype.kind == "f" else np.int32
    # Sums wrap as the device's do, and so do the offsets they start from.
    values = values if values.dtype.kind == "f" else values.astype(np.int64).astype(np.int32)
    many = np.tile(values.astype(kind), copies)
    padded = np.zeros(-(-many.size // LANES) * LANES, kind)
    padded[: many.size] = many
    return padded
