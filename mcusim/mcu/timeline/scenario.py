"""What a device does all day: frames that arrive, steps that learn from them, write-backs."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadArgument
from mcusim.mcu.board import Board
from mcusim.mcu.cycles.cycles import Estimate
from mcusim.mcu.flash.write_back import WriteBack

NS = 1_000_000_000
"""Nanoseconds a second: times are integers, so a simulation repeats itself exactly."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Times in nanoseconds. Frames come every ``period_ns`` whether or not anybody is ready for them."""

    board: Board
    step_ns: int
    """Computing one training step."""
    period_ns: int
    """From one frame to the next."""
    duration_ns: int
    dma_ns: int = 0
    """Moving a frame into its input buffer; the core may compute or sleep meanwhile."""
    buffers: int = 1
    """Input buffers. With one, the sensor waits until the step has done with it."""
    write_back_ns: int = 0
    write_back_every: int = 0
    """Steps between write-backs; 0: never."""
    write_back: WriteBack | None = None
    learns: bool = True
    """False if a step is an inference alone."""

    @property
    def stalls(self) -> bool:
        """True if the core waits while the flash is written: no read-while-write, or not known."""
        return not self.board.flash.read_while_write


def scenario(
    board: Board,
    step: Estimate | float,
    *,
    frames_per_s: float,
    duration_s: float = 3600.0,
    frame_bytes: int = 0,
    dma_bytes_per_s: float | None = None,
    buffers: int = 1,
    write_back: WriteBack | None = None,
    write_back_every: int = 0,
    learns: bool = True,
) -> Scenario:
    """Return a scenario in whole nanoseconds.

    Args:
        board: the board.
        step: an estimate of one training step, or its seconds.
        frames_per_s: rate of the sensor.
        duration_s: simulated time.
        frame_bytes: bytes of a frame, moved at ``dma_bytes_per_s``; without a rate it arrives at once.
        dma_bytes_per_s: rate of that transfer.
        buffers: input buffers in SRAM.
        write_back: cost of writing the learned parameters back.
        write_back_every: steps between write-backs; 0: never.
        learns: False if a step is an inference alone.

    Raises:
        BadArgument: if a value makes no sense.
        BadBoard: if the write-back's time is asked for and unknown.
    """
    step_s = step if isinstance(step, (int, float)) else step.seconds
    for name, value, most in (
        ("frames_per_s", frames_per_s, 10_000),
        ("duration_s", duration_s, 366 * 86_400),
        ("step", step_s, 86_400),
    ):
        if not 0 < value <= most:
            raise BadArgument(f"{name} = {value!r}", f"is not above 0 and at most {most:g}", "check the unit")
    if frame_bytes < 0 or not 1 <= buffers <= 64 or write_back_every < 0:
        raise BadArgument(
            f"frame_bytes {frame_bytes}, buffers {buffers}, write_back_every {write_back_every}",
            "make no sense", "bytes and steps count from 0, buffers from 1 to 64",
        )  # fmt: skip
    if dma_bytes_per_s is not None and dma_bytes_per_s <= 0:
        raise BadArgument(f"dma_bytes_per_s = {dma_bytes_per_s!r}", "is not above 0", "give bytes a second")
    if write_back_every and write_back is None:
        raise BadArgument("write_back_every", "is given without a write_back", "say what one costs")
    writes = write_back if write_back_every else None
    return Scenario(
        board,
        max(1, round(step_s * NS)),
        max(1, round(NS / frames_per_s)),
        round(duration_s * NS),
        round(frame_bytes / dma_bytes_per_s * NS) if dma_bytes_per_s else 0,
        buffers,
        round(writes.typical_ms * NS / 1000) if writes else 0,
        write_back_every,
        writes,
        learns,
    )
