"""What the forward kernels of all weighted ops share: the record they read, and its constants."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.graph import CONVOLUTIONS, Arithmetic, Op, OpKind
from mcusim.kernels.arrays import Array, Tensors, constant
from mcusim.kernels.compiled.fused_prepare import Guarded
from mcusim.kernels.compiled.fused_record import Fused, Learns
from mcusim.kernels.compiled.prepared import (
    ForwardKernel,
    Workspace,
    address_of,
    aligned,
    check,
    check_mask,
    check_shape,
    shares_bytes,
)
from mcusim.kernels.compiled.requant import ACCUMULATOR, FLOAT, TFLITE, TINYENGINE
from mcusim.kernels.scales import accumulator_factors, clamp_of, quant_of, rescaling

FIELDS = (
    "x", "y", "mask", "workspace",
    # Weights as they come, whether they must be packed at every call, and where the packed ones are.
    "weight", "repack", "packed",
    # One int32 or float32 a channel, padded to a multiple of 16.
    "raw_bias", "bias", "offset", "factor", "multiplier", "left_shift", "right_shift",
    "mode", "wide", "may_wrap", "zero", "low", "high", "z_x", "z_w",
    "n", "h", "w", "c_in", "oh", "ow", "c_out", "kh", "kw", "stride_h", "stride_w", "dilation_h",
    "dilation_w", "top", "left",
    # Bytes of an im2col row, blocks of 16 output channels; rows and columns of a padded plane.
    "row_bytes", "blocks", "plane_h", "plane_w",
    # The output grows over the input: nothing is read before it is needed.
    "rows",
)  # fmt: skip
RECORD = np.dtype([(name, np.int64) for name in FIELDS])
LANES = 16
MODES = {
    Arithmetic.FLOAT: FLOAT,
    Arithmetic.TFLITE: TFLITE,
    Arithmetic.TINYENGINE: TINYENGINE,
    Arithmetic.LITERT: TFLITE,
}
"""Of what is rounded once, see ``scales.rounds_once``, there is the slow kernel only."""


class WeightedForward(ForwardKernel):
    """Forward of an int8 convolution or fully connected op; see ``forward.forward``.

    Attributes:
        in_place: the output may begin where the input begins, whatever is read later.
    """

    in_place = False

    def __init__(
        self, op: Op, tensors: Tensors, arithmetic: Arithmetic, learns: Learns, workspace: Workspace | None
    ) -> None:
        super().__init__()
        self.op, self.frozen = op, learns is Learns.NOTHING
        self.workspace = Workspace() if workspace is None else workspace
        self._constants = np.zeros(1, RECORD)
        self._keep: list[Array] = []
        r = self._constants[0]
        weight, y = tensors[op.inputs[1]], tensors[op.output]
        self.weight_shape, self.output_dtype = weight.shape, y.dtype
        a = op.attributes
        r["workspace"] = address_of(self.workspace.cell)
        r["z_x"], r["z_w"] = quant_of(tensors[op.inputs[0]]).zero_point, quant_of(weight).zero_point
        self._set_shape(r, tensors)
        if y.dtype not in ("int8", "int32") or (
            r["c_out"] % r["c_in"] and op.kind is OpKind.DEPTHWISE_CONV_2D
        ):
            reason = f"cannot turn {r['c_in']} channels into {r['c_out']} of {y.dtype}"
            raise BadModel(f"op {op.name!r} ({op.kind})", reason)
        r["blocks"] = -(-int(r["c_out"]) // LANES)
        r["stride_h"], r["stride_w"] = a.stride
        r["dilation_h"], r["dilation_w"] = a.dilation
        r["top"], r["left"] = a.padding[0][0], a.padding[1][0]
        # Only FLOAT must not wrap where the accumulator exceeds 32 bits; firmware does wrap.
        r["may_wrap"] = arithmetic is not Arithmetic.FLOAT
        if y.dtype == "int32":
            r["mode"] = ACCUMULATOR
        else:
            scale = rescaling(accumulator_factors(op, tensors), quant_of(y).zero_point, op, arithmetic)
            r["mode"], r["zero"], (r["low"], r["high"]) = MODES[arithmetic], scale.zero_point, clamp_of(op)
            r["factor"] = self._padded(scale.factor)
            r["multiplier"] = self._padded(scale.multiplier)
            r["left_shift"] = self._padded(np.maximum(scale.shift, 0))
            r["right_shift"] = self._padded(np.maximum(-scale.shift, 0))
        r["bias"], r["offset"] = (self._padded(np.zeros(int(r["c_out"]), np.int32)) for _ in range(2))
        packed = np.zeros(self._packed_bytes(r) + 64, np.int8)
        self._keep.append(packed)
        r["packed"] = address_of(packed)
        self._fused: Fused | None = None
        self._packed = False
        values, bias = tensors[op.inputs[1]].data, None if op.bias is None else tensors[op.bias].data
        if self.frozen:
            values, bias = constant(op, tensors, 1), self._bias(tensors)
            self._set_parameters(r, values, bias)
        if y.dtype == "int8" and values is not None:
            z_x, z_w = int(r["z_x"]), int(r["z_w"])
            self._fused = Fused.of(op, values, z_w, bias, learns, z_x, scale, self.workspace)
        r["repack"] = not self.frozen

    @abstractmethod
    def _set_shape(self, r: Any, tensors: Tensors) -> None: ...

    @abstractmethod
    def _packed_bytes(self, r: Any) -> int: ...

    @abstractmethod
    def _workspace_bytes(self, r: Any) -> int: ...

    @abstractmethod
    def _pack(self, address: int) -> None: ...

    @abstractmethod
    def _entry(self) -> Any: ...

    def _padded(self, values: NDArray[Any]) -> int:
        """Keep one value a channel, padded with zeros, and return its address."""
        padded = np.zeros(aligned(values.size * 4) // 4, values.dtype)
        padded[: values.size] = values
        self._keep.append(padded)
        return address_of(padded)

    def _bias(self, tensors: Tensors) -> Array | None:
        return constant(self.op, tensors, 2) if self.op.bias is not None else None

    def _set_parameters(self, r: Any, weight: Array, bias: Array | None) -> None:
        check(f"weight of op {self.op.name!r}", weight, "int8")
        check_shape(f"weight of op {self.op.name!r}", weight, self.weight_shape)
        r["weight"], r["raw_bias"] = address_of(weight), address_of(bias)
        self._keep_parameters = (weight, bias) if self.frozen else None
        if bias is not None:
            check(f"bias of op {self.op.name!r}", bias, "int32")
            check_shape(f"bias of op {self.op.name!r}", bias.reshape(-1), (int(r["c_out"]),))

    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        y, mask, x, *parameters = buffers
        record = self._constants.copy()
        r = record[0]
        name = f"op {self.op.name!r}"
        check(f"input of {name}", x, "int8", int(r["c_in"]) if self.op.kind in CONVOLUTIONS else None)
        check(f"output of {name}", y, self.output_dtype)
        if not self.frozen:
            assert parameters[0] is not None
            self._set_parameters(r, parameters[0], parameters[1] if len(parameters) > 1 else None)
        self._set_sizes(r, x, y)
        # An output in place begins where the input begins; others that share bytes with it grow over it.
        r["rows"] = shares_bytes(y, x) and not (self.in_place and address_of(y) == address_of(x))
        if mask is not None:
            check_mask(name, mask, y)
        fused = None
        if self._fused is not None:
            sizes = tuple(int(r[size]) for size in ("n", "h", "w", "oh", "ow"))
            grows = bool(r["rows"])
            fused = self._fused.record(y, mask, x, sizes, int(r["weight"]), int(r["raw_bias"]), grows)
            if fused is not None and self.frozen:
                return fused
        if self.frozen and not self._packed:
            self._packed = True
            self._pack(address_of(self._constants))
        r["wide"] = self._constants[0]["wide"]
        r["x"], r["y"], r["mask"] = address_of(x), address_of(y), address_of(mask)
        self.workspace.reserve(self._workspace_bytes(r))
        if fused is not None:
            return Guarded(fused[0], self._entry(), record), fused[1]
        return self._entry(), record

    def _set_sizes(self, r: Any, x: Array, y: Array) -> None:
        """Read the batch and the spatial sizes from the arrays."""
        a, kernel = self.op.attributes, (int(r["kh"]), int(r["kw"]))
        n, h, w, _ = x.shape
        sizes = [
            (size + sum(a.padding[i]) - (kernel[i] - 1) * a.dilation[i] - 1) // a.stride[i] + 1
            for i, size in enumerate((h, w))
        ]
        shape = (n, *sizes, int(r["c_out"]))
        check_shape(f"output of op {self.op.name!r}", y, shape)
        r["n"], r["h"], r["w"], r["oh"], r["ow"] = n, h, w, *sizes
