"""Floor 2: bytes in time. Planners, allocators, the arena, the ledger. Knows nothing of networks."""

from mcusim.core import Interval
from mcusim.memory.allocators import ALLOCATORS, AllocatorFactory, FreeSpace, Heap, Piece
from mcusim.memory.arena import Arena, fenced
from mcusim.memory.block import Block
from mcusim.memory.bound import Bound, LiveBytes, live_by_role, live_over_time, lower_bound
from mcusim.memory.checker import check, check_offsets
from mcusim.memory.ledger import Ledger
from mcusim.memory.overlap import Overlap
from mcusim.memory.planners import PLANNERS, Planner, best
from mcusim.memory.planners.placing import Placing
from mcusim.memory.problem import Problem, Solution, Status

__all__ = [
    "ALLOCATORS",
    "PLANNERS",
    "AllocatorFactory",
    "Arena",
    "Block",
    "Bound",
    "FreeSpace",
    "Heap",
    "Interval",
    "Ledger",
    "LiveBytes",
    "Overlap",
    "Piece",
    "Placing",
    "Planner",
    "Problem",
    "Solution",
    "Status",
    "best",
    "check",
    "check_offsets",
    "fenced",
    "live_by_role",
    "live_over_time",
    "lower_bound",
]
