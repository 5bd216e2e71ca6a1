"""What follows from constants alone is computed now, not on the device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.graph import Op
from mcusim.simplify.draft import NetworkDraft


def constant(network: NetworkDraft) -> bool:
    """Make the output of an op whose inputs are all constants a constant."""
    for op in network.ops:
        if op.output not in network.outputs and all(network.tensors[n].constant for n in op.inputs):
            _compute(network, op)
            return True
    return False


def _compute(network: NetworkDraft, op: Op) -> None:
    from mcusim.kernels.reference import forward

    tensors, output = network.tensors, network.tensors[op.output]
    data = np.empty(output.shape, output.dtype)
    inputs = op.inputs[:1] if op.traits.weighted else op.inputs
    forward(op, tensors, network.arithmetic)(tuple(tensors[name].data for name in inputs), data)
    data.flags.writeable = False
    tensors[op.output] = replace(output, data=data)
    network.remove(op)
