"""What a network is, layer by layer: shapes, work, what may learn and what learning it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import McusimError, Phase, Role
from mcusim.files.load import network
from mcusim.graph import Model, Op, OpKind, Tensor
from mcusim.graph.outputs import heads
from mcusim.kernels.executable import check_forward, check_gradient
from mcusim.lowering.action import Action
from mcusim.lowering.lower import lower
from mcusim.lowering.step import Step
from mcusim.lowering.work import forward_work
from mcusim.sections.kinds import Column, Facts, Headline, Notes, Section, Table
from mcusim.sections.shown import Shown
from mcusim.tasks.choice import choose
from mcusim.tasks.classification import Classification
from mcusim.tasks.goals import Goal, Goals
from mcusim.update.channels import bias_can_learn
from mcusim.update.channels import layers as learnable
from mcusim.update.selection import Scope

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    Column("layer", "", "number"), Column("name"), Column("kind", "", "name", 3),
    Column("output", "", "name", 2),
    Column("weights", "", "number"), Column("MACs", "", "number"), Column("learns", "", "name", 1),
    Column("parameters", "B", "number", 4), Column("saved", "B", "number", 1),
    Column("MACs to learn", "", "number", 2), Column("MACs to get there", "", "number", 5),
)  # fmt: skip
OWN = (Action.GRAD_WEIGHT, Action.GRAD_BIAS)
NO_WEIGHTS = "it has no weights"
COMPUTED = "its weights are computed by the network"
SHARED = "its weights are read by several ops, as by all moments of a recurrent layer"
LEGEND = (
    "A layer's number is what schemes call it by, as in dynamic:layers=36+39. Learning is that of the whole "
    "layer alone, in SRAM, with the default formats: its parameters, what a step saves for it, the "
    "multiply-accumulates of its own gradient, and those that bring the error there from the loss."
)


@dataclass(frozen=True, slots=True)
class LearningCost:
    """What a step has more, beside the forward pass, if one layer learns as a whole and nothing else does."""

    parameter_bytes: int
    """Of SRAM, for weights and bias, what their format keeps beside them and the numbers of the channels."""
    saved_bytes: int
    """Of activations and masks that are kept for the backward pass."""
    own_macs: int
    """Of the gradient of its weights and bias."""
    error_macs: int
    """Of the gradients that bring the error from the loss to the layer's output."""

    @classmethod
    def of(cls, step: Step, op: str) -> LearningCost:
        """Take the costs from a lowered step in which only ``op`` learns."""
        held = dict.fromkeys(Role, 0)
        for tensor in step.tensors.values():
            held[tensor.role] += tensor.bytes
        backward = step.macs(Phase.BACKWARD)
        mine = (o for o in step.ops if o.source is not None and o.source.name == op and o.action in OWN)
        own = sum(o.work.macs + o.work.float_macs for o in mine)
        parameters = held[Role.WEIGHT] + held[Role.BIAS] + held[Role.HEAD]
        return cls(parameters, held[Role.FEATURE] + held[Role.MASK], own, backward - own)


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One op of a network, in the order of execution.

    Attributes:
        number: what update schemes call the layer; ``None`` for the head and for what has no weights.
        weights: elements of its weight; 0 without one.
        biases: elements of its bias; 0 without one.
        macs: multiply-accumulates of its forward pass; ``None`` where its arithmetic is not known.
        learns: ``weights``, ``bias``, both, or neither.
        cost: of learning it whole; ``None`` if it cannot learn.
        why_not: why it cannot learn.
        refused: why the op cannot be executed, or no gradient can pass it, and what to do about that.
    """

    number: int | None
    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    weights: int
    biases: int
    macs: int | None
    learns: tuple[str, ...]
    cost: LearningCost | None
    why_not: str = ""
    refused: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        cost = self.cost
        return {
            "number": self.number, "name": self.name, "kind": self.kind, "shape": list(self.shape),
            "dtype": self.dtype, "weights": self.weights, "biases": self.biases, "macs": self.macs,
            "learns": list(self.learns), "why_not": self.why_not,
            "refused": self.refused,
            "cost": None if cost is None else {
                "parameter_bytes": cost.parameter_bytes, "saved_bytes": cost.saved_bytes,
                "own_macs": cost.own_macs, "error_macs": cost.error_macs,
            },
        }  # fmt: skip


@dataclass(frozen=True)
class ModelSummary(Shown):
    """What a network is: its task, inputs and outputs, arithmetic, and every layer."""

    model: Model
    layers: tuple[LayerSummary, ...]

    @cached_property
    def weights(self) -> int:
        """Elements of all weights; what several ops read counts once."""
        names = {op.weight for op in self.model.ops if op.weight is not None}
        return sum(self.model.tensors[name].elements for name in names)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of one inference; ``None`` if those of some layer are not known."""
        known = [layer.macs for layer in self.layers]
        return None if None in known else sum(count for count in known if count is not None)

    @property
    def task(self) -> str | None:
        """What it is trained for if neither a person nor data say another; ``None`` if that is not clear."""
        return self._task[0]

    @cached_property
    def _task(self) -> tuple[str | None, str]:
        """Its name, and how it was found."""
        try:
            return choose(self.model).name, "guessed"
        except McusimError as error:
            return None, f"{error.reason} ({error.way_out})"

    @property
    def table(self) -> pd.DataFrame:
        """One row a layer."""
        import pandas as pd

        rows = [layer.as_dict() for layer in self.layers]
        return pd.DataFrame([{**row, **(row.pop("cost") or {})} for row in rows]).set_index("name")

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        model = self.model
        return {
            "model": model.name, "task": self.task, "arithmetic": str(model.arithmetic), "head": model.head,
            "inputs": [_as_dict(model.tensors[name]) for name in model.inputs],
            "outputs": [_as_dict(model.tensors[name]) for name in model.outputs],
            "states": [_as_dict(model.tensors[state.name]) for state in model.states],
            "weights": self.weights, "macs": self.macs, "source": model.source,
            "layers": [layer.as_dict() for layer in self.layers],
        }  # fmt: skip

    def sections(self) -> list[Section]:
        """Return what goes in and out, the layers, and why some cannot learn."""
        model = self.model
        unknown, how = "unknown: some of its arithmetic is not", self._task[1]
        facts = [
            ("task", f"{self.task} ({how})" if self.task else f"not clear: {how}"),
            *(("input", _text(model.tensors[name])) for name in model.inputs),
            *(("output", _text(model.tensors[name])) for name in model.outputs),
            *(("state", _text(model.tensors[state.name])) for state in model.states),
            ("arithmetic", f"{model.arithmetic}: the integers of {model.arithmetic.twin}"),
            ("head", ", ".join(heads(model)) or "none: load it with classes=… to give it one"),
            ("weights", f"{self.weights:,}"),
            ("MACs", unknown if self.macs is None else f"{self.macs:,} an inference"),
        ]
        if model.source:
            facts.append(("source", model.source))
        rows = []
        for layer in self.layers:
            cost = layer.cost
            learning: tuple[int | None, ...] = (None,) * 4
            if cost is not None:
                learning = (cost.parameter_bytes, cost.saved_bytes, cost.own_macs, cost.error_macs)
            rows.append(
                (
                    layer.number, layer.name, layer.kind, "x".join(map(str, layer.shape)), layer.weights,
                    layer.macs, "+".join(layer.learns) or None, *learning,
                )
            )  # fmt: skip
        found: list[Section] = [Headline(model.name), Facts(facts), Table(COLUMNS, rows)]
        refused = [f"{layer.name}: {layer.refused}" for layer in self.layers if layer.refused]
        if refused:
            found.append(Notes(refused, "in the way"))
        reasons = self._reasons()
        if reasons:
            found.append(Notes(reasons, "cannot learn"))
        return [*found, Notes((LEGEND,), quiet=True)]

    def _reasons(self) -> list[str]:
        """Return each reason once, with the layers it holds back; an addition without weights is no news."""
        held: dict[str, list[str]] = {}
        for layer in self.layers:
            if layer.why_not and layer.why_not != NO_WEIGHTS:
                held.setdefault(layer.why_not, []).append(layer.name)
        return [
            f"{names[0] if len(names) == 1 else f'{len(names)} layers, the first {names[0]}'}: {reason}"
            for reason, names in held.items()
        ]


