"""An activation that only clamps becomes the clamp of the op before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.graph import Op
from mcusim.simplify.draft import NetworkDraft
from mcusim.simplify.rewrites.table import LEAST, table


def activation(network: NetworkDraft) -> bool:
    """Let an op clamp its output itself.

    That is done where every result of the activation is its clamped input, so the scales are the same, and
    where the op keeps a mask of what it clamped, by which gradients then stop as they did before.
    """
    for op in network.ops:
        after = network.only_reader(op.output)
        if after is None or not (op.traits.masked and op.traits.fuses):
            continue
        x, y = network.tensors[op.output], network.tensors[after.output]
        if x.quant is None or not x.quant.same_as(y.quant):
            continue
        clamp = _clamp(network, op, after)
        if clamp is not None:
            network.remove(after)
            fused = replace(op, output=y.name, attributes=replace(op.attributes, clamp=clamp))
            network.put(op, fused)
            network.origin[op.name] += (after.name,)
            return True
    return False


def _clamp(network: NetworkDraft, op: Op, after: Op) -> tuple[float, float] | None:
    """Return the range of both clamps, or ``None`` if the second op does more than to clamp."""
    results = table(network, after)
    if results is None or op.attributes.clamp is None:
        return None
    low, high = int(results[0]), int(results[-1])
    if (low, high) == (-128, 127) or np.any(results != np.clip(LEAST, low, high)):
        return None  # the first of these is an identity, and has a rewrite of its own
    least, most = max(op.attributes.clamp[0], low), min(op.attributes.clamp[1], high)
    return (least, most) if least <= most else None
