"""The examples that a step keeps and learns again: where they lie, and what moving one costs."""

from __future__ import annotations

from mcusim.core import BadArgument, Phase, Role, Work
from mcusim.data.replay import Rehearsal
from mcusim.graph import Model
from mcusim.lowering.action import Action
from mcusim.lowering.builder import Builder
from mcusim.lowering.gradients import Flow
from mcusim.lowering.step import Kept
from mcusim.mcu.flash.ring import INDEX_BYTES
from mcusim.tasks.goals import Goals

BUFFER = "replay"
"""The tensor that holds the examples."""
INDEX = "replay_index"
"""That of where in flash they are."""


def emit_replay(builder: Builder, model: Model, flow: Flow, goals: Goals, replay: Rehearsal) -> Kept | None:
    """Emit the buffer, and the move of one example in or out of it; return what is kept in flash.

    Of a buffer in flash SRAM holds the place of each example.

    Raises:
        BadArgument: for latents of a network of which nothing is frozen, and for whole sequences.
    """
    if replay.kind == "raw" and model.states:
        reason = f"would keep whole sequences of {model.name}, whose length is not known"
        raise BadArgument("replay raw", reason, "keep latents")
    if replay.kind == "raw":
        example = sum(model.tensors[name].bytes for name in model.inputs)
    elif flow.boundary is None or not flow.front:
        way_out = "keep raw examples, or let fewer layers learn"
        raise BadArgument("replay latent", "has no latents: no layer before the first that learns", way_out)
    else:
        example = model.tensors[flow.boundary].bytes
    label = 0
    for goal in goals.items:
        target = goal.target(model)
        label += target.bytes if target is not None else 1 if model.classes <= 256 else 2
    size, one = replay.bytes(example, label), example + label
    work = Work("copy", outputs=one)
    if replay.place == "flash":
        work = Work("copy", outputs=one, flash_read=one)
        index = builder.tensor(INDEX, (INDEX_BYTES * replay.capacity,), "uint8", Role.REPLAY, persistent=True)
        partly = {index: INDEX_BYTES}
        builder.op(BUFFER, Action.REPLAY, Phase.FORWARD, reads=(index,), partly=partly, work=work)
        return Kept(one, replay.capacity)
    builder.tensor(BUFFER, (size,), "uint8", Role.REPLAY, persistent=True)
    builder.op(BUFFER, Action.REPLAY, Phase.FORWARD, reads=(BUFFER,), partly={BUFFER: one}, work=work)
    return None
