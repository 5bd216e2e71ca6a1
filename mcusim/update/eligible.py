"""Which layers of the last blocks a scheme may choose from."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadArgument, UnknownName
from mcusim.core.remember import remembered
from mcusim.graph import Model, Op, OpKind
from mcusim.graph.outputs import heads
from mcusim.update.blocks import LayerBlock, blocks, is_expanding, is_pointwise
from mcusim.update.channels import Layer, biases, layers, trunk

KINDS = ("expand", "pointwise", "depthwise", "project", "all")


def eligible_layers(model: Model, last_blocks: int, kind: str) -> tuple[Layer, ...]:
    """Return the layers of the last blocks that are of one kind, in execution order.

    ``expand`` means the pointwise layers with more outputs than inputs. A network without
    inverted-residual blocks has no such layers by design; there it means every layer that is not
    depthwise. Instead of a kind, names or numbers of layers joined by ``+`` choose exactly those.

    Raises:
        UnknownName: if neither a kind nor layers of the model are named.
        BadArgument: if the last blocks have no layer of this kind.
    """
    known = layers(model)
    if kind not in KINDS:
        return tuple(known[name] for name in known if name in _named(model, kind))
    found = blocks(model)
    inverted = any(block.expand for block in found)
    names = {
        name
        for block in found[-last_blocks:]
        for name in block.ops
        if _is(model, model.op(name), kind, block, inverted)
    }
    chosen = tuple(known[name] for name in known if name in names)
    if not chosen:
        raise BadArgument(
            f"the last {last_blocks} blocks of {model.name}", f"have no {kind} layers", "choose layers=all"
        )
    return chosen


@dataclass(frozen=True, slots=True)
class Candidates:
    """Where a scheme may learn: layers whose channels it chooses from, and ops whose bias learns."""

    layers: tuple[Layer, ...]
    biases: tuple[str, ...]
    head: bool


def counted(model: Model, text: str) -> tuple[str, dict[str, int] | None]:
    """Split numbers of channels off layers: ``36*2+39*4`` -> ``36+39`` and op name -> number.

    Returns:
        The text without numbers, and the numbers; ``None`` where there are none.

    Raises:
        UnknownName: if the model has no such layer.
        BadArgument: if only some layers have a number, or a layer does not have that many channels.
    """
    if "*" not in text:
        return text, None
    known = layers(model)
    counts: dict[str, int] = {}
    for part in text.split("+"):
        name, _, number = (p.strip() for p in part.partition("*"))
        (op,) = _named(model, name)
        if not number.isdecimal() or not 1 <= int(number) <= known[op].channels:
            raise BadArgument(
                f"layer {part!r}",
                f"has no number of channels from 1 to {known[op].channels}",
                "write e.g. 36*2+39*4, a number for every layer or for none",
            )
        counts[op] = int(number)
    return "+".join(counts), counts


# A redraw every iteration must not walk the graph every time; few sets of candidates are in use at once.
@remembered(limit=8)
def candidates(model: Model, last_blocks: int, kind: str, bias_blocks: int | None) -> Candidates:
    """Return the layers of one kind in the last blocks, and the biases of the last ``bias_blocks``.

    Where a network has fewer blocks, all are meant; ``bias_blocks=None`` means ``last_blocks``.

    Raises:
        UnknownName, BadArgument: as ``eligible_layers``; also if a number of blocks is below 1 (biases: 0).
    """
    for name, value, least in (("blocks", last_blocks, 1), ("bias_blocks", bias_blocks, 0)):
        if value is not None and value < least:
            raise BadArgument(f"{name} {value}", f"is less than {least}", f"use at least {least}")
    found = blocks(model)
    wanted = last_blocks if bias_blocks is None else bias_blocks
    names = {name for block in found[max(len(found) - wanted, 0) :] for name in block.ops}
    ops = tuple(op for op in trunk(model) if op.name in names)
    return Candidates(eligible_layers(model, last_blocks, kind), biases(model, ops), bool(heads(model)))


def _is(model: Model, op: Op, kind: str, block: LayerBlock, inverted: bool) -> bool:
    if kind == "expand":
        if not inverted:
            return op.kind is not OpKind.DEPTHWISE_CONV_2D
        # Inside a block, a gate of squeeze-and-excitation expands too, but a pooled tensor.
        return op.name == block.expand if block.depthwise else is_expanding(model, op)
    if kind == "pointwise":
        return is_pointwise(model, op)
    if kind == "depthwise":
        return op.kind is OpKind.DEPTHWISE_CONV_2D
    if kind == "project":
        return op.name == block.project
    return True


def _named(model: Model, text: str) -> set[str]:
    """Return the layers that a text like ``36+39`` or ``conv1+conv2`` names."""
    if "," in text:
        raise BadArgument(f"layers {text}", "hold a comma, which separates parameters", "give their numbers")
    names = [op.name for op in trunk(model)]
    chosen = set()
    for part in (p.strip() for p in text.split("+")):
        if part in names:
            chosen.add(part)
        elif part.isdecimal() and int(part) < len(names):
            chosen.add(names[int(part)])
        else:
            raise UnknownName(f"kind of layers, or layer of {model.name}", part, (*KINDS, *names))
    return chosen
