"""Floor 3: allocators and planners attacked at random, one's own like those of this package.

>>> from mcusim.memory import ALLOCATORS, PLANNERS
>>> from mcusim.testing import assert_heap, assert_planner
>>> assert_heap(ALLOCATORS["tlsf"], examples=10)
>>> assert_planner(PLANNERS["greedy_by_size"], examples=10)

`problems` and `blocks` are the strategies behind it, for properties of one's own. Needs Hypothesis.
"""

from mcusim.core import MissingPackage

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise MissingPackage("hypothesis", "mcusim.testing", "testing") from error

from mcusim.testing.heaps import assert_heap, heap_machine
from mcusim.testing.planners import assert_planner
from mcusim.testing.strategies import blocks, problems

__all__ = ["assert_heap", "assert_planner", "blocks", "heap_machine", "problems"]
