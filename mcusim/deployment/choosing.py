"""Which channels learn in a stage, where the device chooses them: what the C kernels are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcusim.core import Kind, Role, Slot
from mcusim.deployment.context import StepContext, refusal
from mcusim.deployment.text import NULL, CText
from mcusim.update.scheme import Scheme
from mcusim.update.schemes.dynamic import Dynamic
from mcusim.update.schemes.trady import TraDy

POLICIES = {"round-robin": "mcusim_in_turn", "gradient-norm": "mcusim_by_norm"}
"""C function of each policy of ``dynamic``; uniform draws need no memory and have one of their own."""


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """How channels are chosen.

    Attributes:
        record: fields of ``mcusim_choice``.
        observed: where the norms of each layer's gradients are summed, if they are.
    """

    record: Mapping[str, Any]
    observed: Mapping[str, CText]


def choice_of(context: StepContext, scheme: Scheme, steps: int, seed: int) -> ChannelChoice:
    """Return how a scheme chooses on the device.

    What it remembers lies in what the plan keeps for it: latest means of all eligible channels, sums of those
    that learn, two bytes a channel for an order or for the number of steps seen.

    Raises:
        BadModel: if it chooses in a way that has no C kernel.
    """
    scope, what = context.step.scope, f"update {scheme.name}"
    if isinstance(scheme, TraDy):
        function = "mcusim_in_one_stream"
    elif isinstance(scheme, Dynamic) and scheme.policy in POLICIES:
        function = POLICIES[scheme.policy]
    else:
        raise refusal(what, "chooses channels in a way that is not written in C")
    needs = bool(scheme.needs)
    layers = {name: (count, _channels(context, name)) for name, count in scope.channels.items()}
    total = sum(of for _, of in layers.values())
    means, sums = 0, 4 * total
    order = sums + 4 * sum(count for count, _ in layers.values()) if needs else 0
    seen = _at(context, "float", order) if needs else NULL
    rows, observed = [], {}
    for name, (count, of) in layers.items():
        row: dict[str, Any] = {
            "channels": context.at(Slot(name, Kind.CHANNELS)), "count": count, "of": of,
        }  # fmt: skip
        if needs:
            row |= {"latest": _at(context, "float", means), "sums": _at(context, "float", sums)}
            observed[name] = row["sums"]
            means, sums = means + 4 * of, sums + 4 * count
        elif function == "mcusim_in_turn":
            row["order"] = _at(context, "int16_t", order)
            order += 2 * of
        rows.append(row)
    return ChannelChoice({
        "choose": CText(function), "layers": context.constants.records("chosen", "mcusim_chosen", rows),
        "layers_count": len(rows), "steps": steps, "seed": seed, "steps_seen": seen,
    }, observed)  # fmt: skip


def _channels(context: StepContext, name: str) -> int:
    return context.tensors[context.model.op(name).inputs[0]].shape[-1]


def _at(context: StepContext, kind: str, byte: int) -> CText:
    """Return an address in what the plan keeps for the scheme."""
    place = context.offset(Slot(Role.OPTIMIZER, Kind.SELECTION)) + byte
    assert place % 2 == 0
    assert kind != "float" or place % 4 == 0
    return CText(f"({kind} *)({context.constants.prefix}_arena + {place})")
