"""What a network is for, as far as it says so itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mcusim.graph.kinds import OpKind
from mcusim.graph.ops import Op
from mcusim.graph.tensor import Tensor


class Purpose(NamedTuple):
    """The name of a task, or what the user has to say."""

    task: str
    """Empty where the network does not say."""
    way_out: str = ""


def purpose(ops: Sequence[Op], inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Purpose:
    """Return what a network is for.

    A softmax means classification, a sigmoid binary or multi-label, an output of the input's shape
    reconstruction, one output regression, other vectors classification.
    """
    if len(outputs) != 1:
        return Purpose("", "choose an output")
    (output,), last = outputs, last_kind(ops)
    again = [output.shape] == [tensor.shape for tensor in inputs]
    if output.elements != output.shape[-1]:
        if again:
            return Purpose("reconstruction")
        return Purpose("", "choose a task: segmentation or regression")
    if last in (OpKind.SOFTMAX, OpKind.ARG_MAX):
        return Purpose("classification")
    if output.elements == 1:
        return Purpose("binary" if last is OpKind.LOGISTIC else "regression")
    if last is OpKind.LOGISTIC:
        return Purpose("multi-label")
    return Purpose("reconstruction" if again else "classification")


def last_kind(ops: Sequence[Op]) -> OpKind | None:
    """Return the kind of the op that makes the output, what only changes its type or shape left out."""
    through = (OpKind.QUANTIZE, OpKind.DEQUANTIZE, OpKind.RESHAPE)
    return next((op.kind for op in reversed(ops) if op.kind not in through), None)
