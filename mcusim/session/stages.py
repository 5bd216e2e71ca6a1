"""Which program runs at an iteration: selections change with the stage, plans only if sizes change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcusim.engine.buffers import ArenaBuffers
from mcusim.engine.kept_examples import KeptExamples
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.events import EventTable
from mcusim.memory.arena import Arena
from mcusim.planning.placement import resized, sized
from mcusim.planning.plan import Plan
from mcusim.session.transition import transition
from mcusim.traces.template import StepTemplate
from mcusim.update.coverage import Coverage
from mcusim.update.scheme import Scheme, statistics_for
from mcusim.update.selection import Selection

KEPT = 4
"""Plans of earlier stages that are kept bound, for schemes whose selections differ in size."""


class Stages:
    """Gives the program of each iteration, bound to one arena, with the right channels selected."""

    def __init__(
        self, plan: Plan, scheme: Scheme, state: State, kept: KeptExamples | None = None, *,
        hears: bool = False,
    ) -> None:  # fmt: skip
        self._plan, self._scheme, self._state, self._kept = plan, scheme, state, kept
        self._hears = hears
        self.arena = Arena(plan.settings.sram_bytes)
        """In which all programs run."""
        self._bound: dict[tuple[tuple[str, int], ...], tuple[Plan, Program, StepTemplate]] = {}
        self._current: tuple[Plan, Program, StepTemplate] | None = None
        self._stage = -1
        self._began: tuple[Plan, int, Selection] | None = None
        self.largest = plan
        """The plan with the highest peak so far."""
        self.statistics = statistics_for(scheme, plan.step.model)
        self.coverage = Coverage(plan.step.model, plan.step.scope)
        accumulate = plan.settings.sgd.accumulate
        # A stage ends only after an update, so that no accumulated gradient is left behind.
        self._length = None if scheme.stage is None else -(-scheme.stage // accumulate) * accumulate

    @property
    def cycles(self) -> int:
        """Cycles of one step of the current program."""
        return self._current[2].cycles if self._current else 0

    def template(self) -> StepTemplate:
        """Return the events of one step of the current program."""
        assert self._current is not None
        return self._current[2]

    def program(self, iteration: int, *, resumed: bool = False) -> Program:
        """Return the program for an iteration, switched to that iteration's stage.

        ``resumed``: the iteration was done before a checkpoint, which has counted its stage already.
        """
        stage = 0 if self._length is None else iteration // self._length
        if self._current is None or stage != self._stage:
            self._stage = stage
            self._switch(stage, starts=not resumed and iteration == stage * (self._length or 0))
        assert self._current is not None
        return self._current[1]

    @property
    def plan(self) -> Plan:
        """The plan of the current program."""
        assert self._current is not None
        return self._current[0]

    @property
    def running(self) -> Program | None:
        """The current program, if there is one."""
        return None if self._current is None else self._current[1]

    def take_transition(self) -> EventTable | None:
        """Return the events of a stage that has just begun: what is written back, what is selected."""
        found, self._began = self._began, None
        return None if found is None else transition(*found)

    def beginning(self) -> EventTable | None:
        """Return the same events, without taking them."""
        return None if self._began is None else transition(*self._began)

    def grow(self, channels: Mapping[str, int]) -> None:
        """Go on with the plan for so many channels as the largest so far, as it was when a run was saved."""
        scope = self._plan.step.scope
        if dict(scope.channels) != dict(channels):
            plan = resized(self._plan, self._scheme, scope.with_channels(channels))
            self.largest = max(self.largest, plan, key=lambda p: p.peak_bytes)

    def calibrate(self, row: Any, target: Any) -> None:
        """Find the scales of integer error tensors before the very first step."""
        assert self._current is not None
        plan, program, _ = self._current
        program.calibrate(row, target, tail=plan.step.boundary is not None)

    def store(self) -> None:
        """Copy what was learned from the arena into the state."""
        if self._current is not None:
            self._current[1].store()

    def _switch(self, stage: int, starts: bool) -> None:
        model, seed = self._plan.step.model, self._plan.settings.seed
        if starts and stage:
            self.statistics.close_stage()
        before = self._current
        selection = self._scheme.select(model, stage, seed, self.statistics)
        if before is None:  # later ones come from the same scheme, and the kernels check every channel
            selection.validate(model)
        self._current = self._bind(selection)
        plan, program, _ = self._current
        if starts:
            self.coverage.add(selection)
            self._began = (plan, stage, selection)
        if before is not None and before[1] is program:
            program.select(selection)
            return
        if before is not None:
            before[1].store()
        program.load(selection)

    def _bind(self, selection: Selection) -> tuple[Plan, Program, StepTemplate]:
        scope = self._plan.step.scope
        if not scope.fixed:
            scope = sized(scope, selection)
        key = tuple(scope.channels.items())
        if key not in self._bound:
            plan = resized(self._plan, self._scheme, scope)
            plan.require()
            self.largest = max(self.largest, plan, key=lambda p: p.peak_bytes)
            buffers = ArenaBuffers(plan.step, plan.solution.offsets, self.arena)
            program = Program(
                plan.step, buffers, self._state, plan.settings.sgd, seed=plan.settings.seed,
                statistics=self.statistics, kept=self._kept, hears=self._hears,
            )  # fmt: skip
            while len(self._bound) >= KEPT:
                del self._bound[next(iter(self._bound))]
            self._bound[key] = (plan, program, plan.template())
        return self._bound[key]
