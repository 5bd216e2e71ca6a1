"""What ops on single elements make of every int8 there is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op, OpKind
from mcusim.graph.traits import UNARY
from mcusim.simplify.draft import NetworkDraft

LEAST: NDArray[np.int8] = np.arange(-128, 128).astype(np.int8)
"""Every int8, the least first."""
_SINGLE = (*UNARY, OpKind.QUANTIZE, OpKind.DEQUANTIZE)


def table(network: NetworkDraft, *ops: Op) -> NDArray[np.int8] | None:
    """Return the results of ops in a row for ``LEAST``, by the slow twins that define them.

    ``None`` if one of them looks at more than one element, or the first or last tensor is not int8.
    """
    tensors = network.tensors
    ends = (tensors[ops[0].inputs[0]].dtype, tensors[ops[-1].output].dtype)
    if any(op.kind not in _SINGLE for op in ops) or ends != ("int8", "int8"):
        return None
    from mcusim.kernels.reference import forward

    values: NDArray[np.generic] = LEAST
    for op in ops:
        result = np.empty(values.shape, tensors[op.output].dtype)
        forward(op, tensors, network.arithmetic)((values,), result)
        values = result
    return values.astype(np.int8)
