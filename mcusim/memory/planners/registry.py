"""The names under which planners are found."""

from __future__ import annotations

from typing import Protocol

from mcusim.core import Registry
from mcusim.memory.problem import Problem, Solution


class Planner(Protocol):
    """Finds an offset for every block of a problem."""

    def __call__(
        self,
        problem: Problem,
        /,
        *,
        seed: int = 0,
        effort: int | None = None,
        time_limit_s: float | None = None,
    ) -> Solution:  # fmt: skip
        """Return a placement without overlaps, as low as ``effort`` allows.

        ``effort`` bounds the work in the planner's own deterministic unit, so that the same seed
        and effort give the same placement on every machine; ``None`` takes its stated default.
        ``time_limit_s`` is a wall-clock limit on top of it, for planners that search: the best
        placement found until then is returned.
        """
        ...  # pragma: no cover


PLANNERS: Registry[Planner] = Registry("planner", "mcusim.planners")
