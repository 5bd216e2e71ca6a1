"""What can be executed at all, asked by whoever plans and by whoever makes a kernel: one truth for both."""

from __future__ import annotations

from mcusim.core import BadModel
from mcusim.graph import DTYPES, Arithmetic, Op, OpKind, OpTable
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
from mcusim.kernels.reference.int16 import INT16, check_int16, is_int16

Types = tuple[tuple[str, str], ...]
"""(type of the activations read, type of the output) of each form there is."""

_INT8: Types = (("int8", "int8"),)
_MOVED: Types = tuple((dtype, dtype) for dtype in DTYPES)
_FILLED: Types = (("int8", "int8"), ("float32", "float32"))

_EIGHT_BIT: dict[OpKind, Types] = {
    **dict.fromkeys(CONVOLUTIONS, (*_INT8, ("int8", "int32"))),
    OpKind.FULLY_CONNECTED: (*_INT8, ("int8", "int32"), ("float32", "float32")),
    **dict.fromkeys((*FILTERS, *PRODUCTS, *BINARY, *PAIRS, *UNARY, *POOLS), _INT8),
    **dict.fromkeys((*REDUCTIONS, OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION), _INT8),
    OpKind.RESIZE_BILINEAR: _INT8,
    **dict.fromkeys((*MOVES, OpKind.RESHAPE, OpKind.RESIZE_NEAREST_NEIGHBOR), _MOVED),
    OpKind.PAD: (*_INT8, ("int16", "int16"), ("float32", "float32")),
    **dict.fromkeys((OpKind.CONCATENATION, OpKind.SOFTMAX), _FILLED),
    OpKind.QUANTIZE: (*_INT8, ("float32", "int8")),
    OpKind.DEQUANTIZE: (("int8", "float32"),),
    OpKind.ARG_MAX: tuple((x, y) for x in ("int8", "int32", "float32") for y in ("int32", "int64")),
}
_SIXTEEN_BIT: dict[OpKind, Types] = {
    OpKind.QUANTIZE: (("int16", "int16"), ("int16", "int8"), ("int8", "int16"), ("float32", "int16")),
    OpKind.DEQUANTIZE: (("int16", "float32"),),
    # As a recurrent layer of 8-bit activations with 16-bit gates does.
    OpKind.FULLY_CONNECTED: (("int16", "int16"), ("int8", "int16")),
    OpKind.MUL: (("int16", "int16"), ("int16", "int8")),
}
TYPES: OpTable[Types] = OpTable(
    "element types",
    {
        kind: types + (_SIXTEEN_BIT.get(kind, (("int16", "int16"),)) if kind in INT16 else ())
        for kind, types in _EIGHT_BIT.items()
    },
)


def check_forward(op: Op, tensors: Tensors, arithmetic: Arithmetic) -> None:
    """Refuse an op that no kernel computes.

    Raises:
        BadModel: names the op and what is missing.
    """
    FORWARD.of(op)
    if is_int16(op, tensors):
        INT16.of(op)
    known, output = TYPES.of(op), tensors[op.output].dtype
    x = tensors[op.inputs[0]].dtype
    wrong = op.traits.weighted and tensors[op.inputs[1]].dtype != ("int8" if x == "int16" else x)
    for name in op.inputs[: 1 + wrong] if op.traits.weighted else op.inputs:
        if (tensors[name].dtype, output) not in known:
            forms = " or ".join(f"{y} from {x}" for x, y in known)
            raise BadModel(
                f"op {op.name!r} ({op.kind})",
                f"gives {output} from {tensors[name].dtype}, and there are kernels for {forms} only",
                "use a network quantised to int8 as a whole: mcusim quantize makes one of a float file",
            )
    if is_int16(op, tensors):
        check_int16(op, tensors, arithmetic)


def check_gradient(op: Op) -> None:
    """Refuse an op that the gradient would have to pass and cannot.

    Raises:
        BadModel: names the op and why it has no gradient.
    """
    GRADIENTS.of(op)
