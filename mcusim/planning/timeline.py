"""What a planned session does on its device over hours: needs only the plan's time of a step."""

from __future__ import annotations

from mcusim.core import BadBoard
from mcusim.lowering.flash import checkpoint_bytes
from mcusim.mcu.flash.write_back import write_back
from mcusim.mcu.timeline.scenario import scenario
from mcusim.mcu.timeline.timeline import Timeline, simulate
from mcusim.planning.plan import Plan


def timeline(
    plan: Plan,
    *,
    frames_per_s: float = 1.0,
    duration_s: float = 3600.0,
    dma_bytes_per_s: float | None = None,
    buffers: int = 1,
    write_back_every: int = 1000,
    slots: int = 2,
    window_s: float = 10.0,
) -> Timeline:
    """Simulate frames, training steps and write-backs of a plan on its board.

    Args:
        plan: a planned session; its estimate gives the time of a step, its input the size of a frame.
        frames_per_s: rate of the sensor.
        duration_s: simulated time.
        dma_bytes_per_s: rate of the transfer of a frame into SRAM; at once if ``None``.
        buffers: input buffers.
        write_back_every: steps between write-backs of the learned parameters; 0: never.
        slots: copies in flash, written in turn.
        window_s: slices are kept for this many seconds.

    Returns:
        What happened: frames, steps, write-backs, energy, flash life, and the first seconds as slices.

    Raises:
        BadBoard: if the board has no cycle profile, or a figure the write-back needs is absent.
        BadArgument: if a value makes no sense.
        OutOfSram, OutOfFlash: if the step or the copies do not fit: such a device does nothing.
    """
    plan.require()
    board = plan.board
    if plan.estimate is None:
        raise BadBoard(
            f"board {board.name}",
            "has no cycle profile, and a timeline needs the time of a step",
            "give --profile",
        )
    learned = checkpoint_bytes(plan.step)
    writes = write_back(board, learned, slots) if write_back_every and learned else None
    return simulate(
        scenario(
            board, plan.estimate, frames_per_s=frames_per_s, duration_s=duration_s,
            frame_bytes=plan.step.model.input.bytes, dma_bytes_per_s=dma_bytes_per_s, buffers=buffers,
            write_back=writes, write_back_every=write_back_every if writes else 0,
        ),
        window_s=window_s,
    )  # fmt: skip