def show(model: Model | str | Path) -> ModelSummary:
    """Return what a network is, layer by layer, and what each layer costs to learn.

    It needs no board, and takes any network that can be loaded, also one that cannot be planned: float ones,
    or those with ops that have no gradient; the reason is then told.

    Args:
        model: the network, from ``mcusim.load``, or its name or path.

    Returns:
        Its task, inputs, outputs and arithmetic, and a row for every op.
    """
    model = network(model)
    known = learnable(model)
    numbers = {name: number for number, name in enumerate(known)}
    return ModelSummary(model, tuple(_layer(model, op, numbers) for op in model.ops))


def _layer(model: Model, op: Op, numbers: Mapping[str, int]) -> LayerSummary:
    tensors = model.tensors
    weight = None if op.weight is None else tensors[op.weight]
    bias = None if op.bias is None else tensors[op.bias]
    cost, why_not = None, NO_WEIGHTS if weight is None else ""
    found = (("weights", weight is not None and weight.constant), ("bias", bias_can_learn(model, op)))
    learns = tuple(name for name, can in found if can)
    if weight is not None:
        cost, why_not = _cost(model, op, "bias" in learns)
    try:
        work = forward_work(op, tensors)
        macs = work.macs + work.float_macs
    except McusimError:
        macs = None
    output = tensors[op.output]
    return LayerSummary(
        numbers.get(op.name), op.name, str(op.kind), output.shape, output.dtype,
        0 if weight is None else weight.elements, 0 if bias is None else bias.elements, macs,
        learns if cost is not None else (), cost, why_not, _refused(model, op),
    )  # fmt: skip


