"""Dynamic gradient sparse update: a small, changing set of input channels of late layers learns.

Source: Li and Chang, arXiv 2503.17959 (ISCAS 2024). Front layers are frozen; in the important layers,
here by default the expanding pointwise convolutions of the last seven inverted-residual blocks, the
learning channels are redrawn every iteration, or in stages, so that over time most of the weights of
those layers are visited. By default 2 % of the convolution weights learn in an iteration.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadArgument
from mcusim.core.remember import remembered
from mcusim.graph import Model
from mcusim.update import choosing
from mcusim.update.budget import Budget, check_limits
from mcusim.update.channels import Layer
from mcusim.update.cost import Cost, selected, selection_cost
from mcusim.update.draw import subsets
from mcusim.update.eligible import candidates, counted
from mcusim.update.policy import POLICIES, Choice, Importance, RoundRobin, Uniform
from mcusim.update.quota import quota
from mcusim.update.selection import Scope, Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Dynamic:
    """Dynamic Gradient Sparse Update (arXiv 2503.17959): other channels of some layers in each stage.

    The number of learning channels of each layer is fixed for a given model (see ``quota``), so one
    memory plan serves every stage; only which channels they are changes.

    Attributes:
        ratio: most of the convolution weights that learn in one iteration, as a fraction.
        stage: iterations between redraws; ``None`` for one draw before training.
        blocks: how many of the last blocks learn; where there are fewer, all.
        layers: which layers of these blocks: ``expand``, ``pointwise``, ``depthwise``, ``project``,
            ``all``; or names or numbers of layers joined by ``+``, whatever their block, each with or
            all without its number of learning channels: ``36*2+39*4``.
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
        check_limits(self.ratio, None)
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
            BadArgument: if not even one channel fits in the budget, or given numbers exceed it.
            UnknownName: if the model does not have a layer.
        """
        return _layout(model, self)[0]

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the channels of one stage."""
        scope, learning, wanted = _layout(model, self)
        policy = POLICIES[self.policy]
        if isinstance(policy, Uniform):
            chosen = subsets(seed, 1 + stage_index, wanted)
            return Selection.drawn(dict(zip(scope.channels, chosen, strict=True)), scope.biases, scope.head)
        channels = {
            item.op: policy.choose(
                Choice(model, item, scope.channels[item.op], i, stage_index, seed, statistics)
            )
            for i, item in enumerate(learning)
        }
        return Selection(channels, scope.biases, scope.head)

    def cost(self, model: Model) -> Cost:
        """Return the memory of channel numbers and statistics, and the work of gathering and drawing."""
        policy, scope = POLICIES[self.policy], self.scope(model)
        layers = selected(model, scope)
        stage = choosing.subsets(layers) if isinstance(policy, Uniform) else choosing.largest(layers)
        if isinstance(policy, Importance):
            stage = sum(choosing.weighted(count, of) for count, of in layers)
        turns = isinstance(policy, RoundRobin)  # which are drawn once
        first = choosing.orders(of for _, of in layers) if turns else 0
        # Uniform draws need no more than the numbers of channels; the largest weights are always the same.
        plain = self.stage is None or POLICIES[self.policy] in (POLICIES["uniform"], POLICIES["weight-norm"])
        return selection_cost(
            model, scope, self.needs, stage=0 if turns else stage, first=first, tables=not plain
        )


# A redraw every iteration must not share the budget every time; few schemes are in use at once.
@remembered(limit=4)
def _layout(model: Model, scheme: Dynamic) -> tuple[Scope, tuple[Layer, ...], tuple[tuple[int, int], ...]]:
    """Return the scope of a scheme, the layers that learn, and of each its channels and how many learn."""
    names, counts = counted(model, scheme.layers)
    where = candidates(model, scheme.blocks, names, scheme.bias_blocks)
    budget = Budget.of(model, ratio=scheme.ratio)
    if counts is None:
        counts = quota(where.layers, budget)
    learning = tuple(item for item in where.layers if counts[item.op])
    scope = Scope(
        {item.op: counts[item.op] for item in learning},
        tuple(item.op for item in learning),
        where.biases,
        where.head,
    )
    weights = scope.weights_updated(model)
    if budget.weights is not None and weights > budget.weights:
        raise BadArgument(
            f"layers {scheme.layers}",
            f"have {weights} learning weights, ratio={scheme.ratio} allows {budget.weights}",
            "choose fewer channels or raise the ratio",
        )
    return scope, learning, tuple((item.channels, counts[item.op]) for item in learning)
