"""What happens at the same time on a device: sensor, DMA, core, flash (simpy)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcusim.core import BadBoard, Figure
from mcusim.mcu.energy import Energy, energy
from mcusim.mcu.timeline.device import Device, Slice, Totals
from mcusim.mcu.timeline.scenario import NS, Scenario
from mcusim.sections.kinds import UNKNOWN, Facts, Notes, Section, digits
from mcusim.sections.shown import Shown

TRACKS = ("DMA", "core", "flash")
"""Tracks of the slices, in the order to draw them."""


@dataclass(frozen=True, slots=True)
class Timeline(Shown):
    """Outcome of a simulation. ``slices`` cover its first seconds, for export and plots."""

    scenario: Scenario
    totals: Totals
    slices: tuple[Slice, ...]

    @property
    def seconds(self) -> float:
        """Simulated time."""
        return self.scenario.duration_ns / NS

    @property
    def steps_per_s(self) -> float:
        """Training steps achieved."""
        return self.totals.steps / self.seconds

    @property
    def frames(self) -> int:
        """Frames the sensor made, the first at time 0."""
        return -(-self.scenario.duration_ns // self.scenario.period_ns)

    @property
    def missed_frames(self) -> int:
        """Frames nobody had a buffer for."""
        return self.frames - self.totals.caught

    @property
    def duty_cycle(self) -> float:
        """Share of the time the core is awake: computing or waiting for the flash."""
        return (self.totals.active_ns + self.totals.stalled_ns) / self.scenario.duration_ns

    @property
    def energy(self) -> Energy:
        """Energy of the whole time.

        Raises:
            BadBoard: if the board lacks the active power, or the sleep power where it sleeps.
        """
        totals = self.totals
        awake = totals.active_ns + totals.stalled_ns
        # A write beside the core costs extra only while the core sleeps; a bound: as if it always did.
        beside = min(totals.beside_ns, self.scenario.duration_ns - awake)
        asleep = self.scenario.duration_ns - awake - beside
        return energy(
            self.scenario.board, totals.active_ns / NS, (totals.stalled_ns + beside) / NS, asleep / NS
        )

    @property
    def energy_per_hour(self) -> Figure:
        """Millijoules an hour, with the spread between laboratories.

        Raises:
            BadBoard: as ``energy``.
        """
        return self.energy.figure.scaled(3600 / self.seconds, "mJ/h")

    @property
    def average_current_ma(self) -> Figure:
        """Mean current at the board's supply voltage.

        Raises:
            BadBoard: as ``energy``, or if the voltage is absent.
        """
        volts: float = self.scenario.board.need("power.voltage_v", "a current")
        figure = self.energy.figure
        source = f"{figure.source}; {self.scenario.board.source('power.voltage_v')}"
        return replace(figure.scaled(1 / self.seconds / volts, "mA"), source=source)

    @property
    def flash_lifetime_days(self) -> float | None:
        """Days until the first sector reaches its endurance; ``None`` if nothing is written.

        Raises:
            BadBoard: if the endurance is absent.
        """
        if self.scenario.write_back is None or not self.totals.write_backs:
            return None
        per_day = self.totals.write_backs / self.seconds * 86_400
        return self.scenario.write_back.sessions / per_day

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a figure the board lacks is ``null``, and ``missing`` says why."""
        missing: dict[str, str] = {}
        found: dict[str, Any] = {
            "seconds": self.seconds, "frames": self.frames, "missed_frames": self.missed_frames,
            "steps": self.totals.steps, "steps_per_s": self.steps_per_s,
            "write_backs": self.totals.write_backs, "duty_cycle": self.duty_cycle,
        }  # fmt: skip
        for name in ("average_current_ma", "energy_per_hour", "flash_lifetime_days"):
            try:
                value = getattr(self, name)
                found[name] = value.as_dict() if isinstance(value, Figure) else value
            except BadBoard as error:
                found[name] = None
                missing[name] = str(error)
        return {**found, "missing": missing}

    def sections(self) -> list[Section]:
        """Return what was achieved; a figure the board lacks is a dash, and a note below says why."""
        totals, scenario = self.totals, self.scenario
        stalled = totals.stalled_ns / scenario.duration_ns
        step_ms = scenario.step_ns / 1e6
        rows = [
            ("simulated", f"{self.seconds:,.0f} s on {scenario.board.name}, {step_ms:,.1f} ms a step"),
            ("frames", f"{self.frames:,}, {self.missed_frames:,} of them missed"),
            (
                "training steps" if scenario.learns else "inferences",
                f"{totals.steps:,}, {self.steps_per_s:.3g} a second",
            ),
            ("write-backs", f"{totals.write_backs:,} of {scenario.write_back_ns / 1e6:,.0f} ms"),
            ("awake", f"{self.duty_cycle:.1%}, {stalled:.1%} waiting for the flash"),
        ]
        notes: dict[str, None] = {}
        for label, name in (
            ("average current", "average_current_ma"),
            ("energy an hour", "energy_per_hour"),
            ("life of the flash", "flash_lifetime_days"),
        ):
            try:
                rows.append((label, _shown(getattr(self, name))))
            except BadBoard as error:
                rows.append((label, UNKNOWN))
                notes[f"{label}: {error}"] = None
        found: list[Section] = [Facts(rows)]
        return [*found, Notes(tuple(notes), quiet=True)] if notes else found


def _shown(value: Figure | float | None) -> str:
    if value is None:
        return "nothing is written"
    if not isinstance(value, Figure):
        return f"{value:,.0f} days" if value >= 10 else f"{value:.2g} days"
    return f"{digits(value.value)} {value.unit}{value.band} ({value.provenance})"


def simulate(scenario: Scenario, *, window_s: float = 10.0) -> Timeline:
    """Simulate a scenario; deterministic.

    The first seconds are run event by event for their slices. The totals come from ``device_core``, which
    adds up what repeats itself: a day takes milliseconds, whether the device rests or not.

    Args:
        scenario: what happens.
        window_s: slices are kept for this many seconds from the start.
    """
    from mcusim.mcu.timeline.device_core import run

    window = round(window_s * NS)
    device = Device(scenario, window)
    device.run(window)
    numbers = (
        scenario.step_ns, scenario.period_ns, scenario.duration_ns, scenario.dma_ns, scenario.buffers,
        scenario.write_back_ns, scenario.write_back_every, int(scenario.stalls),
    )  # fmt: skip
    totals = Totals(*map(int, run(np.array(numbers, np.int64))))
    return Timeline(scenario, totals, tuple(device.slices))
