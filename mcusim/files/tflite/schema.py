"""The numbers of the TFLite schema that the importer and the exporter share.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3.
"""

from __future__ import annotations

from mcusim.files.names import NAMES, Tflite
from mcusim.graph import OpKind

IDENTIFIER = b"TFL3"
VERSION = 3

OPERATORS: dict[int, OpKind] = {
    names.tflite.code: kind
    for kind, names in NAMES.items()
    if names.tflite is not None and kind is not OpKind.GROUPED_CONV_2D
}
"""Builtin operator codes; a CONV_2D whose weight has fewer channels than its input works in groups."""

FOLDED: dict[int, str] = {
    8: "FLOOR", 53: "CAST", 58: "LESS", 59: "NEG", 61: "GREATER", 62: "GREATER_EQUAL", 63: "LESS_EQUAL",
    64: "SELECT", 71: "EQUAL", 72: "NOT_EQUAL", 77: "SHAPE", 81: "REDUCE_PROD", 84: "LOGICAL_OR",
    86: "LOGICAL_AND", 87: "LOGICAL_NOT", 90: "FLOOR_DIV", 92: "SQUARE", 93: "ZEROS_LIKE", 94: "FILL",
    95: "FLOOR_MOD", 96: "RANGE", 104: "CEIL", 110: "RANK", 123: "SELECT_V2", 145: "BROADCAST_ARGS",
}  # fmt: skip
"""Builtin operators that are supported where their outputs follow from constants or shapes."""

SPELLED: dict[int, str] = {
    37: "BATCH_TO_SPACE_ND", 38: "SPACE_TO_BATCH_ND", 43: "SQUEEZE", 49: "SPLIT", 60: "PADV2", 65: "SLICE",
    70: "EXPAND_DIMS", 83: "PACK", 88: "UNPACK", 102: "SPLIT_V", 130: "BROADCAST_TO",
}  # fmt: skip
"""Builtin operators that are read as other ones, see `mcusim.files.tflite.spelled`."""

NEWEST: dict[int, int] = {
    0: 5, 1: 3, 2: 7, 3: 8, 4: 7, 5: 1, 6: 9, 8: 1, 9: 14, 11: 2, 14: 3, 17: 3, 18: 7, 19: 3, 20: 1, 21: 3,
    22: 1, 23: 4, 25: 3, 26: 2, 28: 3, 34: 6, 36: 8, 37: 4, 38: 4, 39: 8, 40: 3, 41: 5, 42: 2, 43: 2, 45: 4,
    47: 2, 49: 5, 50: 2, 53: 9, 54: 1, 55: 4, 56: 2, 57: 4, 58: 3, 59: 1, 60: 6, 61: 2, 62: 3, 63: 2, 64: 4,
    65: 8, 67: 5, 69: 2, 70: 1, 71: 5, 72: 4, 73: 2, 74: 2, 75: 2, 76: 3, 77: 1, 81: 2, 82: 3, 83: 5, 84: 1,
    86: 1, 87: 1, 88: 6, 89: 3, 90: 3, 92: 1, 93: 1, 94: 5, 95: 2, 96: 1, 97: 4, 98: 2, 99: 2, 100: 3, 101: 3,
    102: 3, 104: 1, 105: 4, 110: 1, 111: 1, 114: 6, 117: 1, 123: 2, 126: 4, 129: 1, 130: 4, 142: 1, 143: 1,
    144: 1, 145: 1, 150: 2, 152: 1,
}  # fmt: skip
"""The newest version of each operator whose meaning is known; by trial, what LiteRT 2.3.0 executes."""

CALL_ONCE, VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE = 129, 142, 143, 144
STATEFUL: dict[int, str] = {
    CALL_ONCE: "CALL_ONCE", VAR_HANDLE: "VAR_HANDLE", READ_VARIABLE: "READ_VARIABLE",
    ASSIGN_VARIABLE: "ASSIGN_VARIABLE",
}  # fmt: skip
"""Operators of a network that keeps state from one invocation to the next."""
WAYS_OUT: dict[int, str] = {
    **dict.fromkeys((16, 24, 35, 46, 52), "export it unrolled: as dense layers, one for each step"),
    32: "replace it by operators of TensorFlow Lite, or cut the network before it",
    48: "cut the network before it, and let the program choose",
}
"""What to do about operators that people meet often and that are not supported."""

CAST, PADV2 = Tflite(53, 1, 37), Tflite(60, 2, 43)
"""Operators that only the exporter uses."""

TYPES: dict[int, str] = {0: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}
"""Element types that a graph here can hold."""
RESOURCE = 13
"""A handle, by which operators name a variable."""
HALF = 1
"""float16: weights of a float network that were made half as large."""
OTHER_TYPES: dict[int, str] = {
    5: "string", 8: "complex64", 10: "float64", 11: "complex128", 12: "uint64", 13: "resource",
    14: "variant", 15: "uint32", 16: "uint16", 17: "int4", 18: "bfloat16", 19: "int2", 20: "uint4",
}  # fmt: skip

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
ACTIVATIONS: dict[int, tuple[float, float] | None] = {
    NONE: None,
    RELU: (0.0, float("inf")),
    RELU_N1_TO_1: (-1.0, 1.0),
    RELU6: (0.0, 6.0),
}
"""Fused activations as ranges of real values."""


def operator_name(code: int) -> str:
    """Return a builtin operator's name; a number where the ``tflite`` package is not installed."""
    if code in OPERATORS:
        return OPERATORS[code].name
    for known in (FOLDED, SPELLED, STATEFUL):
        if code in known:
            return known[code]
    try:
        from tflite import BuiltinOperator
    except ImportError:
        return f"builtin operator {code}"
    names: dict[object, str] = {value: name for name, value in vars(BuiltinOperator).items()}
    return names.get(code, f"builtin operator {code}")


def supported_operators() -> str:
    """Return the names of all supported operators, for messages."""
    return "supported: " + ", ".join(sorted({*(kind.name for kind in OPERATORS.values()), *SPELLED.values()}))