def _refused(model: Model, op: Op) -> str:
    """Return why an op cannot be executed, or no gradient can pass it to something that learns."""
    try:
        check_forward(op, model.tensors, model.arithmetic)
    except McusimError as error:
        return f"cannot be executed: it {error.reason}" + (f" ({error.way_out})" if error.way_out else "")
    before = {op.name for op in model.ops[: model.ops.index(op)] if op.traits.weighted}
    behind = op.output in model.outputs and op.kind in (OpKind.ARG_MAX, OpKind.DEQUANTIZE)
    if not before or behind:
        return ""
    try:
        check_gradient(op)
    except McusimError as error:
        return f"lets no gradient pass: {error.reason}" + (f" ({error.way_out})" if error.way_out else "")
    return ""


def _cost(model: Model, op: Op, bias: bool) -> tuple[LearningCost | None, str]:
    """Return what learning a weighted op costs, or why it cannot: by lowering a step in which it does."""
    known = learnable(model)
    if op.name in heads(model):
        scope = Scope({}, (), (), head=True)
    elif op.name in known:
        biases = (op.name,) if bias else ()
        scope = Scope({op.name: known[op.name].channels}, (op.name,), biases, head=False)
    else:
        return None, SHARED if model.tensors[op.inputs[1]].constant else COMPUTED
    try:
        goals = Goals(tuple(Goal(name, Classification()) for name in model.outputs))
        return LearningCost.of(lower(model, scope, task=goals), op.name), ""
    except McusimError as error:
        return None, f"{error.thing} {error.reason}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _text(tensor: Tensor) -> str:
    text, quant = f"{tensor.name}: {tensor.dtype} {_shape(tensor)}", tensor.quant
    if quant is None:
        return text
    scale = f"{len(quant.scale)} scales" if quant.per_channel else f"scale {float(quant.scale[0]):.6g}"
    return f"{text}, {scale}, zero point {quant.zero_point}"


def _as_dict(tensor: Tensor) -> dict[str, Any]:
    quant = tensor.quant
    return {
        "name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype,
        "scale": None if quant is None else [float(scale) for scale in quant.scale],
        "zero_point": None if quant is None else quant.zero_point,
    }  # fmt: skip
