"""What a planned session does on its device over hours: needs only the plan's time of a step."""

from __future__ import annotations

from typing import Any

from mcusim.core import BadBoard
from mcusim.core.chosen import chosen, takes
from mcusim.core.wording import choice
from mcusim.lowering.flash import checkpoint_bytes
from mcusim.mcu.flash.write_back import write_back
from mcusim.mcu.timeline.scenario import scenario
from mcusim.mcu.timeline.timeline import Timeline, simulate
from mcusim.planning.duty import Duty
from mcusim.planning.plan import Plan


@takes(Duty)
def timeline(plan: Plan, *, duty: Duty | None = None, window_s: float = 10.0, **choices: Any) -> Timeline:
    """Simulate frames, training steps and write-backs of a plan on its board.

    Args:
        plan: a planned session; its estimate gives the time of a step, its input the size of a frame.
        duty: what to start from; the defaults if not given.
        window_s: slices are kept for this many seconds.
        choices: of ``Duty`` by name, e.g. ``frames_per_s=2``, ``hours=24``.

    Returns:
        What happened: frames, steps, write-backs, energy, flash life, and the first seconds as slices.

    Raises:
        BadBoard: if the board has no cycle profile, or a figure the write-back needs is absent.
        UnknownName: for a choice that there is not; suggests the nearest.
        BadArgument: if a value makes no sense.
        OutOfSram, OutOfFlash: if the step or the copies do not fit: such a device does nothing.
    """
    wanted = chosen(duty or Duty(), choices)
    plan.require()
    board = plan.board
    if plan.estimate is None:
        raise BadBoard(
            f"board {board.name}",
            "has no cycle profile, and a timeline needs the time of a step",
            f"give one: {choice('profile')}",
        )
    learned = checkpoint_bytes(plan.step)
    writes = None
    if wanted.write_back_every and learned:
        writes = write_back(board, learned, wanted.slots, places=plan.flash.copies)
    return simulate(
        scenario(
            board, plan.estimate, frames_per_s=wanted.frames_per_s, duration_s=wanted.hours * 3600,
            frame_bytes=sum(plan.step.model.tensors[name].bytes for name in plan.step.model.inputs),
            dma_bytes_per_s=wanted.dma_bytes_per_s,
            buffers=wanted.buffers, write_back=writes,
            write_back_every=wanted.write_back_every if writes else 0, learns=plan.step.scope.learns,
        ),
        window_s=window_s,
    )  # fmt: skip
