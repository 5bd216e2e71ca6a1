"""What the makers of records ask: where a tensor lies, what is selected, how accumulators are rescaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel, Kind, Role, Slot, SlotPart, is_kind
from mcusim.deployment.learned import learned_slots
from mcusim.deployment.records import Call, FlashConstants
from mcusim.deployment.text import CTYPES, NULL, CText
from mcusim.graph import DTYPES, Arithmetic, Model, Op, Tensor
from mcusim.graph.outputs import heads
from mcusim.kernels.moved_blocks import strides
from mcusim.kernels.scales import (
    accumulator_factors,
    clamp_of,
    gradient_factors,
    limits_of,
    multiplier_and_shift,
    quant_of,
)
from mcusim.lowering.step import Step, StepOp, StepTensor

ROUNDINGS = {
    Arithmetic.TFLITE: CText("MCUSIM_FIXED"),
    Arithmetic.LITERT: CText("MCUSIM_FIXED"),
    Arithmetic.FLOAT: CText("MCUSIM_NEAREST"),
    Arithmetic.TINYENGINE: CText("MCUSIM_TRUNCATED"),
}
DIMENSIONS = 4
ALL = np.arange(-128, 128, dtype=np.int64)
"""Every int8, in the order of a table's entries."""
HOMED = {
    "mcusim_convolution": ("convolution", "convolution"), "mcusim_overlaid_dense": ("dense", "overlaid"),
    "mcusim_grad_input": ("grad_input", "grad_input"),
}  # fmt: skip
"""By record: the kernel that finds its weight in a copy in flash, and what it calls the record."""
WAY_OUT = "mcusim train simulates it; the firmware of another network or scheme can be written"


def refusal(what: str, reason: str) -> BadModel:
    """Return the error for something that has no C kernel."""
    return BadModel(what, reason, WAY_OUT)


def four(values: Sequence[int], fill: int, what: str) -> list[int]:
    """Return values of at most four dimensions with leading ones filled in.

    Raises:
        BadModel: if there are more dimensions.
    """
    if len(values) > DIMENSIONS:
        raise refusal(what, f"has {len(values)} dimensions, and C kernels have loops for {DIMENSIONS}")
    return [fill] * (DIMENSIONS - len(values)) + list(values)


