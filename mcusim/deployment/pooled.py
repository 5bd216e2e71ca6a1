"""The C kernel of a convolution with the pool behind it, and its record."""

from __future__ import annotations

from dataclasses import replace

from mcusim.deployment.context import StepContext, source_of
from mcusim.deployment.forward import forward
from mcusim.deployment.records import Call
from mcusim.deployment.text import CText
from mcusim.graph import DTYPES
from mcusim.lowering.step import StepOp


def pooled(context: StepContext, op: StepOp) -> Call:
    """Return the call of an op that computes both, row by row.

    Raises:
        BadModel: if there is no C kernel for one of them; names it.
    """
    (y, band), pool = op.writes, op.pool
    assert pool is not None
    made = context.tensors[source_of(op).output].shape[1]
    convolution = forward(context, replace(op, writes=(band,)))
    behind = forward(context, replace(op, source=pool, reads=(band,), writes=(y,), scratch=None))
    windows = convolution.fields["window"] | {"oh": made}, behind.fields["window"] | {"h": made}
    return Call("mcusim_pooled_rows", "mcusim_pooled", {
        "rows": CText(convolution.kernel), "convolution": {**convolution.fields, "window": windows[0]},
        "pool": {**behind.fields, "window": windows[1]}, "behind": CText(behind.kernel),
        "bytes": DTYPES[context.held(band).dtype],
    })  # fmt: skip
