"""UNIDIRECTIONAL_SEQUENCE_LSTM of 8-bit activations, as the ops it amounts to in TFLite Micro; and of floats.

Gates are 16-bit: a sum of two dense layers in steps of 2**-12, then a sigmoid or a hyperbolic tangent. The
cell keeps 16 bits too, the hidden state 8. All moments of a sequence are unrolled; their weights are the
same tensors. A sequence begins with zeros, as of a layer that Keras calls stateless: a program resets the
variables of its interpreter before each. A layer that is given one moment at an invocation keeps its state
from one to the next instead. Of floats, and of 8-bit weights with float activations, all is float32, and the
first moment of a sequence has no part that follows from the zeros.

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
        self._real = set(kinds) == {"float32"}
        if not self._real and (kinds != ("int8", "int8", "int16", "int8") or self.cell.quant is None):
            raise BadModel("", f"is of {', '.join(kinds)}", WAY_OUT)
        if len(self.x.shape) != 3 or self.x.shape[0] != 1 or len(output.shape) != 3:
            raise BadModel(
                "", f"takes {self.x.shape} and gives {output.shape}", "give one sequence at a time"
            )
        if self.cell.quant is not None and not self._real:
            fraction, _ = np.frexp(float(self.cell.quant.scale[0]))
            if fraction != 0.5 or self.cell.quant.zero_point:
                raise BadModel("", f"keeps its cell in steps of {float(self.cell.quant.scale[0]):g}", WAY_OUT)
        self.steps: list[SpelledOp] = []
        self.states: list[StreamState] = []
        self.constants: tuple[Tensor, ...] = ()
        """What a sequence begins with, and weights as real numbers."""
        if self._real:
            self._by_place |= {i: _of_reals(self._by_place[i]) for i in (*INPUT_WEIGHTS, *RECURRENT_WEIGHTS)}
            self.constants = tuple(self._by_place[i] for i in (*INPUT_WEIGHTS, *RECURRENT_WEIGHTS))

    def unroll(self) -> None:
        """Make the steps, and the states if there is but one moment."""
        times = self.x.shape[1]
        first = self._first(self.hidden), self._first(self.cell)
        nothing: tuple[Tensor | None, Tensor | None] = (None, None) if self._real else first
        before = (self.hidden, self.cell)
        if times == 1 or not self._real:
            self.constants += first
        found: list[Tensor] = []
        hidden, cell = before if times == 1 else nothing
        for time in range(times):
            self._name = f"{self.output.name}/{time}"
            hidden, cell = self._moment(self._cut(time), hidden, cell)
            found.append(hidden)
        if times == 1:
            assert hidden is not None
            assert cell is not None
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

    def _moment(self, x: Tensor, hidden: Tensor | None, cell: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return hidden state and cell behind one moment; None: zeros, of which nothing follows."""
        gates = [self._gate(i, x, hidden) for i in range(4)]
        quant, wide = self.cell.quant, (1, self.hidden.shape[-1])
        made = self._made(f"{self._name}/cell", quant)
        if cell is None:
            cell = self._add(OpKind.MUL, made, gates[0], gates[2], clamp=self._limits())
        else:
            kept = self._add(OpKind.MUL, self._made(f"{self._name}/kept", quant), gates[1], cell)
            new = self._add(OpKind.MUL, self._made(f"{self._name}/added", quant), gates[0], gates[2])
            cell = self._add(OpKind.ADD, made, kept, new, clamp=self._limits())
        bent = self._add(OpKind.TANH, self._made(f"{self._name}/bent", SHARE), cell)
        after = self._made(f"{self._name}/hidden", None)
        if not self._real:
            after = Tensor(after.name, wide, "int8", self.hidden.quant)
        return self._add(OpKind.MUL, after, gates[3], bent), cell

    def _made(self, name: str, quant: Quant | None) -> Tensor:
        """Return a tensor of as many numbers as there are units."""
        wide = (1, self.hidden.shape[-1])
        return Tensor(name, wide, "float32") if self._real else Tensor(name, wide, "int16", quant)

    def _gate(self, which: int, x: Tensor, hidden: Tensor | None) -> Tensor:
        name = f"{self._name}/{GATES[which]}"
        weights = self._by_place[INPUT_WEIGHTS[which]], self._by_place[BIASES[which]]
        total = self._add(OpKind.FULLY_CONNECTED, self._made(f"{name}/x", GATE), x, *weights)
        if hidden is not None:
            again = self._add(
                OpKind.FULLY_CONNECTED, self._made(f"{name}/h", GATE), hidden,
                self._by_place[RECURRENT_WEIGHTS[which]],
            )  # fmt: skip
            total = self._add(OpKind.ADD, self._made(f"{name}/sum", GATE), total, again)
        curve = OpKind.TANH if GATES[which] == "new" else OpKind.LOGISTIC
        return self._add(curve, self._made(name, SHARE), total)

    def _limits(self) -> tuple[float, float] | None:
        """Return the range of the cell: int16, or what it is clipped to; None of floats that are not."""
        if self._real:
            return (-self._clip, self._clip) if self._clip > 0 else None
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


def _of_reals(weight: Tensor) -> Tensor:
    """Return a weight as float32: the real numbers that 8 or 16 bits stand for."""
    if weight.dtype == "float32" or weight.data is None:
        return weight
    data = np.asarray(weight.data, np.float32)
    if weight.quant is not None:
        scale = weight.quant.scale.reshape(-1, 1) if weight.quant.per_channel else weight.quant.scale
        data = (data - np.float32(weight.quant.zero_point)) * scale.astype(np.float32)
    data.flags.writeable = False
    return Tensor(f"{weight.name}/real", weight.shape, "float32", None, data)