@dataclass(slots=True)
class StepContext:
    """A placed step on its way to C.

    Attributes:
        step: what is to be done.
        offsets: where the buffers of its tensors lie in the arena.
        constants: collects what lies in flash.
        wide: ops whose sums can leave 32 bits, where the arithmetic has room for them.
    """

    step: Step
    offsets: Mapping[str, int]
    constants: FlashConstants
    wide: frozenset[str] = frozenset()

    @property
    def model(self) -> Model:
        """The network."""
        return self.step.model

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Its tensors."""
        return self.step.model.tensors

    @property
    def rounding(self) -> CText:
        """How accumulators are rescaled."""
        return ROUNDINGS[self.model.arithmetic]

    def offset(self, name: str) -> int:
        """Return the offset of a tensor of the step in the arena."""
        return self.offsets[self.step.tensors[name].buffer]

    def at(self, name: str | None, plus: int = 0) -> CText:
        """Return the address of a tensor of the step, so many elements in; NULL for ``None``."""
        if name is None:
            return NULL
        tensor = self.step.tensors[name]
        kind = CTYPES[tensor.dtype]
        place = self.offset(name) + plus * DTYPES[tensor.dtype]
        return CText(f"({kind} *)({self.constants.prefix}_arena + {place})")

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor as the step has it; patches have shapes of their own."""
        return self.held(name).shape

    def held(self, name: str) -> StepTensor | Tensor:
        """Return a tensor of the step, or a constant of the network."""
        return self.step.tensors[name] if name in self.step.tensors else self.tensors[name]

    def operands(self, op: StepOp) -> list[str]:
        """Return the activations and constants a forward op reads, patches by their own names."""
        source = source_of(op)
        reads = iter(op.reads)
        given = source.inputs[:1] if source.traits.weighted else source.inputs
        return [n if self.tensors[n].constant else next(reads) for n in given]

    def operand(self, name: str) -> CText:
        """Return the address of an activation, or of a constant in flash."""
        if name in self.step.tensors:
            return self.at(name)
        return self.constants.array(f"value_{name}", self._data(name), Role.WEIGHT)

    def parameter(self, op: Op, part: SlotPart) -> CText:
        """Return the address of a weight or bias: in SRAM where it learns, else in flash.

        NULL for none, and for a weight that learns in flash, since there are two copies of it.
        """
        name = op.weight if part is SlotPart.WEIGHT else op.bias
        if name is None or (part is SlotPart.WEIGHT and self.compact(op)):
            return NULL
        slot = Slot(op.name, Kind.VALUE, part)
        if slot in self.step.tensors:
            return self.at(slot)
        role = Role.WEIGHT if part is SlotPart.WEIGHT else Role.BIAS
        if op.name in heads(self.model):
            role = Role.HEAD
        return self.constants.array(f"{part}_{op.name}", self._data(name), role)

    def compact(self, op: Op) -> bool:
        """True if only the learning channels of an op's weight are in SRAM."""
        return self.step.in_flash(op)

    def homed(self, op: Op, call: Call) -> Call:
        """Return a call that reads the weight of an op, of the copy in flash where it learns there."""
        if not self.compact(op):
            return call
        place = learned_slots(self.step)[Slot(op.name, Kind.VALUE, SlotPart.WEIGHT)]
        home = {"run": CText(call.kernel), "now": self.residence, "at": place}
        name, field = HOMED[call.struct]
        fields = {"home": home, field: call.fields}
        return Call(f"mcusim_{name}_in_flash", f"mcusim_homed_{name}", fields)

    @property
    def residence(self) -> CText:
        """The address of what changes of weights that live in flash."""
        return CText(f"&{self.constants.prefix}_residence")

    def overlay(self, op: Op) -> dict[str, Any]:
        """Return the fields that lay the learning channels in SRAM over the weights in flash."""
        if not self.compact(op):
            return {}
        channels = Slot(op.name, Kind.CHANNELS)
        return {
            "columns": self.at(Slot(op.name, Kind.VALUE, SlotPart.WEIGHT)),
            "channels": self.at(channels),
            "count": prod(self.shape(channels)),
        }

    def dense(self, op: Op, result: str, fields: dict[str, Any]) -> Call:
        """Return the call of a dense kernel, or of the one that lays what learns over weights in flash."""
        if not self.compact(op):
            return Call(f"mcusim_dense_{result}", "mcusim_dense", fields)
        overlaid = {"dense": fields, "overlay": self.overlay(op)}
        return Call(f"mcusim_overlaid_{result}", "mcusim_overlaid_dense", overlaid)

    def output(self, op: Op) -> dict[str, Any]:
        """Return how the accumulators of a weighted op become its int8 output."""
        low, high = clamp_of(op)
        fields = {
            "zero": quant_of(self.tensors[op.output]).zero_point, "low": low, "high": high,
            "rounding": self.rounding,
        }  # fmt: skip
        factors = accumulator_factors(op, self.tensors)
        if not self.model.arithmetic.fixed_point:
            fields["factor"] = self._quant(op, "factor", factors.astype(np.float32))
            return fields | self.beyond(op)
        fixed = [multiplier_and_shift(float(f)) for f in factors]
        return {
            "multiplier": self._quant(op, "multiplier", np.array([m for m, _ in fixed], np.int32)),
            "shift": self._quant(op, "shift", np.array([s for _, s in fixed], np.int8)),
            **fields,
        }

    def beyond(self, op: Op) -> dict[str, Any]:
        """Return the fields that keep a sum which can leave 32 bits; none where that cannot be."""
        if op.name not in self.wide:
            return {}
        return {"multiplier": self.parameter(op, SlotPart.BIAS), "rounding": CText("MCUSIM_WIDE")}

    def once(self, op: Op) -> dict[str, Any]:
        """Return how sums become an output that is rounded but once, see `rounds_once`."""
        low, high = limits_of(op, self.tensors)
        bits = accumulator_factors(op, self.tensors).astype(np.float64).view(np.uint64)
        return {
            "factor": CText(f"(const float *)(const void *){self._quant(op, 'factor64', bits)}"),
            "zero": quant_of(self.tensors[op.output]).zero_point, "low": low, "high": high,
            "rounding": CText("MCUSIM_ONCE"),
        }  # fmt: skip

    def plain_output(self, op: Op) -> dict[str, Any]:
        """Return clamp, zero point and rounding of an op without factors a channel."""
        low, high = clamp_of(op)
        zero = quant_of(self.tensors[op.output]).zero_point
        return {"zero": zero, "low": low, "high": high, "rounding": self.rounding}

    def factors(self, op: Op) -> CText:
        """Return the derivatives of a weighted op's outputs by their accumulators; NULL where all are 1."""
        if self.tensors[op.inputs[1]].dtype == "float32":
            return NULL
        return self._quant(op, "factor", gradient_factors(op, self.tensors))

    def scaling(self, op: Op, part: SlotPart, values: NDArray[np.float32]) -> CText:
        """Return the factors of quantisation-aware scaling; NULL where all are 1."""
        if self.tensors[op.inputs[1]].dtype == "float32":
            return NULL
        return self._quant(op, f"scaling_{part}", values)

    def table(self, op: Op, what: str, values: NDArray[Any]) -> CText:
        """Return a table of an op in flash."""
        return self._quant(op, what, values)

    def pattern(self, op: Op) -> CText:
        """Return the address of the pattern by which pixels of an op's input are saved."""
        _, height, width, _ = self.tensors[op.inputs[0]].shape
        chosen = self.step.formats.pattern
        return self.constants.record(f"pattern_{height}_{width}", "mcusim_pattern", {
            "h": height, "w": width, "down": chosen.places(height, width)[0], "rows": chosen.rows,
            "columns": chosen.columns, "checker": chosen.checker, "phases": chosen.phases(height, width),
        })  # fmt: skip

    def error(self, name: str) -> dict[str, Any]:
        """Return where the scale of an integer error tensor lies, and its largest magnitude."""
        index = self.scaled().get(name)
        if index is None:
            return {}
        count, place = len(self.scaled()), self.offset("error_scales")
        start = CText(f"(float *)({self.constants.prefix}_arena + {place + 8 * count})")
        return {"scale": CText(f"{start} + {count + index}"), "peak": CText(f"{start} + {index}")}

    def scaled(self) -> dict[str, int]:
        """Return the integer error tensors, and the number of each."""
        names = [n for n, t in self.step.tensors.items() if is_kind(n, Kind.ERROR) and t.dtype != "float32"]
        return {name: i for i, name in enumerate(names)}

    def zero_of(self, name: str) -> int:
        """Return the zero point of a tensor of the network; 0 where it has no quantisation."""
        quant = self.tensors[name].quant
        return 0 if quant is None else quant.zero_point

    def in_16_bits(self, name: str) -> bool:
        """True if a tensor has 16 bits."""
        return self.tensors[name].dtype == "int16"

    def _data(self, name: str) -> NDArray[Any]:
        data = self.tensors[name].data
        assert data is not None
        return data

    def _quant(self, op: Op, what: str, values: NDArray[Any]) -> CText:
        return self.constants.array(f"{what}_{op.name}", values, Role.QUANT)


