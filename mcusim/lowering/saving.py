"""What is saved of the inputs of learning ops for their weight gradients, and when.

Keeping all of an input costs no copy, only a lifetime. Selected channels are copied just before the op
runs. Selected pixels (see ``mcusim.update.patterns``) are moved together at the beginning of the input's
own bytes once nobody reads it any more, so that pruning never raises the live bytes. Only where that would
keep the last reader from running in place over the input are they copied before it, if the copy has fewer
bytes than the output.

Pixels are pruned for int8 convolutions, depthwise ones included, whose windows are as wide as their
strides: behind narrower ones it would be left to chance how many pixels count. Fully connected layers and
the classifier keep everything. So does an op whose input stays as a whole anyway, because another op needs
all of it, or because what several ops would keep of it is no less than the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from mcusim.core import Kind, Phase, Role, Slot
from mcusim.graph import CONVOLUTIONS, DTYPES, Model, Op
from mcusim.lowering.action import Action
from mcusim.lowering.builder import Builder
from mcusim.lowering.forward import backward_activations, copy_work, overwritable, saved_name
from mcusim.lowering.gradients import Flow, activations
from mcusim.lowering.parameters import Parameters


class Saving:
    """Emits the saves of a step.

    Attributes:
        saved_pixels: op name -> pixels kept of its saved input, only where that is not all of them.
    """

    def __init__(self, model: Model, flow: Flow, parameters: Parameters, *, in_place: bool) -> None:
        self._model, self._parameters = model, parameters
        self._early: dict[str, list[Op]] = {}
        self._late: dict[str, list[Op]] = {}
        self.saved_pixels: dict[str, int] = {}
        channels = {} if parameters.scope.perturbation else parameters.scope.channels
        learning = [op for op in flow.ops if channels.get(op.name, 0)]
        if parameters.formats.feature != "whole":
            self._prune(flow, learning, in_place)
        for op in learning:
            if op.name not in self.saved_pixels and not self._all_channels(op):
                self._early.setdefault(op.name, []).append(op)

    def emit_before(self, builder: Builder, op: Op) -> None:
        """Emit what has to be saved before an op runs."""
        self._emit(builder, self._early.get(op.name, ()))

    def emit_after(self, builder: Builder, op: Op) -> None:
        """Emit what is saved once an op has run."""
        self._emit(builder, self._late.get(op.name, ()))

    def _emit(self, builder: Builder, ops: Iterable[Op]) -> None:
        for op in ops:
            x, shape = op.inputs[0], self._shape(op)
            dtype, count = self._model.tensors[x].dtype, self._bytes(op)
            saved = builder.tensor(saved_name(op), shape, dtype, Role.FEATURE)
            builder.op(
                f"{op.name}:save", Action.SAVE, Phase.FORWARD, source=op,
                reads=(x, Slot(op.name, Kind.CHANNELS)), writes=(saved,), work=copy_work(count),
                partly={x: count}, overwrites=(x,) if op.name in self.saved_pixels else (),
            )  # fmt: skip

    def _prune(self, flow: Flow, learning: list[Op], in_place: bool) -> None:
        """Find the ops whose input is pruned, and the moment at which that is done."""
        pruned = {op.name: kept for op in learning if (kept := self._pixels(op))}
        whole = self._needed_whole(flow, learning, pruned)
        by_input: dict[str, list[Op]] = {}
        for op in learning:
            if op.name in pruned and not (self._all_channels(op) and op.inputs[0] in whole):
                by_input.setdefault(op.inputs[0], []).append(op)
                self.saved_pixels[op.name] = pruned[op.name]
        last = {name: op for op in flow.ops for name in op.inputs}
        held = whole | {op.inputs[0] for op in learning if self._all_channels(op)} | set(by_input)
        for name, ops in by_input.items():
            reader = last[name]
            # Kept until after its last reader, an input must not keep that reader from running in place.
            free = [
                n for n in self._overwritable(reader) if last[n] is reader and (n == name or n not in held)
            ]
            output = self._model.tensors[reader.output].bytes
            early = in_place and free == [name] and sum(self._bytes(op) for op in ops) < output
            (self._early if early else self._late).setdefault(reader.name, []).extend(ops)
            if early:
                held.discard(name)

    def _overwritable(self, op: Op) -> list[str]:
        tensors = self._model.tensors
        return [n for _, n in activations(self._model, op) if overwritable(op, tensors, n)]

    def _needed_whole(self, flow: Flow, learning: list[Op], pruned: Mapping[str, int]) -> set[str]:
        """Return the inputs that stay whole until the backward pass, pruned or not."""
        model, whole = self._model, set[str]()
        for op in flow.ops:
            if any(name in flow.needs for _, name in activations(model, op)):
                whole.update(backward_activations(op))
            if self._parameters.is_head(op):
                whole.add(op.inputs[0])
        saved: dict[str, int] = {}
        for op in learning:
            name = op.inputs[0]
            if self._all_channels(op):
                x = model.tensors[name]
                pixels = pruned.get(op.name, prod(x.shape[:-1]))
                saved[name] = saved.get(name, 0) + pixels * x.shape[-1] * DTYPES[x.dtype]
        return whole | {name for name, count in saved.items() if count >= model.tensors[name].bytes}

    def _pixels(self, op: Op) -> int:
        """Return how many pixels the pattern keeps of the input of an op; 0 if it does not prune it."""
        x = self._model.tensors[op.inputs[0]]
        if op.kind not in CONVOLUTIONS or x.dtype != "int8":
            return 0
        window = self._model.tensors[op.inputs[1]].shape[1:3]
        if any(step > side for step, side in zip(op.attributes.stride, window, strict=True)):
            return 0
        height, width = x.shape[1:3]
        kept = self._parameters.formats.pattern.kept(height, width)
        return kept if kept < height * width else 0

    def _all_channels(self, op: Op) -> bool:
        channels = self._model.tensors[op.inputs[0]].shape[-1]
        return self._parameters.scope.channels[op.name] == channels

    def _shape(self, op: Op) -> tuple[int, ...]:
        """Return the shape of what is saved: (1, H, W, n), or (1, kept, n) of a pruned input."""
        x, count = self._model.tensors[op.inputs[0]], self._parameters.scope.channels[op.name]
        return (
            (1, self.saved_pixels[op.name], count) if op.name in self.saved_pixels else (*x.shape[:-1], count)
        )

    def _bytes(self, op: Op) -> int:
        return prod(self._shape(op)) * DTYPES[self._model.tensors[op.inputs[0]].dtype]
