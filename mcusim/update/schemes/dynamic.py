"""Dynamic gradient sparse update: a small, changing set of input channels of late layers learns.

Source: Li and Chang, arXiv 2503.17959 (ISCAS 2024). Front layers are frozen; in the important layers,
here by default the expanding pointwise convolutions of the last seven inverted-residual blocks, the
learning channels are redrawn every iteration, or in stages, so that over time most of the weights of
those layers are visited. By default 2 % of the convolution weights learn in an iteration.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import floor

from mcusim.core import BadArgument
from mcusim.graph import Model
from mcusim.update.channels import Layer, biases, trunk_weights
from mcusim.update.cost import Cost, selection_cost
from mcusim.update.policy import POLICIES, Choice
from mcusim.update.pool import bias_ops, pool
from mcusim.update.quota import quota
from mcusim.update.scheme import SCHEMES
from mcusim.update.selection import Scope, Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@SCHEMES.register("dynamic")
@dataclass(frozen=True, slots=True)
class Dynamic:
    """The paper's scheme.

    The number of learning channels of each layer is fixed for a given model (see ``quota``), so one
    memory plan serves every stage; only which channels they are changes.

    Attributes:
        ratio: most of the convolution weights that learn in one iteration, as a fraction.
        stage: iterations between redraws; ``None`` for one draw before training.
        blocks: how many of the last blocks learn; where there are fewer, all.
        layers: which layers of these blocks: ``expand``, ``pointwise``, ``depthwise``, ``project``,
            ``all``; or names or numbers of layers joined by ``+``, whatever their block.
        policy: which channels: a name from ``mcusim.update.policy.POLICIES``.
        bias_blocks: how many of the last blocks have learning biases; ``None`` for ``blocks``.

    Raises:
        BadArgument: if a parameter is out of its range.
        UnknownName: if the policy is not known.
    """

    ratio: float = 0.02
    stage: int | None = 1
    blocks: int = 7
    layers: str = "expand"
    policy: str = "uniform"
    bias_blocks: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise BadArgument(f"ratio {self.ratio}", "is not in (0, 1]", "try 0.02, which is 2 %")
        for name, least in (("stage", 1), ("blocks", 1), ("bias_blocks", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise BadArgument(f"{name} {value}", f"is less than {least}", f"use at least {least}")
        _ = POLICIES[self.policy]

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("dynamic", self)

    @property
    def needs(self) -> frozenset[str]:
        """What the policy needs."""
        return POLICIES[self.policy].needs

    def scope(self, model: Model) -> Scope:
        """Return the layers and the fixed number of channels of each.

        Raises:
            BadArgument: if not even one channel fits in the budget.
        """
        return _layout(self, model)[0]

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the channels of one stage."""
        scope, learning = _layout(self, model)
        policy = POLICIES[self.policy]
        channels = {
            item.op: policy.choose(
                Choice(model, item, scope.channels[item.op], i, stage_index, seed, statistics)
            )
            for i, item in enumerate(learning)
        }
        return Selection(channels, scope.biases, scope.head)

    def cost(self, model: Model) -> Cost:
        """Return the memory of channel numbers and statistics, and the work of gathering and drawing."""
        scope, learning = _layout(self, model)
        return selection_cost(
            selected=sum(scope.channels.values()),
            pooled=sum(item.channels for item in learning),
            gradient_elements=scope.weights_updated(model),
            statistics=self.needs,
        )


# A redraw every iteration must not walk the graph every time; a few (scheme, model) pairs are in use.
@lru_cache(maxsize=4)
def _layout(scheme: Dynamic, model: Model) -> tuple[Scope, tuple[Layer, ...]]:
    """Return the scope of a scheme, and the layers in which at least one channel learns."""
    found = pool(model, scheme.blocks, scheme.layers)
    counts = quota(found, floor(scheme.ratio * trunk_weights(model)))
    learning = tuple(item for item in found if counts[item.op])
    bias_blocks = scheme.blocks if scheme.bias_blocks is None else scheme.bias_blocks
    scope = Scope(
        {item.op: counts[item.op] for item in learning},
        tuple(item.op for item in learning),
        biases(model, bias_ops(model, bias_blocks)),
        head=model.head is not None,
    )
    return scope, learning
