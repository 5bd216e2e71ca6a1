"""What an op writes that engine and firmware must agree on."""

from __future__ import annotations

from collections.abc import Iterator

from mcusim.core import Kind, Role, is_kind
from mcusim.lowering.action import Action
from mcusim.lowering.step import Step, StepOp, StepTensor


def compared(tensor: StepTensor) -> bool:
    """Return False for what has no meaning to compare: scratch, the firmware's own, a scheme's memory.

    Scales of errors are numbers of the host, and compared as such.
    """
    own = tensor.role in (Role.SCRATCH, Role.RUNTIME) or tensor.name == "error_scales"
    return not own and not is_kind(tensor.name, Kind.SELECTION)


def whole(step: Step, time: int, op: StepOp) -> bool:
    """Return True unless more patches of the same tensor follow."""
    later = step.ops[time + 1 :]
    return op.action is not Action.PASTE or not any(
        o.action is Action.PASTE and o.writes == op.writes for o in later
    )


def written(step: Step, time: int) -> Iterator[StepTensor]:
    """Yield the tensors that an op has made whole."""
    op = step.ops[time]
    if not whole(step, time, op):
        return
    for name in (*op.writes, *([op.mask] if op.mask and op.action is Action.FORWARD else [])):
        if compared(step.tensors[name]):
            yield step.tensors[name]
