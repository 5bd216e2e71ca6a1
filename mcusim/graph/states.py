"""What a streaming network keeps from one invocation to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mcusim.core import BadModel
from mcusim.graph.ops import Op
from mcusim.graph.tensor import Tensor


@dataclass(frozen=True, slots=True)
class StreamState:
    """One variable of a network, as a function of an invocation: what it is before, and what it becomes.

    All readers of ``name`` see the value that the invocation before left; once the last of them is done, it
    becomes that of ``after``. A sequence of invocations begins with ``initial``.
    """

    name: str
    """The tensor that holds it from invocation to invocation."""
    after: str
    """The tensor of the same shape and type whose value it takes: of an op, an input, or another state."""
    initial: str
    """The constant that it begins a sequence with."""


class Stateful(Protocol):
    """A network, as far as this module knows one."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def states(self) -> tuple[StreamState, ...]:
        """What it keeps."""
        ...


def needed(outputs: Iterable[str], ops: Sequence[Op], states: Sequence[StreamState] = ()) -> set[str]:
    """Return the tensors that ``outputs`` follow from, themselves included, over all invocations."""
    found = set(outputs)
    while True:
        before = len(found)
        for op in reversed(ops):
            if op.output in found:
                found.update(op.inputs)
        for state in states:
            if state.name in found:
                found.update((state.after, state.initial))
        if len(found) == before:
            return found


def kept(states: Iterable[StreamState], names: set[str]) -> tuple[StreamState, ...]:
    """Return the states among ``names``."""
    return tuple(state for state in states if state.name in names)


def turns(states: Sequence[StreamState], ops: Sequence[Op]) -> dict[str, list[StreamState]]:
    """Return, by the name of an op, the states that take their new value right behind it, in order.

    That is as early as it can be: the new value is there, and whoever reads the old one has read it.

    Raises:
        BadModel: if states take each other's values in a circle.
    """
    times = {
        state.name: max(
            (i for i, op in enumerate(ops) if op.output == state.after or state.name in op.inputs), default=-1
        )
        for state in states
    }
    found: dict[str, list[StreamState]] = {}
    waiting = list(states)
    time = -1
    while waiting:
        # A state whose value another one takes waits for that.
        free = [s for s in waiting if all(other is s or other.after != s.name for other in waiting)]
        if not free:
            reason = "takes the value of a state that takes its own"
            raise BadModel(f"state {waiting[0].name!r}", reason, "export the network without such a swap")
        state = min(free, key=lambda s: times[s.name])
        time = max(time, times[state.name])
        found.setdefault(ops[time].name, []).append(state)
        waiting.remove(state)
    return found


def check_states(states: Sequence[StreamState], tensors: Mapping[str, Tensor], made: Iterable[str]) -> None:
    """Check that states can be what they are said to be.

    Raises:
        BadModel: names the first that is wrong.
    """
    values = {*made, *(state.name for state in states)}
    for state in states:
        thing = f"state {state.name!r}"
        if missing := [n for n in (state.name, state.after, state.initial) if n not in tensors]:
            raise BadModel(thing, f"names tensor {missing[0]!r}, which does not exist")
        tensor, after, initial = (tensors[n] for n in (state.name, state.after, state.initial))
        if tensor.constant or state.after not in values or not initial.constant:
            raise BadModel(thing, f"is a constant, begins with none, or {state.after!r} is written by no op")
        for other in (after, initial):
            if (other.shape, other.dtype) != (tensor.shape, tensor.dtype):
                raise BadModel(
                    thing, f"is {tensor.dtype} {list(tensor.shape)}, and {other.name!r} is {other.dtype} "
                    f"{list(other.shape)}",
                )  # fmt: skip
    if len({state.name for state in states}) != len(states):
        raise BadModel("the graph", "has two states of the same name")


def require_stateless(model: Stateful, what: str, way_out: str) -> None:
    """Refuse a network that keeps state, of which ``what`` is true.

    Raises:
        BadModel: names the first state.
    """
    if model.states:
        reason = f"keeps state ({model.states[0].name!r}), and {what}"
        raise BadModel(model.name, reason, way_out)