def source_of(op: StepOp) -> Op:
    """Return the op of the network behind an op of a step."""
    assert op.source is not None
    return op.source


def dense_rows(op: Op, elements: int, inputs: int) -> int:
    """Return how many rows of so many inputs a fully connected op has.

    Raises:
        BadModel: if the number does not fit its field.
    """
    rows = elements // inputs
    if rows > 65_535:
        raise refusal(f"op {op.name!r} ({op.kind})", f"runs over {rows:,} rows, and C kernels take 65,535")
    return rows


def window(
    op: Op, x: Sequence[int], y: Sequence[int], kernel: Sequence[int], channels: tuple[int, int]
) -> dict[str, int]:
    """Return the fields of a window over an image ``x`` that gives an image ``y``, both NHWC.

    Raises:
        BadModel: if a number does not fit its field.
    """
    a = op.attributes
    found = {
        "h": x[1], "w": x[2], "ci": channels[0], "oh": y[1], "ow": y[2], "co": channels[1],
        "kh": kernel[0], "kw": kernel[1], "sh": a.stride[0], "sw": a.stride[1],
        "dh": a.dilation[0], "dw": a.dilation[1], "top": a.padding[0][0], "left": a.padding[1][0],
    }  # fmt: skip
    for name, value in found.items():
        most = 65_535 if name in ("h", "w", "ci", "oh", "ow", "co") else 127
        if not 0 <= value <= most:
            raise refusal(f"op {op.name!r} ({op.kind})", f"has {name} = {value}, and C kernels take {most}")
    return found


def broadcast(shape: tuple[int, ...], rank: int, what: str) -> list[int]:
    """Return the strides of an input over an output of so many dimensions: 0 where it is broadcast."""
    padded = (1,) * (rank - len(shape)) + shape
    return four([0 if n == 1 else s for n, s in zip(padded, strides(padded), strict=True)], 0, what)


def spans(source: Op, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (outer, reduced, inner) of a reduction over neighbouring dimensions.

    Raises:
        BadModel: if the dimensions are not neighbours.
    """
    axes = sorted({a % len(shape) for a in source.attributes.axes})
    if not axes or axes != list(range(axes[0], axes[-1] + 1)):
        reason = f"reduces the dimensions {axes}, and C kernels reduce neighbouring ones"
        raise refusal(f"op {source.name!r} ({source.kind})", reason)
    return prod(shape[: axes[0]]), prod(shape[axes[0] : axes[-1] + 1]), prod(shape[axes[-1] + 1 :])
