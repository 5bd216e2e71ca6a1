"""Collects the ops and tensors of a step, then derives every lifetime from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod

from mcusim.core import Interval, Kind, Phase, Role, Slot, SlotPart, Work
from mcusim.graph import DTYPES, Op
from mcusim.kernels.reach import Order
from mcusim.lowering.action import Action
from mcusim.lowering.step import Box, StepOp, StepTensor
from mcusim.lowering.traffic import counted, moved
from mcusim.memory.overlap import Overlap


@dataclass(slots=True)
class _Draft:
    shape: tuple[int, ...]
    dtype: str
    role: Role
    persistent: bool


class Builder:
    """A step under construction. Tensors are declared, ops are appended in execution order.

    With ``overlap`` outputs may grow over dying inputs, as far as the order of the loops allows.
    """

    def __init__(self, *, overlap: bool = True) -> None:
        self.overlap = overlap
        self.ops: list[StepOp] = []
        self.drafts: dict[str, _Draft] = {}
        self._candidates: list[tuple[int, str, str]] = []
        self._reaches: list[tuple[int, str, str, Order]] = []
        self._sizes: dict[str, int] = {}

    def tensor(
        self, name: str, shape: tuple[int, ...], dtype: str, role: Role, *, persistent: bool = False
    ) -> str:
        """Declare a tensor; ``persistent`` ones live from step to step. Declaring twice is harmless."""
        if name not in self.drafts:
            self.drafts[name] = _Draft(shape, dtype, role, persistent)
            self._sizes[name] = prod(shape) * DTYPES[dtype]
        return name

    def promote(self, name: str, role: Role) -> None:
        """Change the role of a tensor, e.g. when the backward pass turns out to need an activation."""
        if not self.drafts[name].persistent:
            self.drafts[name].role = role

    def op(
        self,
        name: str,
        action: Action,
        phase: Phase,
        *,
        source: Op | None = None,
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
        work: Work,
        scratch_bytes: int = 0,
        mask: str | None = None,
        index: int = 0,
        accumulate: bool = False,
        box: Box | None = None,
        part: SlotPart | None = None,
        overwrites: Iterable[str] = (),
        overlaps: Mapping[str, Order] | None = None,
        partly: Mapping[str, int] | None = None,
        pool: Op | None = None,
    ) -> None:
        """Append an op.

        ``overwrites`` lists inputs that its output may take the place of, ``overlaps`` those it may grow over
        as far as the order of its loops allows, ``partly`` the bytes it touches of tensors it does not touch
        as a whole. ``work`` comes with all constants in flash; here those that lie in SRAM move there, and
        the bytes of SRAM become those of the op's tensors.
        """
        scratch = None
        if scratch_bytes:
            scratch = self.tensor(Slot(name, Kind.SCRATCH), (scratch_bytes,), "uint8", Role.SCRATCH)
        reads, writes = tuple(reads), tuple(writes)
        for old in overwrites:
            self._candidates.append((len(self.ops), old, writes[0]))
        for old, order in (overlaps or {}).items() if self.overlap else ():
            self._reaches.append((len(self.ops), old, writes[0], order))
        read, written = moved(action, phase, reads, writes, scratch, mask, self._sizes, partly or {})
        self.ops.append(
            StepOp(
                name, action, phase, source, reads, writes, counted(work, action, read, written),
                scratch, mask, index, accumulate, box, part, read, written, pool,
            )
        )  # fmt: skip

    def bytes_of(self, name: str) -> int:
        """Return the bytes of a declared tensor; 0 if it is empty and was not declared."""
        return self._sizes.get(name, 0)

    @property
    def resident(self) -> frozenset[str]:
        """Names of the persistent tensors."""
        return frozenset(n for n, d in self.drafts.items() if d.persistent)

    def tensors(self, *, in_place: bool, results: Iterable[str] = ()) -> dict[str, StepTensor]:
        """Return all tensors with their lifetimes; ``in_place`` lets outputs overwrite dying inputs.

        ``results`` are read by whoever ran the step, so they live until its end.
        """
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for time, op in enumerate(self.ops):
            for name in (*op.reads, *op.writes, *filter(None, (op.scratch, op.mask))):
                first.setdefault(name, time)
                last[name] = time
        end = len(self.ops)
        last.update({name: end - 1 for name in results if name in first})
        made = {
            name: StepTensor(
                name, d.shape, d.dtype, d.role,
                Interval(0, end) if d.persistent else Interval(first[name], last[name] + 1), name,
            )
            for name, d in self.drafts.items()
            if d.persistent or name in first
        }  # fmt: skip
        if in_place:
            for time, old, new in self._candidates:
                self._overwrite(made, time, old, new)
        return made

    def overlaps(self, made: Mapping[str, StepTensor]) -> dict[Overlap, Order]:
        """Return which of the buffers of ``made`` may share bytes at an op, and the order of its loops."""
        found = {}
        for time, old, new, order in self._reaches:
            x, y = made[old], made[new]
            dies = x.lifetime.end == time + 1 and x.lifetime.start < time and not self.drafts[old].persistent
            fresh = y.lifetime.start == time and y.buffer == y.name and not self.drafts[new].persistent
            if dies and fresh and order.distance < y.bytes:
                found[Overlap(x.buffer, y.buffer, order.distance)] = order
        return found

    def _overwrite(self, made: dict[str, StepTensor], time: int, old: str, new: str) -> None:
        x, y = made[old], made[new]
        dies = x.lifetime.end == time + 1 and not self.drafts[old].persistent
        fresh = y.lifetime.start == time and y.buffer == y.name and not self.drafts[new].persistent
        if dies and fresh and y.bytes <= x.bytes:
            end = max(y.lifetime.end, time + 1)
            made[new] = replace(y, buffer=x.buffer, lifetime=Interval(time + 1, end))
