"""Weights that learn and live in flash: what the firmware is told of their columns in SRAM."""

from __future__ import annotations

from math import prod
from typing import Any

from mcusim.core import Kind, Slot
from mcusim.deployment.context import StepContext
from mcusim.deployment.learned import learned_slots
from mcusim.deployment.text import CText
from mcusim.graph import DTYPES, OpKind
from mcusim.kernels.columns import groups
from mcusim.lowering.flash import in_columns


def resident(context: StepContext, header_bytes: int) -> dict[str, Any]:
    """Return the field of the network's record that says what lives in flash; none where nothing does.

    Args:
        context: a placed step.
        header_bytes: before what is learned in a copy.
    """
    rows = [
        _columns(context, slot, place)
        for slot, place in learned_slots(context.step).items()
        if in_columns(context.step, slot)
    ]
    if not rows:
        return {}
    constants = context.constants
    return {"resident": constants.record("resident", "mcusim_resident", {
        "columns": constants.records("columns", "mcusim_columns", rows), "columns_count": len(rows),
        "first": CText(f"{constants.prefix}_checkpoint + {header_bytes}"), "now": context.residence,
        "write_back": CText("mcusim_write_back"), "read": CText("mcusim_read_columns"),
        "give": CText("mcusim_give_columns"),
    })}  # fmt: skip


def _columns(context: StepContext, slot: Slot, place: int) -> dict[str, Any]:
    op, channels = context.model.op(slot.of), Slot(slot.of, Kind.CHANNELS)
    weight, depthwise = context.tensors[op.inputs[1]].shape, op.kind is OpKind.DEPTHWISE_CONV_2D
    inputs = weight[1] if op.kind is OpKind.FULLY_CONNECTED else context.tensors[op.inputs[0]].shape[-1]
    return {
        "columns": context.at(slot), "channels": context.at(channels), "at": place,
        "count": prod(context.shape(channels)), "inputs": inputs,
        "outputs": weight[op.traits.channel_axis], "taps": prod(weight[1:-1]),
        "groups": groups(op, context.tensors), "depthwise": depthwise,
        "bytes": DTYPES[context.step.tensors[slot].dtype],
    }  # fmt: skip
