"""Static planners: known lifetimes in, an offset for every block out. One kind of planner a file."""

from mcusim.memory.planners.best import best
from mcusim.memory.planners.branch_and_bound import branch_and_bound
from mcusim.memory.planners.exact import exact
from mcusim.memory.planners.hill_climb import hill_climb
from mcusim.memory.planners.rectangles import rectangles
from mcusim.memory.planners.registry import PLANNERS, Planner

__all__ = ["PLANNERS", "Planner", "best", "branch_and_bound", "exact", "hill_climb", "rectangles"]
