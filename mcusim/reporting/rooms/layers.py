"""The room of the layers: what each is, costs, learns and would cost to let learn; the network beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mcusim.core import Kind, Phase, Slot
from mcusim.explore.layers import LayerSummary, show
from mcusim.graph.outputs import heads
from mcusim.lowering.step import Step
from mcusim.planning.plan import Plan
from mcusim.reporting.rooms.network import network_graph
from mcusim.sections.colors import ROLE_COLORS, color
from mcusim.sections.html import escape
from mcusim.sections.kinds import UNKNOWN, digits
from mcusim.update.channels import layers as learnable

MOST_LAYERS: Final = 400
"""Rows of the table; a page stays small."""
HEADS: Final = (
    ("layer", False, "what schemes call it by"), ("name", False, ""), ("kind", False, ""),
    ("output", False, "shape"), ("MACs", True, "of a step, forward"),
    ("ms", True, "of a step, forward and backward, modelled"),
    ("SRAM, B", True, "all that is kept for it at some moment of a step, by role"),
    ("learns", False, "in this plan"),
    ("parameters", True, "bytes in SRAM if the whole layer learned"),
    ("saved", True, "bytes of activations and masks if the whole layer learned"),
    ("MACs to learn", True, "of its own gradient, and to bring the error there"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LayerUse:
    """What one op of the network takes of a step: bytes by role, and cycles where they are known."""

    by_role: Mapping[str, int]
    forward_macs: int
    cycles: int | None


def layers_room(plan: Plan) -> str:
    """Return the graph of the network and the table of its layers, which point at each other."""
    step = plan.step
    summary = show(step.model).layers
    uses = layer_uses(plan)
    learning = {layer.name: learns(step, layer) for layer in summary}
    largest = max((sum(use.by_role.values()) for use in uses.values()), default=1) or 1
    rows = "".join(
        _row(layer, uses[layer.name], learning[layer.name], largest, plan) for layer in summary[:MOST_LAYERS]
    )
    head = "".join(
        f'<th scope="col"{" class=n" if right else ""}{f" title={chr(34)}{about}{chr(34)}" if about else ""}>'
        f"{name}</th>"
        for name, right, about in HEADS
    )
    rest = len(summary) - MOST_LAYERS
    note = f'<p class="quiet">{rest:,} further layers are not listed.</p>' if rest > 0 else ""
    table = f'<table class="data layers"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    graph = network_graph(step.model, {name: bool(text) for name, text in learning.items()}, MOST_LAYERS)
    return f'<div class="beside"><div class="graph">{graph}</div><div class="wide">{table}</div></div>{note}'


def layer_uses(plan: Plan) -> dict[str, LayerUse]:
    """Return what each op of the network takes: every tensor of the step belongs to one op, or to none."""
    step = plan.step
    makers = {op.output: op.name for op in step.model.ops}
    owners: dict[str, str] = {}
    for op in step.ops:
        if op.source is not None:
            for name in (*op.writes, op.scratch, op.mask):
                if name is not None:
                    owners.setdefault(name, op.source.name)
    sizes: dict[str, dict[str, int]] = {op.name: {} for op in step.model.ops}
    for name, tensor in step.tensors.items():
        owner = makers.get(name, owners.get(name))
        if isinstance(name, Slot):
            owner = makers.get(name.of) if name.kind is Kind.ERROR else name.of
            owner = owners.get(name) if owner not in sizes else owner
        if tensor.buffer == name and owner in sizes:
            there = sizes[owner]
            there[str(tensor.role)] = there.get(str(tensor.role), 0) + tensor.bytes
    macs, cycles = dict.fromkeys(sizes, 0), dict.fromkeys(sizes, 0)
    known = plan.estimate is not None
    spent = plan.estimate.cycles if plan.estimate is not None else (0,) * len(step.ops)
    for op, count in zip(step.ops, spent, strict=True):
        if op.source is not None and op.source.name in macs:
            cycles[op.source.name] += count
            if op.phase is Phase.FORWARD:
                macs[op.source.name] += op.work.macs + op.work.float_macs
    return {name: LayerUse(sizes[name], macs[name], cycles[name] if known else None) for name in sizes}


def learns(step: Step, layer: LayerSummary) -> str:
    """Return what of a layer learns in a step; nothing if it stays as it is."""
    scope, name = step.scope, layer.name
    if scope.head and name in heads(step.model):
        return "all"
    parts = []
    if name in scope.eligible:
        count, there = scope.channels.get(name), learnable(step.model)[name].channels
        parts.append("weights" if count is None or count >= there else f"{count} of {there} channels")
    if name in scope.biases:
        parts.append("bias")
    return " + ".join(parts)


def _row(layer: LayerSummary, use: LayerUse, learning: str, largest: int, plan: Plan) -> str:
    order = [str(role) for role in ROLE_COLORS]
    sizes = sorted(use.by_role.items(), key=lambda item: order.index(item[0]) if item[0] in order else 99)
    total = sum(use.by_role.values())
    said = ", ".join(f"{role} {size:,} B" for role, size in sizes) or "nothing"
    bar = "".join(
        f'<i style="width:{100 * size / largest:.1f}%;background:{color(role)}"></i>' for role, size in sizes
    )
    ms = None if use.cycles is None else 1000 * use.cycles / plan.board.clock_hz
    cost = layer.cost
    own: tuple[int | None, ...] = (None, None, None)
    if cost is not None:
        own = (cost.parameter_bytes, cost.saved_bytes, cost.own_macs + cost.error_macs)
    cells = (
        _cell("" if layer.number is None else str(layer.number), layer.number, right=False),
        f'<th scope="row">{escape(layer.name)}</th>',
        _cell(layer.kind, right=False), _cell("×".join(map(str, layer.shape)), right=False),
        _number(use.forward_macs), _cell(UNKNOWN if ms is None else digits(ms), ms),
        f'<td class="n stack" data-v="{total}" data-tip="{escape(said)}">{total:,}<span>{bar}</span></td>',
        _cell(learning, right=False), *(_number(value) for value in own),
    )  # fmt: skip
    kind = ' class="learns"' if learning else ""
    why = f' data-why="{escape(layer.why_not)}"' if layer.why_not else ""
    return f'<tr{kind}{why} data-layer="{escape(layer.name)}">{"".join(cells)}</tr>'


def _cell(text: str, value: float | None = None, *, right: bool = True) -> str:
    known = "" if value is None else f' data-v="{value:g}"'
    return f"<td{' class=n' if right else ''}{known}>{escape(text)}</td>"


def _number(value: int | None) -> str:
    return _cell(UNKNOWN if value is None else f"{value:,}", -1 if value is None else value)


LEGEND: Final = (
    "What a layer keeps is each of its tensors at its full size; they need not be there at the same time. "
    "The three columns to the right are of a step in which this layer alone learns, as a whole, in SRAM."
)
