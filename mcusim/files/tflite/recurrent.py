"""UNIDIRECTIONAL_SEQUENCE_LSTM of 8-bit activations, as the ops it amounts to in TFLite Micro.

Gates are 16-bit: a sum of two dense layers in steps of 2**-12, then a sigmoid or a hyperbolic tangent. The
cell keeps 16 bits too, the hidden state 8. All moments of a sequence are unrolled; their weights are the
same tensors. A sequence begins with zeros, as of a layer that Keras calls stateless: a program resets the
variables of its interpreter before each. A layer that is given one moment at an invocation keeps its state
from one to the next instead.

Source: ``lstm_eval_common.cc`` and ``unidirectional_sequence_lstm.cc`` of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.core import BadModel
from mcusim.files.tflite.flatbuffer import FlatTable
from mcusim.files.tflite.operators import clamp_to
from mcusim.files.tflite.spelled import SpelledOp
from mcusim.graph import LIMITS, Attributes, OpKind, Quant, StreamState, Tensor

LSTM = 44
"""The builtin operator."""
TANH_ACTIVATION = 4
INPUT, HIDDEN, CELL = 0, 18, 19
INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = (1, 2, 3, 4), (5, 6, 7, 8), (12, 13, 14, 15)
"""Of the input gate, the forget gate, the new cell and the output gate."""
PLACES = 24
WAY_OUT = (
    "export it as Keras' LSTM converts: 8-bit activations, without peepholes, projection or normalisation"
)
GATE, SHARE = Quant.of(2.0**-12), Quant.of(2.0**-15)
GATES = ("input", "forget", "new", "output")


class Lstm:
    """One operator.

    Args:
        given: its inputs, None for those that were left out.
        output: what it gives, ``[1, times, units]``.
        options: its table.

    Raises:
        BadModel: if it has a part that is not supported; without a thing, the caller knows the operator.
    """

    def __init__(self, given: list[Tensor | None], output: Tensor, options: FlatTable | None) -> None:
        places = [*given, *[None] * (PLACES - len(given))]
        needed = (INPUT, *INPUT_WEIGHTS, *RECURRENT_WEIGHTS, *BIASES, HIDDEN, CELL)
        if len(given) > PLACES or any(places[i] is None for i in needed):
            raise BadModel("", "lacks weights, biases or a state", WAY_OUT)
        if extra := [i for i, tensor in enumerate(places) if tensor is not None and i not in needed]:
            raise BadModel(
                "", f"has an input {extra[0]}, of a peephole, projection or normalisation", WAY_OUT
            )
        tensors = [tensor for tensor in places if tensor is not None]
        self._by_place = dict(zip(sorted(needed), tensors, strict=True))
        self.x, self.hidden, self.cell, self.output = (
            *(self._by_place[i] for i in (INPUT, HIDDEN, CELL)),
            output,
        )
        activation = 0 if options is None else options.integer(0, 1)
        self._clip = 0.0 if options is None else options.real(1)
        if activation != TANH_ACTIVATION or (options is not None and options.boolean(3)):
            raise BadModel("", "has no tanh, or time comes before the batch", WAY_OUT)
        kinds = (self.x.dtype, self.hidden.dtype, self.cell.dtype, output.dtype)
        if kinds != ("int8", "int8", "int16", "int8") or self.cell.quant is None:
            raise BadModel("", f"is of {', '.join(kinds)}", WAY_OUT)
        if len(self.x.shape) != 3 or self.x.shape[0] != 1 or len(output.shape) != 3:
            raise BadModel(
                "", f"takes {self.x.shape} and gives {output.shape}", "give one sequence at a time"
            )
        fraction, _ = np.frexp(float(self.cell.quant.scale[0]))
        if fraction != 0.5 or self.cell.quant.zero_point:
            raise BadModel("", f"keeps its cell in steps of {float(self.cell.quant.scale[0]):g}", WAY_OUT)
        self.steps: list[SpelledOp] = []
        self.states: list[StreamState] = []
        self.constants: tuple[Tensor, ...] = ()
        """What a sequence begins with."""

    def unroll(self) -> None:
        """Make the steps, and the states if there is but one moment."""
        times = self.x.shape[1]
        self.constants = first = self._first(self.hidden), self._first(self.cell)
        before = first if times > 1 else (self.hidden, self.cell)
        found, (hidden, cell) = [], before
        for time in range(times):
            self._name = f"{self.output.name}/{time}"
            hidden, cell = self._moment(self._cut(time), hidden, cell)
            found.append(hidden)
        if times == 1:
            kept = zip(before, (hidden, cell), first, strict=True)
            self.states = [StreamState(b.name, after.name, begin.name) for b, after, begin in kept]
        self._together(found)

    def _first(self, state: Tensor) -> Tensor:
        zero = 0 if state.quant is None else state.quant.zero_point
        data = np.full((1, state.shape[-1]), zero, state.dtype)
        data.flags.writeable = False
        return replace(state, name=f"{state.name}/initial", shape=data.shape, data=data)

    def _cut(self, time: int) -> Tensor:
        features = self.x.shape[2]
        row = replace(self.x, name=f"{self._name}/x", shape=(1, features))
        if self.x.shape[1] == 1:
            return self._add(OpKind.RESHAPE, row, self.x, shape=row.shape)
        part = replace(row, name=f"{self._name}/moment", shape=(1, 1, features))
        cut = {"axes": (1,), "begin": (time,), "step": (1,), "shape": (1,)}
        return self._add(
            OpKind.RESHAPE, row, self._add(OpKind.STRIDED_SLICE, part, self.x, **cut), shape=row.shape
        )

    def _moment(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden state and cell behind one moment."""
        gates = [self._gate(i, x, hidden) for i in range(4)]
        quant, wide = self.cell.quant, (1, self.hidden.shape[-1])
        kept = self._add(OpKind.MUL, Tensor(f"{self._name}/kept", wide, "int16", quant), gates[1], cell)
        new = self._add(OpKind.MUL, Tensor(f"{self._name}/added", wide, "int16", quant), gates[0], gates[2])
        cell = Tensor(f"{self._name}/cell", wide, "int16", quant)
        self._add(OpKind.ADD, cell, kept, new, clamp=self._limits())
        bent = self._add(OpKind.TANH, Tensor(f"{self._name}/bent", wide, "int16", SHARE), cell)
        hidden = Tensor(f"{self._name}/hidden", wide, "int8", self.hidden.quant)
        return self._add(OpKind.MUL, hidden, gates[3], bent), cell

    def _gate(self, which: int, x: Tensor, hidden: Tensor) -> Tensor:
        name, wide = f"{self._name}/{GATES[which]}", (1, self.hidden.shape[-1])
        weights = self._by_place[INPUT_WEIGHTS[which]], self._by_place[BIASES[which]]
        given = self._add(OpKind.FULLY_CONNECTED, Tensor(f"{name}/x", wide, "int16", GATE), x, *weights)
        again = self._add(
            OpKind.FULLY_CONNECTED, Tensor(f"{name}/h", wide, "int16", GATE), hidden,
            self._by_place[RECURRENT_WEIGHTS[which]],
        )  # fmt: skip
        total = self._add(OpKind.ADD, Tensor(f"{name}/sum", wide, "int16", GATE), given, again)
        curve = OpKind.TANH if GATES[which] == "new" else OpKind.LOGISTIC
        return self._add(curve, Tensor(name, wide, "int16", SHARE), total)

    def _limits(self) -> tuple[float, float]:
        """Return the range of the cell: int16, or what it is clipped to."""
        low, high = LIMITS["int16"]
        if self._clip <= 0 or self.cell.quant is None:
            return low, high
        most = min(int(self._clip / float(self.cell.quant.scale[0])), high)
        return max(-most, low), most

    def _together(self, found: list[Tensor]) -> None:
        rows = [
            self._add(
                OpKind.RESHAPE,
                replace(h, name=f"{h.name}/row", shape=(1, 1, h.shape[1])),
                h,
                shape=(1, 1, h.shape[1]),
            )
            for h in found[: len(found) if len(found) > 1 else 0]
        ]
        if rows:
            self._add(OpKind.CONCATENATION, self.output, *rows, axes=(1,))
        else:
            self._add(OpKind.RESHAPE, self.output, found[0], shape=self.output.shape)

    def _add(self, kind: OpKind, output: Tensor, *inputs: Tensor, **named: object) -> Tensor:
        attributes = Attributes(**{"clamp": clamp_to(output, None), **named})  # type: ignore[arg-type]
        self.steps.append(SpelledOp(kind, inputs, output, attributes))
        return output
