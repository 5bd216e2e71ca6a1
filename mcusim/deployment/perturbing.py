"""What learns from two forward passes: the C kernels that move it, and step by what that did to the loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mcusim.core import SlotPart
from mcusim.deployment.context import StepContext, source_of
from mcusim.deployment.losses import loss
from mcusim.deployment.parameters import ParameterCalls
from mcusim.deployment.records import Call
from mcusim.deployment.text import CText
from mcusim.engine.perturbation import bias_units
from mcusim.lowering.action import Action
from mcusim.lowering.perturbed import PROBE, clean_name
from mcusim.lowering.step import StepOp

FIRST, OTHER_SIDE, BACK = 1, -1, 0
"""Times the step that a weight is moved from where it was."""


def perturbed(context: StepContext, parameters: ParameterCalls, op: StepOp) -> Call:
    """Return the call that moves a parameter along its direction, or back with a step of learning."""
    source, part = source_of(op), op.part
    assert part is not None
    estimates = op.action is Action.ESTIMATE
    times = BACK if estimates else OTHER_SIDE if op.index else FIRST
    fields: dict[str, Any] = {
        "update": parameters.update_fields(source, part), "moment": parameters.moment(source, part),
        "above": CText(f"&{context.constants.prefix}_above"),
    }  # fmt: skip
    step = context.step.scope.perturbation
    if part is SlotPart.WEIGHT:
        fields |= {"clean": context.at(clean_name(source)), "step": step, "times": times}
    else:  # moved from where it is
        units = bias_units(context.step, source, step)
        fields |= {
            "units": context.table(source, "units", units),
            "times": {FIRST: 1, OTHER_SIDE: -2, BACK: 1}[times],
        }
    return Call("mcusim_estimate" if estimates else "mcusim_perturb", "mcusim_perturbation", fields)


def probed(context: StepContext, op: StepOp) -> Call:
    """Return the call of the loss on the one side, which is kept for the estimates.

    Raises:
        BadModel: if there is no C kernel for it; names it.
    """
    place = op.reads[0]
    own = loss(context, replace(op, reads=(place.removesuffix(PROBE), *op.reads[1:])), place=place)
    record = context.constants.record(f"probed_{op.name}", own.struct, own.fields)
    return Call("mcusim_probe", "mcusim_probed_loss", {
        "run": CText(own.kernel), "loss": record, "above": CText(f"&{context.constants.prefix}_above"),
    })  # fmt: skip


def probe_ops(context: StepContext) -> dict[str, int]:
    """Return which ops inference leaves out: moves, and the pass with moved parameters; nothing without."""
    actions = [op.action for op in context.step.ops]
    if Action.PERTURB not in actions:
        return {}
    last = len(actions) - actions[::-1].index(Action.PERTURB)
    return {"probe_op": actions.index(Action.PERTURB), "probe_end": last}
