"""What can be executed at all, asked by whoever plans and by whoever makes a kernel: one truth for both."""

from __future__ import annotations

from mcusim.core import BadModel
from mcusim.graph import DTYPES, Op, OpKind, OpTable
from mcusim.graph.traits import (
    BINARY,
    CONVOLUTIONS,
    FILTERS,
    MOVES,
    PAIRS,
    POOLS,
    PRODUCTS,
    REDUCTIONS,
    UNARY,
)  # fmt: skip
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.reference import FORWARD, GRADIENTS

Types = tuple[tuple[str, str], ...]
"""(type of the activations read, type of the output) of each form there is."""

_INT8: Types = (("int8", "int8"),)
_MOVED: Types = tuple((dtype, dtype) for dtype in DTYPES)
_FILLED: Types = (("int8", "int8"), ("float32", "float32"))

TYPES: OpTable[Types] = OpTable(
    "element types",
    {
        **dict.fromkeys(CONVOLUTIONS, (*_INT8, ("int8", "int32"))),
        OpKind.FULLY_CONNECTED: (*_INT8, ("int8", "int32"), ("float32", "float32")),
        **dict.fromkeys((*FILTERS, *PRODUCTS, *BINARY, *PAIRS, *UNARY, *POOLS), _INT8),
        **dict.fromkeys((*REDUCTIONS, OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION), _INT8),
        OpKind.RESIZE_BILINEAR: _INT8,
        **dict.fromkeys((*MOVES, OpKind.RESHAPE, OpKind.RESIZE_NEAREST_NEIGHBOR), _MOVED),
        **dict.fromkeys((OpKind.PAD, OpKind.CONCATENATION, OpKind.SOFTMAX), _FILLED),
        OpKind.QUANTIZE: (*_INT8, ("float32", "int8")),
        OpKind.DEQUANTIZE: (("int8", "float32"),),
        OpKind.ARG_MAX: tuple((x, y) for x in ("int8", "int32", "float32") for y in ("int32", "int64")),
    },
)


def check_forward(op: Op, tensors: Tensors) -> None:
    """Refuse an op that no kernel computes.

    Raises:
        BadModel: names the op and what is missing.
    """
    FORWARD.of(op)
    known, output = TYPES.of(op), tensors[op.output].dtype
    for name in op.inputs[:2] if op.traits.parametric else op.inputs:
        if (tensors[name].dtype, output) not in known:
            forms = " or ".join(f"{y} from {x}" for x, y in known)
            raise BadModel(
                f"op {op.name!r} ({op.kind})",
                f"gives {output} from {tensors[name].dtype}, and there are kernels for {forms} only",
                "use a network quantised to int8 as a whole: mcusim quantize makes one of a float file",
            )


def check_gradient(op: Op) -> None:
    """Refuse an op that the gradient would have to pass and cannot.

    Raises:
        BadModel: names the op and why it has no gradient.
    """
    GRADIENTS.of(op)
