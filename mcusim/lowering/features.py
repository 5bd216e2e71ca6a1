"""Feature memory: what a scheme saves for the backward pass, and what dense training would save."""

from __future__ import annotations

from mcusim.core import Kind, Role, is_kind
from mcusim.graph import Model
from mcusim.lowering.step import Step


def dense_feature_bytes(model: Model) -> int:
    """Return the bytes of all convolution inputs: what a dense backward pass keeps, the head excluded."""
    return sum(model.tensors[name].bytes for name in {op.inputs[0] for op in model.convolutions})


def saved_feature_bytes(step: Step) -> int:
    """Return the bytes a step saves of the inputs of convolutions, the head excluded.

    Of selected channels and of pruned pixels only those count; an input all of whose channels learn and
    none of whose pixels are pruned counts as a whole.
    """
    inputs = {op.inputs[0] for op in step.model.convolutions}
    return sum(
        t.bytes
        for t in step.tensors.values()
        if t.role is Role.FEATURE and (is_kind(t.name, Kind.SAVED) or t.name in inputs)
    )
