"""The arena of a step as SVG: addresses against ops, every tensor a box; live bytes on the same axis.

The picture stands alone, with a title for every box; ``arena.js`` adds zoom, a cursor and a list of what is
live at the op under it. Inside the two pictures one unit is one op and one byte, so no number is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Final

import numpy as np

from mcusim.events import EventTable, Header
from mcusim.events.schema import CODES, ENUMERATED
from mcusim.reporting.axis import clock, phases
from mcusim.sections.colors import ROLE_COLORS, color
from mcusim.sections.html import body
from mcusim.sections.kinds import Notes
from mcusim.traces.live import inside_ops, live_bytes
from mcusim.traces.rectangles import rectangles
from mcusim.traces.sharing import Shared, shared

MOST_BOXES: Final = 1000
MOST_COLUMNS: Final = 1000
"""Ops side by side; of more, those that follow each other share one: no screen has so many pixels."""
"""Boxes that are drawn; of more the largest, since the page must stay small."""


@dataclass(frozen=True, slots=True)
class Box:
    """``bytes`` at ``offset`` that belong to ``name`` from op ``start`` until before op ``end``."""

    name: str
    role: str
    offset: int
    bytes: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ArenaPicture:
    """A step to be drawn.

    Attributes:
        ops: name, phase and most live bytes of every op.
        boxes: what lies where, and when.
        left_out: boxes that are too many to draw.
        spans: first op, end and name of each phase.
        limit_bytes: SRAM there is; 0 if not known.
        steps: recorded steps, of which the first is drawn.
        regions: offset at which each region of SRAM begins, and its name; empty if not known.
        overlaps: (op, what was shared) where an output lies over the input that dies with it.
        together: ops of the step that share one of ``ops``.
    """

    ops: Sequence[tuple[str, str, int]]
    boxes: Sequence[Box]
    left_out: int
    spans: Sequence[tuple[float, float, str]]
    limit_bytes: int
    steps: int = 1
    regions: Sequence[tuple[int, str]] = ()
    overlaps: Sequence[tuple[int, Shared]] = ()
    together: int = 1

    @classmethod
    def of(cls, events: EventTable, header: Header, regions: Sequence[tuple[int, str]] = ()) -> ArenaPicture:
        """Return the first step of a trace, with what is resident."""
        steps = len(np.unique(events.step))
        if len(events):
            events = events[events.step <= events.step[0]]
        times = clock(events)
        inside = inside_ops(events)
        starts = np.flatnonzero(events.event == CODES["event"]["op_start"])
        most = np.zeros(len(starts), np.int64)
        number = np.cumsum(events.event == CODES["event"]["op_start"]) - 1
        np.maximum.at(most, number[inside], live_bytes(events)[inside])
        ops = [
            (events.op_names[events.op[row]], ENUMERATED["phase"][events.phase[row]], int(most[i]))
            for i, row in enumerate(starts.tolist())
        ]
        boxes = []
        for block in rectangles(events):
            start, end = int(times[block.start]), len(ops)
            if block.end < len(times):
                end = int(times[block.end])
            if block.bytes and end > start:
                boxes.append(Box(block.tensor, block.role, block.offset, block.bytes, start, end))
        order = {str(role): place for place, role in enumerate(ROLE_COLORS)}
        largest = sorted(boxes, key=lambda b: (-b.bytes * (b.end - b.start), b.name))[:MOST_BOXES]
        shown = sorted(largest, key=lambda b: (order.get(b.role, 0), b.start, b.offset))
        rest, spans = len(boxes) - len(shown), phases(events, times)
        overlaps = [(int(times[one.row]), one) for one in shared(events)]
        whole = cls(ops, shown, rest, spans, header.sram_bytes, steps, regions, overlaps)
        return whole._narrowed(-(-len(ops) // MOST_COLUMNS))

    def _narrowed(self, each: int) -> ArenaPicture:
        """Return the picture with so many ops a column, in which is live what is live at any of them."""
        if each <= 1:
            return self
        ops = []
        for at in range(0, len(self.ops), each):
            several = self.ops[at : at + each]
            name, phase, live = max(several, key=lambda op: op[2])
            ops.append((f"{name} and {len(several) - 1} beside it", phase, live))
        boxes = [replace(box, start=box.start // each, end=-(-box.end // each)) for box in self.boxes]
        spans = [(start / each, end / each, phase) for start, end, phase in self.spans]
        overlaps = [(op // each, one) for op, one in self.overlaps]
        return replace(self, ops=ops, boxes=boxes, spans=spans, overlaps=overlaps, together=each)

    @property
    def top_bytes(self) -> int:
        """The highest address in use."""
        return max((box.offset + box.bytes for box in self.boxes), default=0)

    @property
    def bound_bytes(self) -> int:
        """Most bytes live at once: no placement needs less."""
        return max((live for _, _, live in self.ops), default=0)

    def svg(self) -> str:
        """Return the map and the curve below it."""
        count, top = max(len(self.ops), 1), max(self.top_bytes, 1)
        boxes = "".join(map(self._rect, self.boxes))
        lines = self._line(self.bound_bytes, "bound", count)
        if self.limit_bytes:
            lines += self._line(self.limit_bytes, "limit", count)
        edges = "".join(
            f'<path class="region" d="M0 {start}H{count}"><title>{escape(name)} begins</title></path>'
            for start, name in self.regions if 0 < start < top
        )  # fmt: skip
        shares = "".join(f'<path class="shared" d="{_hatched(op, one)}"/>' for op, one in self.overlaps)
        curve = "".join(f"V{live}h1" for _, _, live in self.ops)
        bands = "".join(f'<path class="phase" d="M{start:.0f} 0V{max(top, self.limit_bytes) * 4}"/>'
                        for start, _, _ in self.spans if start)  # fmt: skip
        label = f"map of the arena: {len(self.boxes)} tensors, {count} ops, {self.top_bytes:,} bytes"
        return (
            '<svg class="whole" viewBox="0 0 1000 610" role="group" aria-label="arena and live bytes">'
            f'<svg class="map" x="70" y="24" width="920" height="380" viewBox="0 {-top} {count} {top}" '
            f'preserveAspectRatio="none" tabindex="0" role="img" aria-label="{label}">'
            f'<g transform="scale(1,-1)">{bands}{boxes}{shares}{edges}{lines}<rect class="cursor"/></g></svg>'
            f'<svg class="live" x="70" y="440" width="920" height="130" viewBox="0 {-top} {count} {top}" '
            'preserveAspectRatio="none" role="img" aria-label="live bytes over the ops">'
            f'<g transform="scale(1,-1)">{bands}<path class="curve" d="M0 0{curve}V0Z"/>{lines}'
            '<rect class="cursor"/></g></svg><g class="ticks"></g></svg>'
        )

    def room(self) -> str:
        """Return legend, picture, what is not in it, and the place for what is live at the cursor."""
        notes = body([Notes(self.notes(), quiet=True)])
        now = '<div class="now" aria-live="polite"></div>'
        return f'<div class="arena">{self.legend()}{self.svg()}{notes}{now}</div>'

    def legend(self) -> str:
        """Return the roles that are there, with their colors."""
        there = {box.role for box in self.boxes}
        items = (
            f'<button type="button" data-role="{role}" aria-pressed="true">'
            f'<i style="background:{shade}"></i>{role}</button>'
            for role, shade in ROLE_COLORS.items()
            if str(role) in there
        )
        return f'<div class="legend" role="group" aria-label="roles">{"".join(items)}</div>'

    def notes(self) -> list[str]:
        """Return what is not in the picture."""
        notes = []
        if self.overlaps:
            notes.append("Hatched: an output written over the input that dies with it.")
        if self.together > 1:
            notes.append(f"A column is {self.together:,} ops that follow each other, named by the fullest.")
        if self.steps > 1:
            notes.append(f"This is the first of {self.steps:,} recorded steps.")
        if self.left_out:
            notes.append(f"{self.left_out:,} of the smallest tensors are not drawn.")
        if len(self.regions) > 1:
            where = ", ".join(f"{name} from {start:,}" for start, name in self.regions)
            notes.append(f"Regions of SRAM, by offset: {where}.")
        return notes

    def data(self) -> dict[str, Any]:
        """Return what the script needs beside the picture, as plain data."""
        return {
            "ops": self.ops, "spans": self.spans, "limit": self.limit_bytes, "bound": self.bound_bytes,
            "top": self.top_bytes,
        }  # fmt: skip

    def _rect(self, box: Box) -> str:
        thin = "" if 120 * box.bytes > self.top_bytes else " thin"  # its outline would hide it
        begun = [name for start, name in self.regions if start <= box.offset]
        where = f" in {begun[-1]}" if len(self.regions) > 1 else ""
        said = f"{box.name}, {box.role}, {box.bytes:,} B at {box.offset:,}{where}, {self._life(box)}"
        said += self._shares(box)
        return (
            f'<rect class="box{thin}" x="{box.start}" y="{box.offset}" width="{box.end - box.start}" '
            f'height="{box.bytes}" fill="{color(box.role)}" data-role="{box.role}">'
            f"<title>{escape(said)}</title></rect>"
        )

    def _shares(self, box: Box) -> str:
        """Return with what a box shares bytes, and how many."""
        met = {box.start, box.end}
        mine = (one for op, one in self.overlaps if op in met and box.name in (one.old, one.new))
        others = ((one.new if one.old == box.name else one.old, one.bytes) for one in mine)
        return "".join(f", shares {count:,} B with {name}" for name, count in dict(others).items())

    def _life(self, box: Box) -> str:
        if not self.ops:
            return "no ops"
        first, last = self.ops[box.start][0], self.ops[box.end - 1][0]
        return f"during {first}" if box.end - box.start == 1 else f"{first} to {last}"

    @staticmethod
    def _line(height: int, kind: str, count: int) -> str:
        return f'<path class="{kind}" d="M0 {height}H{count}"/>'


def _hatched(op: int, one: Shared) -> str:
    """Return the outline of what is shared during an op, with diagonals: a pattern would be stretched."""
    low, high = one.offset, one.offset + one.bytes
    lines = "".join(
        f"M{op + part / 4:g} {low}L{op + 1} {low + (4 - part) * one.bytes / 4:g}"
        f"M{op} {low + part * one.bytes / 4:g}L{op + (4 - part) / 4:g} {high}"
        for part in range(4)
    )
    return f"M{op} {low}H{op + 1}V{high}H{op}Z{lines}"
