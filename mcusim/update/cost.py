"""What choosing costs on the device: memory that is kept, and work that is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mcusim.core import Role, Work
from mcusim.core.frozen import FrozenDict
from mcusim.graph import Model
from mcusim.update.channels import layers
from mcusim.update.selection import Scope

INDEX_BYTES = 2
"""Bytes of one channel number on the device: no layer here has more than 65,536 channels."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Memory and work that a scheme adds to training.

    Attributes:
        sram: role -> bytes of SRAM held during the whole training.
        step: work added to every iteration (gathering statistics).
        stage: work done at the start of every stage (scoring and drawing), in instructions of the C kernels.
        first: what the first stage takes beside that.
        flash: bytes of the tables by which the device chooses.
    """

    sram: Mapping[Role, int] = field(default_factory=dict)
    step: Work = field(default_factory=lambda: Work("select"))
    stage: Work = field(default_factory=lambda: Work("select"))
    first: Work = field(default_factory=lambda: Work("select"))
    flash: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sram", FrozenDict(dict(self.sram)))

    @property
    def bytes(self) -> int:
        """All bytes of SRAM."""
        return sum(self.sram.values())


CHOSEN, CHOICE = 64, 96
"""Bytes of the records in flash by which C kernels choose: of a layer, and of what all layers share."""


def selection_cost(
    model: Model,
    scope: Scope,
    needs: Collection[str] = (),
    *,
    stage: int = 0,
    first: int = 0,
    tables: bool = True,
) -> Cost:
    """Return the cost of choosing anew in each stage, from the most that is ever selected.

    Memory: two bytes of every eligible channel, for an order or for what is drawn already; uniform draws
    leave them unused, since words are made anew for each channel that is looked for. Each statistic
    takes one float32 for every eligible channel (latest mean) and one for every selected channel
    (the running sum); ``error-norm`` three for each op (mean, sum, peak).
    Work of an iteration: a multiply-accumulate for each element of the weight gradient for a norm or
    Fisher sum, two operations on each channel for root and sum; an absolute value and an addition for
    each element of the errors for ``error-norm``.
    Flash: where ``tables`` say how to choose, a record for each layer, and one for what they share, which the
    op that observes has too.
    Work of a stage: ``stage`` instructions, as ``choosing`` counts them, ``first`` more in the first one;
    where there are statistics, a division for each selected channel. None where everything always learns.
    """
    known = layers(model)
    learning = sum(scope.channels.values())
    channels = sum(known[op].channels for op in scope.eligible)
    by_channel = [kind for kind in needs if kind != "error-norm"]
    kept = INDEX_BYTES * channels + 4 * (channels + learning) * len(by_channel)
    step = Work(
        "select",
        float_macs=scope.weights_updated(model) * len(by_channel),
        float_ops=2 * learning * len(by_channel),
    )
    if "error-norm" in needs:
        kept += 4 * 3 * len(scope.eligible)
        errors = sum(model.tensors[model.op(op).output].elements for op in scope.eligible)
        step += Work("select", float_ops=2 * errors)
    if not needs and _all_at_once(model, scope):
        return Cost({Role.OPTIMIZER: kept}, step)
    return Cost(
        {Role.OPTIMIZER: kept},
        step,
        Work("select", int_ops=stage, float_ops=learning if by_channel else 0),
        Work("select", int_ops=first),
        _table_bytes(scope, bool(needs)) if tables else 0,
    )


def selected(model: Model, scope: Scope) -> list[tuple[int, int]]:
    """Return of each layer of a scope how many channels learn at most of how many."""
    known = layers(model)
    return [(count, known[op].channels) for op, count in scope.channels.items()]


def bought(model: Model, scope: Scope) -> tuple[int, int]:
    """Return how many channels can be had of what layers share, the cheapest first, and of how many."""
    known = layers(model)
    total = sum(known[op].channels for op in scope.limits[0].cost)
    most = [-(-limit.most // max(1, min(limit.cost.values()))) for limit in scope.limits]
    return min(total, *most), total


def _table_bytes(scope: Scope, observes: bool) -> int:
    layers = scope.limits[0].cost if scope.limits and not scope.fixed else scope.channels
    return CHOSEN * len(layers) + CHOICE * (1 + observes)


def _all_at_once(model: Model, scope: Scope) -> bool:
    """Return True if all channels always learn, so that there is nothing to choose."""
    known = layers(model)
    whole = all(count == known[op].channels for op, count in scope.channels.items())
    wanted = (
        (limit, sum(each * known[op].channels for op, each in limit.cost.items())) for limit in scope.limits
    )
    return whole and all(total <= limit.most for limit, total in wanted)
