"""Sensor, DMA, core and flash as simpy processes over integer nanoseconds, event by event."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mcusim.mcu.timeline.scenario import Scenario

Process = Generator[Any, Any, None]
MOST_SLICES = 200_000
"""Kept for export; a viewer has enough of them."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Something that lasted from ``start_ns`` until ``end_ns`` on one track."""

    track: str
    name: str
    start_ns: int
    end_ns: int


@dataclass(slots=True)
class Totals:
    """Running sums of a simulation; times in nanoseconds."""

    caught: int = 0
    """Frames that found a free buffer."""
    steps: int = 0
    write_backs: int = 0
    active_ns: int = 0
    """The core computes."""
    stalled_ns: int = 0
    """The core waits for the flash."""
    beside_ns: int = 0
    """The flash is written while the core computes or sleeps."""


class Device:
    """The device from time 0 on, event by event: the slow twin of ``device_core``, and the one with slices.

    Args:
        scenario: what happens.
        window_ns: slices are kept until then.
    """

    def __init__(self, scenario: Scenario, window_ns: int) -> None:
        self.scenario, self.window_ns = scenario, window_ns
        self.totals = Totals()
        self.slices: list[Slice] = []
        self._pending = 0
        """Steps since the last write-back."""
        self._free = scenario.buffers
        self._ready: deque[int] = deque()
        self._flash_until = 0

    def run(self, until_ns: int | None = None) -> None:
        """Run until the scenario ends, or ``until_ns`` if that is earlier.

        What was scheduled before the end and falls on it still happens.
        """
        import simpy

        self._env: Any = simpy.Environment()
        self._buffer_free, self._frame_ready = self._env.event(), self._env.event()
        self._env.process(self._sensor())
        self._env.process(self._core())
        end = self.scenario.duration_ns if until_ns is None else min(until_ns, self.scenario.duration_ns)
        self._env.run(until=self._env.any_of([self._env.timeout(end)]))

    def _sensor(self) -> Process:
        env, period = self._env, self.scenario.period_ns
        frame = -(-env.now // period)
        while frame * period < self.scenario.duration_ns:
            yield env.timeout(frame * period - env.now)
            if not self._free:
                self._buffer_free = env.event()
                yield self._buffer_free
                frame = -(-env.now // period)  # the frames in between passed unseen
                continue
            self._free -= 1
            self.totals.caught += 1
            self._keep("DMA", f"frame {frame}", self.scenario.dma_ns)
            # A callback is a third of the events of a process: frames are what a day is full of.
            moved = env.timeout(self.scenario.dma_ns, frame)
            moved.callbacks.append(self._moved)
            frame += 1

    def _moved(self, event: Any) -> None:
        self._ready.append(event.value)
        if not self._frame_ready.triggered:
            self._frame_ready.succeed()

    def _core(self) -> Process:
        env, scenario = self._env, self.scenario
        while True:
            if not self._ready:
                self._frame_ready = env.event()
                yield self._frame_ready
            frame = self._ready.popleft()
            self.totals.active_ns += self._inside(scenario.step_ns)
            self._keep("core", f"step on frame {frame}", scenario.step_ns)
            yield env.timeout(scenario.step_ns)
            self.totals.steps += 1
            self._pending += 1
            self._free += 1
            if not self._buffer_free.triggered:
                self._buffer_free.succeed()
            if self._pending == scenario.write_back_every:
                yield from self._write_back()

    def _write_back(self) -> Process:
        env, duration = self._env, self.scenario.write_back_ns
        busy = self._flash_until - env.now
        if busy > 0:
            yield from self._stall(busy, "wait for the flash")
        self._pending = 0
        self.totals.write_backs += 1
        self._flash_until = env.now + duration
        self._keep("flash", "write-back", duration)
        if self.scenario.stalls:
            yield from self._stall(duration, "stalled by the write-back")
        else:
            self.totals.beside_ns += self._inside(duration)

    def _stall(self, duration: int, name: str) -> Process:
        self.totals.stalled_ns += self._inside(duration)
        self._keep("core", name, duration)
        yield self._env.timeout(duration)

    def _inside(self, duration: int) -> int:
        """Return how much of a duration from now lies within the scenario."""
        return int(min(duration, self.scenario.duration_ns - self._env.now))

    def _keep(self, track: str, name: str, duration: int) -> None:
        now = self._env.now
        if now < self.window_ns and duration and len(self.slices) < MOST_SLICES:
            self.slices.append(Slice(track, name, now, now + duration))
