"""A network made simple: whichever file it came from, one network gives one plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mcusim.graph import Model, OpKind
from mcusim.graph.validate import validate
from mcusim.simplify.draft import NetworkDraft
from mcusim.simplify.registry import REWRITES


@dataclass(frozen=True, slots=True, eq=False)
class Simplified:
    """A simplified network, and the way back.

    Attributes:
        model: the network with fewer ops. Its outputs have the same bits; its constants that learn keep
            their names and layouts.
        original: the network as it was.
        origin: name of each op of ``model`` -> names of the ops of ``original`` that it stands for, in order.
    """

    model: Model
    original: Model
    origin: Mapping[str, tuple[str, ...]]

    @property
    def gone(self) -> dict[OpKind, int]:
        """How many ops of each kind were taken out, or into others."""
        return dict(Counter(op.kind for op in self.original.ops if op.name not in self.origin))


def simplified(model: Model, rewrites: Collection[str] | None = None) -> Simplified:
    """Return a network with fewer ops that computes the same bits.

    Args:
        model: any network.
        rewrites: names of the rewrites that may be used; all of ``REWRITES`` by default.

    Raises:
        UnknownName: for a rewrite that does not exist; suggests the nearest.
    """
    network = NetworkDraft(model)
    names = sorted(REWRITES if rewrites is None else rewrites)
    chosen = [REWRITES[name] for name in names]
    changed = False
    while any(rewrite(network) for rewrite in chosen):
        changed = True
        network.drop_unread()
    if not changed:
        return Simplified(model, model, {op.name: (op.name,) for op in model.ops})
    return Simplified(validate(network.model()), model, dict(network.origin))
