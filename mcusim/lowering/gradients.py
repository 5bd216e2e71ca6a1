"""Which gradients a selection needs, and where the frozen front of the network ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from mcusim.core import BadModel
from mcusim.graph import Model, Op, OpKind
from mcusim.graph.outputs import heads
from mcusim.tasks.classification import Classification
from mcusim.tasks.goals import Goals
from mcusim.tasks.task import Task
from mcusim.update.selection import Scope


def activations(model: Model, op: Op) -> tuple[tuple[int, str], ...]:
    """Return (index, name) of the inputs of ``op`` that are activations."""
    if op.traits.weighted:
        return ((0, op.inputs[0]),)
    return tuple((i, n) for i, n in enumerate(op.inputs) if not model.tensors[n].constant)


def crossings(model: Model, ops: tuple[Op, ...]) -> Iterator[set[str]]:
    """Yield for each op which tensors cross from the ops up to it to those behind it.

    Those are the inputs of the model and the outputs of these ops that a later op reads.
    """
    last = {name: i for i, op in enumerate(ops) for _, name in activations(model, op)}
    live = set(model.inputs) & last.keys()
    for i, op in enumerate(ops):
        live = {name for name in (*live, op.output) if last.get(name, -1) > i}
        yield live


def trained_ops(model: Model, task: Task | None) -> tuple[Op, ...]:
    """Return the ops up to the logits: the loss contains the task's link, a final softmax or sigmoid.

    Raises:
        BadModel: if nothing is left.
    """
    end = len(model.ops)
    for index in reversed(range(end)):
        kind = model.ops[index].kind
        if task is not None and kind in task.link:
            end = index
        elif kind not in (OpKind.QUANTIZE, OpKind.DEQUANTIZE, OpKind.RESHAPE):
            break
    if not end:
        raise BadModel(model.name, "has no op that could be trained", "give a network with weights")
    return model.ops[:end]


def trained_part(model: Model, goals: Goals) -> tuple[tuple[Op, ...], tuple[str, ...]]:
    """Return the ops up to the logits of every goal, in order, and the logits.

    Raises:
        BadModel: if there are none, or if two outputs have the same logits.
    """
    if goals.single is not None and len(model.outputs) == 1:
        ops = trained_ops(model, goals.single.task)
        return ops, (ops[-1].output,)
    wanted: set[str] = set()
    logits: list[str] = []
    for goal in goals.items:
        part = trained_ops(goal.part(model), goal.task)
        wanted.update(op.name for op in part)
        if part[-1].output in logits:
            reason = (
                f"ends in the same scores as output {goals.items[logits.index(part[-1].output)].output!r}"
            )
            raise BadModel(f"output {goal.output!r} of {model.name}", reason, "train one of them")
        logits.append(part[-1].output)
    return tuple(op for op in model.ops if op.name in wanted), tuple(logits)


@dataclass(frozen=True, slots=True)
class Flow:
    """What the backward pass of a step has to compute."""

    ops: tuple[Op, ...]
    """The ops of the forward pass, in order."""
    logits: tuple[str, ...]
    """What the losses read, one for each goal."""
    needs: frozenset[str]
    """Activations whose gradient is needed."""
    front: int
    """``ops[:front]`` are frozen: nothing in them learns or passes gradient on."""
    boundary: str | None
    """The one tensor that crosses from the front to the rest; ``None`` if there is no front."""

    @classmethod
    def of(cls, model: Model, scope: Scope, goals: Goals | None) -> Flow:
        """Derive the flow of gradients from what may learn and what for.

        If nothing does, all ops are the front, those after the logits included.
        """
        if not scope.learns:
            return cls(model.ops, model.outputs, frozenset(), len(model.ops), None)
        ops, logits = trained_part(model, goals or Goals.of(model, Classification()))
        learning = {*scope.eligible, *scope.channels, *scope.biases}
        if scope.head:
            learning.update(heads(model))
        # What is perturbed has no gradient: only the classifier's is computed.
        backwards = learning & {*heads(model)} if scope.perturbation else learning
        reached: set[str] = set()
        for op in ops:
            if op.name in backwards or any(n in reached for _, n in activations(model, op)):
                reached.add(op.output)
        useful = set(logits)
        for op in reversed(ops):
            if op.output in useful:
                useful.update(n for _, n in activations(model, op))
        needs = frozenset(reached & useful)
        front, boundary = _front(model, ops, learning)
        return cls(ops, logits, needs, front, boundary)


def _settled(model: Model, ops: tuple[Op, ...]) -> dict[str, int]:
    """Return for each state how many of the ops it takes until it is read and its new value is there."""
    read = {name: i for i, op in enumerate(ops, start=1) for name in op.inputs}
    made = {op.output: i for i, op in enumerate(ops, start=1)}
    return {s.name: max(read.get(s.name, 0), made.get(s.after, 0)) for s in model.states}


def check_frozen_states(flow: Flow, model: Model) -> None:
    """Check that what a network keeps follows from layers that do not learn.

    An error would have to be passed back through all invocations of a sequence, and those are gone.

    Raises:
        BadModel: if not; names the state.
    """
    settled = _settled(model, flow.ops)
    made = {*model.inputs, *settled, *(op.output for op in flow.ops)}
    for state in model.states:
        if state.after not in made or settled[state.name] > flow.front:
            raise BadModel(
                f"state {state.name!r} of {model.name}", "is read, or made, where layers learn",
                "let those behind it learn alone, head for example",
            )  # fmt: skip


def _front(model: Model, ops: tuple[Op, ...], learning: set[str]) -> tuple[int, str | None]:
    """Return the longest frozen front that hands exactly one tensor to the rest.

    All that a network keeps from one invocation to the next is made and read there.
    """
    least = max(_settled(model, ops).values(), default=0)
    first = next((i for i, op in enumerate(ops) if op.name in learning), len(ops))
    longest: tuple[int, str | None] = (0, None)
    for count, crossing in enumerate(islice(crossings(model, ops), first), start=1):
        if len(crossing) == 1 and count >= least:
            (boundary,) = crossing
            if model.tensors[boundary].shape[:1] == (1,):  # features are kept example by example
                longest = count, boundary
    return longest
