"""What a device does all day: the choices of a timeline."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core.chosen import Chosen
from mcusim.core.setting import setting


@dataclass(frozen=True, slots=True)
class Duty(Chosen):
    """Frames that come, and write-backs of what was learned from them.

    Raises:
        BadArgument: if a number is out of bounds.
    """

    frames_per_s: float = setting(
        1.0, "frames that the sensor makes", unit="frames a second", flags=("--fps",), above=0, most=10_000
    )
    hours: float = setting(1.0, "simulated time", unit="hours", above=0, most=366 * 24)
    dma_bytes_per_s: float | None = setting(
        None, "rate of the transfer of a frame into SRAM; at once if not given", unit="bytes a second",
        flags=("--dma",), above=0, example="1e6",
    )  # fmt: skip
    buffers: int = setting(1, "input buffers", least=1, most=64)
    write_back_every: int = setting(
        1000, "steps between write-backs of the learned parameters; 0: never", unit="steps", least=0
    )
    slots: int = setting(2, "copies in flash, written in turn", least=2, most=64)
