"""A training step as data: ops in execution order over tensors with exact lifetimes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod
from typing import NamedTuple

from mcusim.core import Interval, Phase, Role, SlotPart, Work
from mcusim.data.front_end import FrontEnd
from mcusim.data.replay import Rehearsal
from mcusim.graph import DTYPES, Model, Op, Tensor
from mcusim.graph.outputs import heads
from mcusim.kernels.reach import Order
from mcusim.lowering.action import Action
from mcusim.lowering.residency import Residency
from mcusim.lowering.traffic import Traffic
from mcusim.mcu.cycles.sram import Access
from mcusim.memory.block import Block
from mcusim.memory.overlap import Overlap
from mcusim.memory.problem import Problem
from mcusim.tasks.goals import Goals
from mcusim.update.formats import Formats
from mcusim.update.selection import Scope

ALIGNMENT = 8
"""Every tensor starts at a multiple of 8 bytes: enough for float32 views and Cortex-M double loads."""

SAMPLES = "samples"
"""Those of a sound, of which a front end makes the input."""

Box = tuple[int, int, int, int]
"""Rows and columns of a patch: (row start, row end, column start, column end)."""


@dataclass(frozen=True, slots=True)
class StepTensor:
    """A tensor of a step.

    ``name`` is a ``Slot`` unless it is a tensor of the network, a patch of one, or of the firmware.
    ``buffer`` names the tensor whose bytes it lies in: itself, or, for the output of an in-place op,
    the tensor that was overwritten. ``lifetime`` counts ops; the output of an in-place op begins
    where the overwritten tensor ends, so lifetimes of one buffer never overlap and the sum over
    live tensors is the number of live bytes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: Role
    lifetime: Interval
    buffer: str

    @property
    def bytes(self) -> int:
        """Bytes it occupies."""
        return prod(self.shape) * DTYPES[self.dtype]


class Kept(NamedTuple):
    """Examples in flash: bytes of one with its label, and how many."""

    record_bytes: int
    capacity: int


