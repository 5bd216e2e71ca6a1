"""A network as a graph: its ops from top to bottom, and arcs where a tensor is read further down."""

from __future__ import annotations

from collections.abc import Mapping

from mcusim.graph import Model
from mcusim.sections.html import escape

ROW = 22
"""Units between two ops."""
SPINE = 66
"""Where the ops stand; arcs lie left of it, names right of it."""
WIDTH = 250
LETTERS = 26


def network_graph(model: Model, learns: Mapping[str, bool], most: int) -> str:
    """Return the graph as SVG: filled circles learn; ``data-layer`` names the row of the table.

    Args:
        model: the network.
        learns: op -> whether something of it learns.
        most: ops that are drawn, the first.
    """
    ops = model.ops[:most]
    place = {op.output: number for number, op in enumerate(ops)}
    arcs, nodes = [], []
    for number, op in enumerate(ops):
        y = ROW * number + ROW // 2
        for name in op.inputs:
            source = place.get(name)
            if source is None:
                continue
            above = ROW * source + ROW // 2
            if source == number - 1:
                arcs.append(f'<path d="M{SPINE} {above}V{y}"/>')
            else:
                bow = min(SPINE - 8, 12 + 5 * (number - source))
                arcs.append(
                    f'<path d="M{SPINE} {above}C{SPINE - bow} {above} {SPINE - bow} {y} {SPINE} {y}"/>'
                )
        kind = "learns" if learns.get(op.name) else "frozen"
        name = (
            op.name
            if len(op.name) <= LETTERS
            else f"{op.name[: LETTERS // 2 - 1]}…{op.name[-LETTERS // 2 :]}"
        )
        said = f"{op.name}, {op.kind}, {'learns' if learns.get(op.name) else 'stays as it is'}"
        nodes.append(
            f'<g class="node {kind}" role="button" tabindex="-1" data-layer="{escape(op.name)}" '
            f'data-tip="{escape(said)}" aria-label="{escape(said)}">'
            f'<rect x="{SPINE - 8}" y="{y - ROW // 2}" width="{WIDTH - SPINE + 8}" height="{ROW}"/>'
            f'<circle cx="{SPINE}" cy="{y}" r="5"/><text x="{SPINE + 12}" y="{y + 4}">{escape(name)}</text>'
            "</g>"
        )
    height = ROW * max(len(ops), 1)
    return (
        f'<svg class="network" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="group" '
        f'aria-label="the network: {len(model.ops)} ops"><g class="arcs">{"".join(arcs)}</g>'
        f"{''.join(nodes)}</svg>"
    )
