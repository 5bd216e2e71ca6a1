"""Where the learned parameters of a step live, in which format, at how many bytes."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import Kind, Role, Slot, SlotPart
from mcusim.graph import Model, Op
from mcusim.graph.outputs import heads
from mcusim.kernels.columns import groups
from mcusim.lowering.builder import Builder
from mcusim.lowering.residency import Residency
from mcusim.update.channels import bias_can_learn, layer
from mcusim.update.formats import Formats
from mcusim.update.selection import Scope


@dataclass(frozen=True, slots=True)
class Parameters:
    """Names and shapes of the SRAM tensors that hold learned parameters.

    A learning layer has its weight, what the weight's format keeps beside it (a residual or a
    master weight), the channels (which input channels learn in this stage, 16 bits each), its bias with
    the residual, and with momentum, a second moment or gradient accumulation one of each for either.
    """

    model: Model
    scope: Scope
    formats: Formats
    residency: Residency
    momentum: bool
    accumulate: int
    square: bool = False

    def learns(self, op: Op) -> bool:
        """True if any parameter of ``op`` can change."""
        return op.name in self.scope.eligible or op.name in self.scope.biases or self.is_head(op)

    def bias_learns(self, op: Op) -> bool:
        """True if ``op`` has a bias that can change."""
        learns = op.name in self.scope.biases or self.is_head(op)
        return learns and bias_can_learn(self.model, op)

    def is_head(self, op: Op) -> bool:
        """True if ``op`` is a classifier and learns."""
        return self.scope.head and op.name in heads(self.model)

    def selected_shape(self, op: Op) -> tuple[int, ...]:
        """Return the shape of the weights that learn at once, input channels first: (n, kh, kw, outputs)."""
        weight = self.model.tensors[op.inputs[1]].shape
        every = layer(self.model, op).channels
        count = every if self.is_head(op) else self.scope.channels.get(op.name, 0)
        outputs = weight[op.traits.channel_axis] // groups(op, self.model.tensors)
        return (count, *weight[1:-1], outputs)

    def weight_tensors(self, op: Op) -> tuple[tuple[Slot, tuple[int, ...], str], ...]:
        """Return (name, shape, dtype) of each SRAM tensor of the weights of ``op``."""
        weight = self.model.tensors[op.inputs[1]]
        whole = self.is_head(op) or self.residency is Residency.SRAM
        shape = weight.shape if whole else self.selected_shape(op)
        tensors = [(Slot(op.name, Kind.VALUE, SlotPart.WEIGHT), shape, weight.dtype)]
        extra = self.formats.parameter(SlotPart.WEIGHT, weight.dtype).extra
        if extra is not None:
            tensors.append((Slot(op.name, extra.kind, SlotPart.WEIGHT), shape, extra.dtype))
        return tuple(tensors)

    def bias_tensors(self, op: Op) -> tuple[tuple[Slot, str], ...]:
        """Return (name, dtype) of each SRAM tensor of the bias of ``op``, all of its shape."""
        assert op.bias is not None
        dtype = self.model.tensors[op.bias].dtype
        extra = self.formats.parameter(SlotPart.BIAS, dtype).extra
        own = (Slot(op.name, Kind.VALUE, SlotPart.BIAS), dtype)
        return (own,) if extra is None else (own, (Slot(op.name, extra.kind, SlotPart.BIAS), extra.dtype))

    def read_by(self, op: Op) -> tuple[Slot, ...]:
        """Return the SRAM tensors of parameters that the forward pass of ``op`` reads."""
        names: list[Slot] = []
        if op.name in self.scope.eligible or self.is_head(op):
            names.append(Slot(op.name, Kind.VALUE, SlotPart.WEIGHT))
        if self.bias_learns(op):
            names.append(Slot(op.name, Kind.VALUE, SlotPart.BIAS))
        return tuple(names)

    def declare(self, builder: Builder) -> None:
        """Declare all of them as persistent tensors."""
        for op in self.model.ops:
            if op.name in self.scope.eligible or self.is_head(op):
                self._declare_weights(builder, op)
            if op.bias is not None and self.bias_learns(op):
                role = Role.HEAD if self.is_head(op) else Role.BIAS
                bias = self.model.tensors[op.bias]
                for name, dtype in self.bias_tensors(op):
                    self._declare(builder, name, bias.shape, dtype, role)
                self._declare_state(builder, op, SlotPart.BIAS, bias.shape)

    def _declare_weights(self, builder: Builder, op: Op) -> None:
        role = Role.HEAD if self.is_head(op) else Role.WEIGHT
        tensors = self.weight_tensors(op)
        for name, shape, dtype in tensors:
            self._declare(builder, name, shape, dtype, role)
        if not self.is_head(op):
            count = self.scope.channels.get(op.name, 0)
            self._declare(builder, Slot(op.name, Kind.CHANNELS), (count,), "int16", role)
        selected = self.selected_shape(op)
        self._declare_state(builder, op, SlotPart.WEIGHT, selected, tensors[0][1])

    def _declare_state(
        self,
        builder: Builder,
        op: Op,
        part: SlotPart,
        shape: tuple[int, ...],
        held: tuple[int, ...] | None = None,
    ) -> None:
        for kind, wanted in ((Kind.MOMENTUM, self.momentum), (Kind.SQUARE, self.square)):
            if wanted:
                self._declare(builder, Slot(op.name, kind, part), held or shape, "float32", Role.OPTIMIZER)
        if self.accumulate > 1:
            self._declare(builder, Slot(op.name, Kind.GRADIENT, part), shape, "float32", Role.GRADIENT)

    @staticmethod
    def _declare(builder: Builder, name: Slot, shape: tuple[int, ...], dtype: str, role: Role) -> None:
        if all(shape):
            builder.tensor(name, shape, dtype, role, persistent=True)