@dataclass(frozen=True, slots=True)
class StepOp:
    """One op of a step, with the tensors it touches and the work it does."""

    name: str
    action: Action
    phase: Phase
    source: Op | None
    """The op of the network behind it; for a patch, with that patch's padding."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    work: Work
    scratch: str | None = None
    mask: str | None = None
    """Mask written (forward) or read (backward)."""
    index: int = 0
    """GRAD_INPUT: which activation input of ``source`` the gradient is for."""
    accumulate: bool = False
    """GRAD_INPUT: add to the gradient that is there already."""
    box: Box | None = None
    """CROP, PASTE: where the patch lies in the whole tensor."""
    part: SlotPart | None = None
    """UPDATE: which parameter of ``source``."""
    read: Mapping[str, int] = field(default_factory=dict)
    """Distinct bytes that the core reads of each tensor; they sum to those that ``work`` counts."""
    written: Mapping[str, int] = field(default_factory=dict)
    """The same for what it writes."""
    pool: Op | None = None
    """POOLED: the pool computed with ``source``."""

    @property
    def traffic(self) -> tuple[Traffic, ...]:
        """What the core moves of each tensor in SRAM, tensors without any left out."""
        read, written = self.read, self.written
        found = (Traffic(name, read.get(name, 0), written.get(name, 0)) for name in {**read, **written})
        return tuple(touch for touch in found if touch.read or touch.written)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One training step (or, without a loss, one inference) of a network on a device."""

    model: Model
    scope: Scope
    formats: Formats
    ops: tuple[StepOp, ...]
    tensors: Mapping[str, StepTensor]
    residency: Residency
    accumulate: int = 1
    patch_macs: int = 0
    """Multiply-accumulates recomputed because patches overlap."""
    tail: int = 0
    """``ops[:tail]`` are the frozen front; the rest reads or changes learned parameters."""
    boundary: str | None = None
    """The one tensor that the front hands to the tail; ``None`` if nothing is frozen."""
    logits: tuple[str, ...] = ()
    """What the losses read, one for each goal; of an inference, its outputs."""
    resident: frozenset[str] = frozenset()
    """Tensors that stay from step to step: learned parameters, optimiser state, the firmware's own."""
    saved_pixels: Mapping[str, int] = field(default_factory=dict)
    """Op name -> pixels kept of its saved input, where the pattern of features prunes it."""
    goals: Goals | None = None
    """What the outputs are for; ``None`` if this is an inference."""
    orders: Mapping[Overlap, Order] = field(default_factory=dict)
    """Why buffers may share bytes at the op that reads the one for the last time and writes the other."""
    front_end: FrontEnd | None = None
    """What makes the input of the samples of a sound."""
    replay: Rehearsal | None = None
    """Which examples are kept to be learned again."""
    kept: Kept | None = None
    """Those of them that are kept in flash."""
    choice_bytes: int = 0
    """Of the tables in flash by which the device chooses what learns."""

    @property
    def arrives(self) -> tuple[str, ...]:
        """The tensors that an example comes in."""
        return self.model.inputs if self.front_end is None else (SAMPLES,)

    @property
    def target(self) -> Tensor | None:
        """What the only loss compares the output with; ``None`` if that is a class number, or if there are
        several losses or none.
        """
        goal = None if self.goals is None else self.goals.single
        return None if goal is None else goal.target(self.model)

    def in_flash(self, op: Op) -> bool:
        """True if the weight of an op may learn and lives in flash: in SRAM are its selected channels."""
        head = self.scope.head and op.name in heads(self.model)
        return op.name in self.scope.eligible and not head and self.residency is Residency.FLASH

    @property
    def overlaps(self) -> tuple[Overlap, ...]:
        """Buffers that may share bytes at the op that reads the one last and writes the other."""
        return tuple(self.orders)

    def blocks(self, beyond_dma: tuple[tuple[int, int], ...] = ()) -> Iterator[Block]:
        """Yield one block a buffer, shrinking where an in-place op leaves less than it found.

        Buffers that DMA fills with an input are barred from where it does not reach.
        """
        loaded = {name for op in self.ops if op.action is Action.LOAD for name in op.writes}
        members: dict[str, list[StepTensor]] = {}
        for tensor in self.tensors.values():
            members.setdefault(tensor.buffer, []).append(tensor)
        for name, group in members.items():
            group = sorted((t for t in group if len(t.lifetime)), key=lambda t: t.lifetime)
            first, size = group[0], group[0].bytes
            shrinks: list[tuple[int, int]] = []
            for tensor in group[1:]:
                if tensor.bytes < size:
                    size = tensor.bytes
                    shrinks.append((tensor.lifetime.start, size))
            lifetime = Interval(first.lifetime.start, group[-1].lifetime.end)
            barred = beyond_dma if beyond_dma and any(t.name in loaded for t in group) else ()
            yield Block(name, first.bytes, lifetime, first.role, shrinks=tuple(shrinks), barred=barred)

    def reuses(self) -> dict[str, tuple[tuple[int, Role, int], ...]]:
        """Return, for each buffer that in-place ops pass on, when it gets which role and size."""
        found: dict[str, list[tuple[int, Role, int]]] = {}
        for tensor in self.tensors.values():
            if tensor.buffer != tensor.name and len(tensor.lifetime):
                found.setdefault(tensor.buffer, []).append((tensor.lifetime.start, tensor.role, tensor.bytes))
        return {name: tuple(sorted(rows)) for name, rows in found.items()}

    def problem(
        self, capacity: int | None = None, gaps: tuple[int, ...] = (),
        beyond_dma: tuple[tuple[int, int], ...] = (),
    ) -> Problem:  # fmt: skip
        """Return the placement problem of this step, in so many bytes with gaps at these offsets.

        What lies beyond the capacity is left out: it would only keep planners from searching well.
        """
        if capacity is not None:
            gaps = tuple(gap for gap in gaps if gap < capacity)
            beyond_dma = tuple(bar for bar in beyond_dma if bar[0] < capacity)
        return Problem(tuple(self.blocks(beyond_dma)), capacity, ALIGNMENT, gaps, self.overlaps)

    def accesses(self, offsets: Mapping[str, int]) -> list[list[Access]]:
        """Return what each op moves at which offsets of SRAM, from the offsets of the buffers."""
        places = {n: (offsets[t.buffer], t.bytes) for n, t in self.tensors.items()}
        return [[Access(*places[t.tensor], t.read, t.written) for t in op.traffic] for op in self.ops]

    def macs(self, *phases: Phase) -> int:
        """Return the multiply-accumulates of the given phases, integer and float."""
        return sum(o.work.macs + o.work.float_macs for o in self.ops if o.phase in phases)

    def shared(self, offsets: Mapping[str, int] | None = None) -> dict[str, int]:
        """Return how many bytes of a dying tensor another one takes during the op that they share.

        At these offsets of the buffers, or else the most there can be.
        """
        dying = {tensor.buffer: tensor.name for tensor in sorted(self.tensors.values(), key=_death)}
        found = {}
        for pair in self.problem().pairs:
            if offsets is None:
                taken = pair.most(ALIGNMENT)
            else:
                taken = pair.shared(offsets[pair.old.name], offsets[pair.new.name])
            if taken:
                found[dying[pair.old.name]] = taken
        return found

    def live_profile(self, offsets: Mapping[str, int] | None = None) -> list[int]:
        """Return the live bytes during each op; what two tensors share counts once, see ``shared``."""
        changes = [0] * (len(self.ops) + 1)
        for tensor in self.tensors.values():
            changes[tensor.lifetime.start] += tensor.bytes
            changes[tensor.lifetime.end] -= tensor.bytes
        for name, taken in self.shared(offsets).items():
            last = self.tensors[name].lifetime.end
            changes[last - 1] -= taken
            changes[last] += taken
        return list(accumulate(changes[:-1]))

    def live(self, time: int, offsets: Mapping[str, int] | None = None) -> list[tuple[StepTensor, int]]:
        """Return the tensors live during op ``time`` and their bytes; what is shared is the new one's."""
        shared = self.shared(offsets)
        found = []
        for tensor in self.tensors.values():
            if time in tensor.lifetime:
                taken = shared.get(tensor.name, 0) if tensor.lifetime.end == time + 1 else 0
                found.append((tensor, tensor.bytes - taken))
        return found

    def live_bytes(self, time: int, offsets: Mapping[str, int] | None = None) -> dict[Role, int]:
        """Return the live bytes of each role during op ``time``."""
        by_role: dict[Role, int] = {}
        for tensor, count in self.live(time, offsets):
            by_role[tensor.role] = by_role.get(tensor.role, 0) + count
        return by_role


def _death(tensor: StepTensor) -> int:
    return tensor.lifetime.end
