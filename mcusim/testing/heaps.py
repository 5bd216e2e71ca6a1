"""Driving an allocator through random requests, beside a model that cannot be wrong."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mcusim.core import BadProblem, OutOfSram
from mcusim.memory import AllocatorFactory, Heap


def heap_machine(
    make: AllocatorFactory, *, max_capacity: int = 6000, max_bytes: int = 700
) -> type[RuleBasedStateMachine]:
    """Return a state machine of Hypothesis that attacks the heaps that ``make`` makes.

    It allocates, frees and shrinks in any order, in heaps of 1 to ``max_capacity`` bytes and blocks of 0 to
    ``max_bytes``, and holds after every request:

    * live blocks lie apart, inside the heap, aligned as asked, and clear of the holes;
    * live, free and overhead bytes add up to the capacity, and the live ones are those asked for;
    * what cannot be served raises :class:`mcusim.OutOfSram`, names the largest hole, and changes nothing;
    * a block is freed once: the second time is a :class:`mcusim.BadProblem`;
    * a heap whose blocks were all freed has the holes of a new one: nothing leaks.

    ``heap_machine(make).TestCase`` is a test case for pytest and unittest.
    """

    class HeapMachine(RuleBasedStateMachine):
        """The model is a dictionary of offsets and sizes."""

        heap: Heap | None = None

        @initialize(capacity=st.integers(1, max_capacity))
        def start(self, capacity: int) -> None:
            self.heap, self.fresh = make(capacity), make(capacity)
            self.model: dict[int, int] = {}
            self.top = 0

        @rule(size=st.integers(0, max_bytes), align=st.sampled_from([1, 1, 4, 8, 16, 64]))
        def alloc(self, size: int, align: int) -> None:
            heap, before = self._heap(), self._state()
            refused: OutOfSram | None = None
            try:
                offset = heap.alloc(size, align, name="x")
            except OutOfSram as error:
                refused = error
            if refused:
                assert self._state() == before, "a refused alloc changed the heap"
                assert refused.missing_bytes > 0
                assert refused.largest_hole_bytes == heap.largest_hole_bytes
                assert len(refused.live) == len(self.model)
                return
            assert offset % align == 0, f"{offset} is no multiple of {align}"
            assert 0 <= offset <= heap.capacity - size, f"{offset} + {size} lies outside the heap"
            assert offset not in self.model, f"{offset} was handed out twice"
            self.model[offset] = size
            self.top = max(self.top, offset + size)

        @precondition(lambda self: self.model)
        @rule(data=st.data())
        def free(self, data: st.DataObject) -> None:
            heap = self._heap()
            offset = data.draw(st.sampled_from(sorted(self.model)))
            assert heap.free(offset).bytes == self.model.pop(offset)
            try:
                heap.free(offset)
            except BadProblem:
                return
            raise AssertionError(f"the block at {offset} was freed twice")

        @precondition(lambda self: self.model)
        @rule(data=st.data())
        def shrink(self, data: st.DataObject) -> None:
            heap = self._heap()
            offset = data.draw(st.sampled_from(sorted(self.model)))
            size = data.draw(st.integers(0, self.model[offset]))
            free = heap.free_bytes
            assert heap.shrink(offset, size) == heap.free_bytes - free
            self.model[offset] = size

        @precondition(lambda self: self.model)
        @rule()
        def free_all(self) -> None:
            heap = self._heap()
            for offset in list(self.model):
                heap.free(offset)
            self.model.clear()
            assert heap.overhead_bytes == heap.control_bytes, "bytes leaked"
            assert heap.holes == self.fresh.holes, "an empty heap is not as a new one"

        @invariant()
        def invariant_1_live_blocks_lie_apart_and_clear_of_holes(self) -> None:
            if self.heap is None:
                return
            pieces = [(a.piece.start, a.piece.end) for a in self.heap.live]
            spans = sorted([*pieces, *((hole.start, hole.end) for hole in self.heap.holes)])
            assert all(a[1] <= b[0] for a, b in pairwise(spans)), f"pieces overlap: {spans}"
            assert not spans or (spans[0][0] >= 0 and spans[-1][1] <= self.heap.capacity)
            for allocation in self.heap.live:
                piece = allocation.piece
                assert piece.start <= piece.offset <= piece.offset + allocation.bytes <= piece.end

        @invariant()
        def invariant_2_and_3_the_account_is_complete(self) -> None:
            if self.heap is None:
                return
            heap = self.heap
            assert {a.piece.offset: a.bytes for a in heap.live} == self.model
            assert heap.live_bytes == sum(self.model.values())
            assert heap.live_bytes + heap.free_bytes + heap.overhead_bytes == heap.capacity
            assert heap.overhead_bytes >= heap.control_bytes >= 0
            assert heap.top_bytes >= self.top
            assert 0 <= heap.fragmentation < 1

        def _heap(self) -> Heap:
            assert self.heap is not None
            return self.heap

        def _state(self) -> tuple[object, ...]:
            heap = self._heap()
            return (heap.live, heap.holes, heap.live_bytes, heap.top_bytes)

    return HeapMachine


def assert_heap(
    make: AllocatorFactory, *, examples: int = 100, max_capacity: int = 6000, max_bytes: int = 700
) -> None:
    """Attack the heaps that ``make`` makes with ``examples`` random sequences of requests.

    Raises:
        AssertionError: an invariant of :func:`heap_machine` does not hold. Hypothesis adds the shortest
            sequence that it found.
    """
    machine = heap_machine(make, max_capacity=max_capacity, max_bytes=max_bytes)
    limits = settings(max_examples=examples, deadline=None, report_multiple_bugs=False)
    run_state_machine_as_test(machine, settings=limits)
