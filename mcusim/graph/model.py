"""A network as data: ops in execution order over named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from mcusim.core import UnknownName
from mcusim.core.frozen import FrozenDict
from mcusim.graph.ops import Op
from mcusim.graph.purpose import Purpose, purpose
from mcusim.graph.states import StreamState
from mcusim.graph.tensor import Tensor
from mcusim.graph.traits import CONVOLUTIONS


class Arithmetic(StrEnum):
    """How accumulators are rescaled: a value of the model, not a global switch."""

    FLOAT = "float"
    """rint (half to even) of float32(acc) * float32(s): the published tiny-training models."""
    TFLITE = "tflite"
    """int32 multiplier and shift with TFLite's double rounding."""
    TINYENGINE = "tinyengine"
    """Truncation toward zero of (float)acc * s, as TinyEngine's firmware computes it."""
    LITERT = "litert"
    """``tflite``, but FULLY_CONNECTED rounds once: acc * s in float64, half away from zero."""

    @property
    def fixed_point(self) -> bool:
        """True if accumulators are rescaled by an int32 multiplier and a shift."""
        return self in (Arithmetic.TFLITE, Arithmetic.LITERT)

    @property
    def twin(self) -> str:
        """Whose integers these are, in words."""
        return {
            Arithmetic.FLOAT: "tiny-training's simulator, and what ONNX QuantizeLinear means",
            Arithmetic.TFLITE: "TFLite Micro, CMSIS-NN and LiteRT before TensorFlow 2.20",
            Arithmetic.LITERT: "LiteRT's reference kernels since TensorFlow 2.20",
            Arithmetic.TINYENGINE: "TinyEngine's firmware",
        }[self]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a uint8 RGB pixel becomes the model's input: real = (pixel / 255 - mean) / std.

    ``mean`` and ``std`` have one entry a channel or one for all. The real value is then quantised
    with the input tensor's scale and zero point, rounding half to even.
    """

    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Model:
    """A network. ``ops`` are in a valid execution order; ``tensors`` maps every name to its tensor.

    The model's last weighted op is its *head* when ``head`` names it: the classifier (or regressor)
    that every update scheme trains. With a float32 head the graph ends in DEQUANTIZE and a float32
    FULLY_CONNECTED; with an int8 head in a FULLY_CONNECTED with int8 weights and int32 output, the
    accumulator itself, whose real value is ``acc * s_x * s_W[c]``: logits need no output scale.
    """

    name: str
    ops: tuple[Op, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arithmetic: Arithmetic = Arithmetic.TFLITE
    head: str | None = None
    """Name of the op that is the classifier."""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    labels: tuple[str, ...] = ()
    source: str = ""
    """Where the network came from and under which licence."""
    places: Mapping[str, int] = field(default_factory=FrozenDict, repr=False)
    """Of ops whose place among ``ops`` is not the one in the network they came from, that place."""
    states: tuple[StreamState, ...] = ()
    """What it keeps from one invocation to the next, in a network that is given a sequence bit by bit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", FrozenDict(dict(self.tensors)))

    def op(self, name: str) -> Op:
        """Return the op called ``name``.

        Raises:
            UnknownName: if there is none; suggests the nearest names.
        """
        for op in self.ops:
            if op.name == name:
                return op
        raise UnknownName(f"op of {self.name}", name, (o.name for o in self.ops))

    def place(self, op: str) -> int:
        """Return which op of the network as it was given this one is: random draws are numbered by that."""
        return self.places.get(op, next(i for i, o in enumerate(self.ops) if o.name == op))

    @property
    def input(self) -> Tensor:
        """The first input tensor."""
        return self.tensors[self.inputs[0]]

    @property
    def output(self) -> Tensor:
        """The first output tensor."""
        return self.tensors[self.outputs[0]]

    @property
    def classes(self) -> int:
        """Number of outputs of the last dimension."""
        return self.output.shape[-1]

    @property
    def convolutions(self) -> tuple[Op, ...]:
        """All convolutions in order, the head excluded: the numbering of published configurations."""
        return tuple(o for o in self.ops if o.kind in CONVOLUTIONS and o.name != self.head)

    @property
    def conv_weights(self) -> int:
        """Number of convolution weights, the head excluded."""
        return sum(self.tensors[o.inputs[1]].elements for o in self.convolutions)

    def same_as(self, other: Model) -> bool:
        """True if both are the same network: ops, names, labels and constants, bit for bit.

        Networks are compared by identity elsewhere (``==``), which is fast and right for a cache.
        """
        names = [f.name for f in fields(self) if f.name != "tensors"]
        return (
            all(getattr(self, name) == getattr(other, name) for name in names)
            and list(self.tensors) == list(other.tensors)
            and all(tensor.same_as(other.tensors[name]) for name, tensor in self.tensors.items())
        )

    def with_tensors(self, changed: Mapping[str, Tensor]) -> Model:
        """Return a copy in which some tensors are replaced."""
        return replace(self, tensors={**self.tensors, **changed})

    @property
    def purpose(self) -> Purpose:
        """What the network is for, or what is missing to know."""
        inputs, outputs = ([self.tensors[name] for name in names] for names in (self.inputs, self.outputs))
        return purpose(self.ops, inputs, outputs)

    @property
    def task(self) -> str:
        """What the network is for, as far as it says so itself; empty if it does not. Data may say more."""
        return self.purpose.task

    @property
    def twin(self) -> str:
        """Whose integers are computed, in words."""
        return self.arithmetic.twin

    def __repr__(self) -> str:
        inputs = ", ".join("x".join(map(str, self.tensors[name].shape)) for name in self.inputs)
        kept = f", {len(self.states)} states" if self.states else ""
        said = f"{self.task or 'no task said'}, {f'head {self.head!r}' if self.head else 'no head'}"
        return (
            f"<Model {self.name}: {len(self.ops)} ops, input {inputs}, {self.conv_weights:,} conv weights, "
            f"{said}{kept}, {self.arithmetic} as {self.twin}>"
        )
