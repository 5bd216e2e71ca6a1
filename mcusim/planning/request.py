"""What a plan is asked for: a network, what learns of it, on a board, in somebody's settings."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.data.front_end import FrontEnd
from mcusim.data.replay import Rehearsal
from mcusim.graph import Model
from mcusim.lowering.lower import lower
from mcusim.lowering.patches import Patches
from mcusim.lowering.residency import Residency
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board
from mcusim.planning.settings import AUTO, Decided, Settings
from mcusim.tasks.goals import Goals, choose_goals
from mcusim.update.cost import Cost
from mcusim.update.selection import Scope


@dataclass(frozen=True, slots=True)
class Request:
    """One scope to be planned for.

    Attributes:
        cost: memory and work that choosing what learns costs on the device, from the scheme.
    """

    model: Model
    board: Board
    scope: Scope
    cost: Cost
    settings: Settings

    @property
    def budget(self) -> int:
        """Bytes of SRAM that may be used."""
        return self.settings.budget(self.board)

    @property
    def residencies(self) -> tuple[Residency, ...]:
        """Those that the settings leave open, cheapest first."""
        if not self.scope.learns:
            return (Residency.SRAM,)  # nothing has to be kept anywhere
        if self.settings.residency == AUTO:
            return (Residency.SRAM, Residency.FLASH)
        return (Residency(self.settings.residency),)

    def lower(self, residency: Residency, patches: Patches | None = None) -> Step:
        """Return the step with its choices of residency and patches made."""
        return lowered(self.model, self.board, self.scope, self.cost, self.decide(residency, patches))

    def decide(self, residency: Residency, patches: Patches | None) -> Decided:
        """Return the settings with nothing left open."""
        if not self.scope.learns:
            return self.settings.decide(self.model, self.board, residency, patches, None)
        goals = choose_goals(self.model, self.settings.chosen, self.settings.task)
        return self.settings.decide(self.model, self.board, residency, patches, goals.name)


def lowered(model: Model, board: Board, scope: Scope, cost: Cost, settings: Decided) -> Step:
    """Return the step of decided settings."""
    goals = None
    if settings.task is not None:
        goals = Goals.named(model, settings.output, settings.task, smoothing=settings.smoothing)
    return lower(
        model, scope, settings.formats, residency=settings.residency, patches=settings.patches,
        in_place=settings.in_place, overlap=settings.overlap and settings.allocator is None,
        fuse=settings.fuse,
        momentum=settings.sgd.momentum > 0, second_moment=settings.sgd.second_moment > 0,
        accumulate=settings.sgd.accumulate,
        runtime_bytes=board.runtime_bytes, cost=cost,
        front_end=None if settings.front_end is None else FrontEnd.read(settings.front_end),
        replay=None if settings.replay is None else Rehearsal.read(settings.replay),
        task=goals,
    )  # fmt: skip
