"""Which channels learn in a stage, where the device chooses them: what the C kernels are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcusim.core import Kind, Role, Slot
from mcusim.deployment.context import StepContext, refusal
from mcusim.deployment.parameters import Observed
from mcusim.deployment.text import NULL, CText, real
from mcusim.update.channels import layers as eligible
from mcusim.update.scheme import Scheme
from mcusim.update.schemes.dynamic import Dynamic
from mcusim.update.schemes.medyate import MeDyate
from mcusim.update.schemes.tinyprop import TinyProp
from mcusim.update.schemes.tinytrain import TinyTrain
from mcusim.update.schemes.trady import TraDy

POLICIES = {
    "round-robin": "mcusim_in_turn", "gradient-norm": "mcusim_by_norm", "importance": "mcusim_by_chance",
}  # fmt: skip
"""C function of each policy of ``dynamic``; uniform draws need no memory and have one of their own."""
WEIGHTED = {"mcusim_by_chance", "mcusim_by_importance", "mcusim_by_importance_within_limits"}
"""Those that draw by weight, and note what is drawn: a byte a channel."""
OTHER = "chooses channels in a way that is not written in C"
ERROR_BYTES = 12


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """How channels are chosen.

    Attributes:
        record: fields of ``mcusim_choice``.
        observed: by layer, where norms of its gradients and of its output's error are summed, if they are.
    """

    record: Mapping[str, Any]
    observed: Mapping[str, Observed]


def choice_of(context: StepContext, scheme: Scheme, steps: int, seed: int) -> ChannelChoice:
    """Return how a scheme chooses on the device.

    What it remembers lies in what the plan keeps for it: latest means of all eligible channels, sums of those
    that learn, three numbers a layer of the error at its output, two bytes a channel for an order or for the
    number of steps seen.

    Raises:
        BadModel: if it chooses in a way that has no C kernel; says which.
    """
    function = _function(scheme)
    costs, limits = _limits(context, scheme)
    layers = {name: (context.step.scope.channels.get(name, 0), _channels(context, name)) for name in costs}
    total, selected = (sum(numbers) for numbers in zip(*((of, n) for n, of in layers.values()), strict=True))
    by_channel, by_error = bool(scheme.needs), "error-norm" in scheme.needs
    means, sums, known = 0, 4 * total, eligible(context.model)
    error = sums + 4 * selected if by_channel else 0
    order = error + (ERROR_BYTES * len(layers) if by_error else 0)
    seen, drawn = _at(context, "float", order) if by_channel else NULL, order + 4
    by_weight = function in WEIGHTED
    whole = set(costs) == set(context.step.scope.channels) and total >= 4
    if (by_weight or isinstance(scheme, TinyTrain)) and not whole:
        raise refusal(f"update {scheme.name}", "has layers of which no channel can ever learn")
    rows: list[dict[str, Any]] = []
    observed: dict[str, Observed] = {}
    for number, (name, (count, of)) in enumerate(layers.items()):
        row: dict[str, Any] = {"count": count, "of": of, "cost": costs[name]}
        if count:
            row["channels"] = context.at(Slot(name, Kind.CHANNELS))
        if by_channel:
            row |= {"latest": _at(context, "float", means), "sums": _at(context, "float", sums)}
            observed[name] = {"observed": row["sums"]}
            means, sums = means + 4 * of, sums + 4 * count
        elif function == "mcusim_in_turn":
            row["order"] = _at(context, "int16_t", order)
            order += 2 * of
        if by_weight:
            row["drawn"] = _at(context, "uint8_t", drawn)
            drawn += of
        if isinstance(scheme, MeDyate):
            layer = known[name]
            row["size"] = real(layer.channel_weights + layer.channel_features)
        if isinstance(scheme, TinyTrain):
            probing, most, measure = scheme.layout(context.model)[name]
            row |= {"turns": probing, "most": most, "size": real(measure)}
        if by_error:
            row |= {"error": _at(context, "float", error), "depth": len(layers) - 1 - number}
            observed[name] = {**observed[name], "error": row["error"]}
            error += ERROR_BYTES
        rows.append(row)
    return ChannelChoice({
        "choose": CText(function), "layers": context.constants.records("chosen", "mcusim_chosen", rows),
        "layers_count": len(rows), "steps": steps, "seed": seed, "steps_seen": seen, "limits": limits,
        "probing": scheme.probing_stages(context.model) if isinstance(scheme, TinyTrain) else 0,
        "network": CText(f"&{context.constants.prefix}") if _in_flash(context) else NULL,
        **_share(scheme),
    }, observed)  # fmt: skip


def _in_flash(context: StepContext) -> bool:
    """True if what learned is written back to flash before other channels are chosen."""
    return any(context.compact(context.model.op(name)) for name in context.step.scope.channels)


def _function(scheme: Scheme) -> str:
    """Return the C function that chooses."""
    if isinstance(scheme, TraDy):
        return "mcusim_in_one_stream" if scheme.even else "mcusim_within_limits"
    if isinstance(scheme, MeDyate):
        return "mcusim_by_importance" if scheme.even else "mcusim_by_importance_within_limits"
    if isinstance(scheme, TinyProp):
        return "mcusim_by_error"
    if isinstance(scheme, Dynamic) and scheme.policy in POLICIES:
        return POLICIES[scheme.policy]
    if isinstance(scheme, TinyTrain):
        return "mcusim_by_fisher"
    raise refusal(f"update {scheme.name}", OTHER)


def _limits(context: StepContext, scheme: Scheme) -> tuple[dict[str, list[int]], list[int]]:
    """Return what a channel of each layer takes of what they share, and how much that is."""
    scope = context.step.scope
    if not isinstance(scheme, (TraDy, MeDyate, TinyTrain)) or getattr(scheme, "even", False):
        return {name: [0, 0] for name in scope.channels}, [0, 0]
    limits = scheme.scope(context.model).limits
    return {name: [limit.cost[name] for limit in limits] for name in limits[0].cost}, [e.most for e in limits]


def _share(scheme: Scheme) -> dict[str, Any]:
    """Return the numbers from which a share of channels follows."""
    if not isinstance(scheme, TinyProp):
        return {}
    least, most = scheme.s_min, scheme.s_max
    return {"least": real(least), "span": real(most - least), "damping": real(scheme.damping)}


def _channels(context: StepContext, name: str) -> int:
    return context.tensors[context.model.op(name).inputs[0]].shape[-1]


def _at(context: StepContext, kind: str, byte: int) -> CText:
    """Return an address in what the plan keeps for the scheme."""
    place = context.offset(Slot(Role.OPTIMIZER, Kind.SELECTION)) + byte
    assert place % {"float": 4, "int16_t": 2, "uint8_t": 1}[kind] == 0
    return CText(f"({kind} *)({context.constants.prefix}_arena + {place})")
