"""The C kernels of losses, and what the API knows of the outputs that they read."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.deployment.context import StepContext, refusal
from mcusim.deployment.records import TYPES, Call
from mcusim.deployment.text import NULL, CText
from mcusim.graph import QUANTISED
from mcusim.lowering.step import StepOp
from mcusim.tasks.goals import Goal

LOSSES = {
    "classification": "mcusim_cross_entropy",
    "segmentation": "mcusim_pixel_cross_entropy",
    "binary": "mcusim_sigmoid_cross_entropy",
    "multi-label": "mcusim_sigmoid_cross_entropy",
    "regression": "mcusim_squared_error",
    "reconstruction": "mcusim_squared_error",
}
"""C kernel of each task's loss."""


def loss(context: StepContext, op: StepOp, *, place: str | None = None) -> Call:
    """Return the call of one loss of a step.

    Args:
        context: the step.
        op: which of its losses.
        place: where the logits lie, if not where they are read: then nobody asks for a gradient.

    Raises:
        BadModel: if there is no C kernel for it; names it.
    """
    step, model = context.step, context.model
    assert step.goals is not None
    number = step.logits.index(op.reads[0])
    goal = step.goals.items[number]
    if goal.task.name not in LOSSES:
        raise refusal(f"task {goal.task.name}", "has no C kernel for its loss")
    logits = model.tensors[op.reads[0]]
    output = _output(context, goal, logits.name)
    quantised = logits.dtype in QUANTISED
    fields: dict[str, Any] = {
        "logits": context.at(place or logits.name), "g": NULL if place else context.at(op.writes[0]),
        "count": logits.elements, "classes": logits.shape[-1], "logits_scale": output["scale"],
        "logits_zero": output["zero"],
        "logits_type": output["type"], "chain": output["scale"] if quantised else 1.0,
        "smoothing": goal.smoothing,
    }  # fmt: skip
    target = goal.target(model)
    if target is not None:
        scale, zero = real(target.quant)
        fields |= {
            "target": context.at(target.name), "target_scale": scale, "target_zero": zero,
            "target_type": TYPES.get(target.dtype, CText("0")),
        }  # fmt: skip
    kernel = LOSSES[goal.task.name]
    if step.goals.single is not None:
        if goal.weight != 1:
            raise refusal(f"weight {goal.weight:g} of the only loss", "is a factor on learning rates")
        return Call(kernel, "mcusim_loss", fields)
    if quantised:
        fields["chain"] = np.float32(fields["chain"]) * np.float32(goal.weight)
    return Call("mcusim_one_of_losses", "mcusim_weighted_loss", {
        "run": CText(kernel), "loss": fields, "weight": goal.weight, "goal": number,
    })  # fmt: skip


def goals(context: StepContext) -> list[dict[str, Any]]:
    """Return the outputs that learn as rows of ``mcusim_goal``."""
    assert context.step.goals is not None
    each = zip(context.step.goals.items, context.step.logits, strict=True)
    return [_output(context, goal, logits) for goal, logits in each]


def _output(context: StepContext, goal: Goal, name: str) -> dict[str, Any]:
    logits, target = context.tensors[name], goal.target(context.model)
    if logits.dtype not in TYPES:
        raise refusal(f"output {name!r}", f"is {logits.dtype}")
    scale, zero = real(logits.quant)
    return {
        "logits": context.at(name), "count": logits.elements, "scale": scale, "zero": zero,
        "type": TYPES[logits.dtype], "target": NULL if target is None else context.at(target.name),
        "target_bytes": 0 if target is None else target.bytes,
    }  # fmt: skip


def real(quant: Any) -> tuple[float, int]:
    """Return scale and zero point of a tensor; 1 and 0 where it has none."""
    return (1.0, 0) if quant is None else (float(quant.scale[0]), quant.zero_point)
