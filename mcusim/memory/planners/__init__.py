"""Static planners: known lifetimes in, an offset for every block out. One planner a file."""

from mcusim.memory.planners.best import best
from mcusim.memory.planners.exact import exact
from mcusim.memory.planners.greedy_by_lifetime import greedy_by_lifetime
from mcusim.memory.planners.greedy_by_size import greedy_by_size
from mcusim.memory.planners.hill_climb import hill_climb
from mcusim.memory.planners.registry import PLANNERS, Planner

__all__ = ["PLANNERS", "Planner", "best", "exact", "greedy_by_lifetime", "greedy_by_size", "hill_climb"]
