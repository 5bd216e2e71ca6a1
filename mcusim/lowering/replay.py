"""The examples that a step keeps and learns again: where they lie, and what moving one costs."""

from __future__ import annotations

from mcusim.core import BadArgument, Kind, Phase, Role, Slot, Work
from mcusim.data.replay import Rehearsal
from mcusim.graph import Model
from mcusim.lowering.action import Action
from mcusim.lowering.builder import Builder
from mcusim.lowering.gradients import Flow
from mcusim.lowering.step import Kept
from mcusim.mcu.flash.ring import INDEX_BYTES
from mcusim.tasks.goals import Goals

BUFFER = "replay"
"""The tensor that holds the examples: one record after the other, each an example and then its class."""
INDEX = "replay_index"
"""That of where in flash they are: a place of the ring, counted through its blocks."""
COUNTS = "replay_counts"
"""Examples that were offered, draws since the last of them, blocks begun in flash, records in the newest."""
SCAN = Slot(BUFFER, Kind.SCRATCH)
"""How many are kept of each class, for a policy that asks."""


def emit_replay(builder: Builder, model: Model, flow: Flow, goals: Goals, replay: Rehearsal) -> Kept | None:
    """Emit the buffer, and the move of one example in or out of it; return what is kept in flash.

    Of a buffer in flash SRAM holds the place of each example. A step that learns an example again begins
    here: what comes before has been done when it was new.

    Raises:
        BadArgument: for latents of a network of which nothing is frozen, for whole sequences, and for what is
            no class.
    """
    goal = goals.single
    if goal is None or goal.target(model) is not None:
        reason = "keeps examples with their class, and there is none"
        raise BadArgument("replay", reason, "leave it out, or classify with one output")
    names = example(model, flow.boundary, replay)
    if replay.kind == "raw" and model.states:
        reason = f"would keep whole sequences of {model.name}, whose length is not known"
        raise BadArgument("replay raw", reason, "keep latents")
    if not names or (replay.kind == "latent" and not flow.front):
        way_out = "keep raw examples, or let fewer layers learn"
        raise BadArgument("replay latent", "has no latents: no layer before the first that learns", way_out)
    size, label = sum(model.tensors[name].bytes for name in names), label_bytes(model)
    one, scan, scratch = size + label, 0, 0
    if replay.policy == "balanced":  # classes are counted, and one of the largest is looked for
        scan, scratch = 2 * replay.capacity, 4 * model.classes
    counts = builder.tensor(COUNTS, (4,), "int32", Role.REPLAY, persistent=True)
    if replay.place == "flash":
        where = builder.tensor(INDEX, (replay.capacity,), "int16", Role.REPLAY, persistent=True)
        partly, read = {where: INDEX_BYTES}, one + scan * label
    else:
        where = builder.tensor(BUFFER, (replay.bytes(size, label),), "uint8", Role.REPLAY, persistent=True)
        partly, read = {where: one + scan * label}, 0
    builder.op(
        BUFFER, Action.REPLAY, Phase.FORWARD, reads=(*names, where, counts), writes=(where, counts),
        partly=partly, scratch_bytes=scratch,
        work=Work("copy", outputs=one, int_ops=scan + scratch // 4, flash_read=read),
    )  # fmt: skip
    return Kept(one, replay.capacity) if replay.place == "flash" else None


def example(model: Model, boundary: str | None, replay: Rehearsal) -> tuple[str, ...]:
    """Return the tensors that make up an example that is kept; none where there are no latents."""
    if replay.kind == "raw":
        return model.inputs
    return () if boundary is None else (boundary,)


def label_bytes(model: Model) -> int:
    """Return the bytes of the class of an example, least significant first."""
    return 1 if model.classes <= 256 else 2
