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

DRAW_OPS = 10
"""Integer operations of one random draw: three shifts and exclusive-ors of xorshift32 (Marsaglia 2003),
a multiplication and shift to bring it into range, and the swap of a partial Fisher-Yates shuffle."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Memory and work that a scheme adds to training.

    Attributes:
        sram: role -> bytes of SRAM held during the whole training.
        step: work added to every iteration (gathering statistics).
        stage: work done once at the start of every stage (scoring and drawing).
        flash: bytes of the tables by which the device chooses.
    """

    sram: Mapping[Role, int] = field(default_factory=dict)
    step: Work = field(default_factory=lambda: Work("select"))
    stage: Work = field(default_factory=lambda: Work("select"))
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
    model: Model, scope: Scope, needs: Collection[str] = (), *, random: bool = True, tables: bool = True
) -> Cost:
    """Return the cost of choosing anew in each stage, from the most that is ever selected.

    Memory: the numbers of all eligible channels, which drawing shuffles in place. Each statistic
    takes one float32 for every eligible channel (latest mean) and one for every selected channel
    (the running sum); ``error-norm`` three for each op (mean, sum, peak).
    Work of an iteration: a multiply-accumulate for each element of the weight gradient for a norm or
    Fisher sum, two operations on each channel for root and sum; an absolute value and an addition for
    each element of the errors for ``error-norm``.
    Flash: where ``tables`` say how to choose, a record for each layer, and one for what they share, which the
    op that observes has too.
    Work of a stage: one draw for each selected channel; where there are statistics, a division and a
    comparison for each channel of the eligible layers.
    """
    known = layers(model)
    selected = sum(scope.channels.values())
    channels = sum(known[op].channels for op in scope.eligible)
    by_channel = [kind for kind in needs if kind != "error-norm"]
    kept = INDEX_BYTES * channels + 4 * (channels + selected) * len(by_channel)
    step = Work(
        "select",
        float_macs=scope.weights_updated(model) * len(by_channel),
        float_ops=2 * selected * len(by_channel),
    )
    if "error-norm" in needs:
        kept += 4 * 3 * len(scope.eligible)
        errors = sum(model.tensors[model.op(op).output].elements for op in scope.eligible)
        step += Work("select", float_ops=2 * errors)
    return Cost(
        {Role.OPTIMIZER: kept},
        step,
        Work(
            "select",
            int_ops=DRAW_OPS * selected if random else 0,
            float_ops=2 * channels if needs else 0,
        ),
        _table_bytes(model, scope, bool(needs)) if tables else 0,
    )


def _table_bytes(model: Model, scope: Scope, observes: bool) -> int:
    if not observes and _all_at_once(model, scope):
        return 0
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
