"""A network of which only some outputs are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.core import UnknownName
from mcusim.core.remember import remembered
from mcusim.graph.head import head_name
from mcusim.graph.model import Model
from mcusim.graph.states import kept, needed


def output_named(model: Model, text: str) -> str:
    """Return the name of an output that is given by its name, or by its place counted from 0.

    Raises:
        UnknownName: if the network has no such output; suggests the nearest.
    """
    if text in model.outputs:
        return text
    if text.isdecimal() and int(text) < len(model.outputs):
        return model.outputs[int(text)]
    raise UnknownName(f"output of {model.name}", text, model.outputs)


def with_outputs(model: Model, names: Sequence[str]) -> Model:
    """Return the part of a network that computes the outputs ``names``, in this order.

    Inputs that nothing needs any more are left out. With one output its classifier is the head.
    """
    if tuple(names) == model.outputs:
        return model
    used = needed(names, model.ops, model.states)
    part = replace(
        model, ops=tuple(op for op in model.ops if op.output in used), outputs=tuple(names), head=None,
        tensors={name: tensor for name, tensor in model.tensors.items() if name in used},
        inputs=tuple(name for name in model.inputs if name in used), states=kept(model.states, used),
    )  # fmt: skip
    return part if len(names) > 1 else replace(part, head=head_name(part))


@remembered(limit=1)
def heads(model: Model) -> tuple[str, ...]:
    """Return the names of the ops that are classifiers: the head, or those of all outputs."""
    if len(model.outputs) == 1:
        return () if model.head is None else (model.head,)
    found = (with_outputs(model, (name,)).head for name in model.outputs)
    return tuple(dict.fromkeys(name for name in found if name is not None))
