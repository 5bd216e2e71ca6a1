"""C spelled from Python values: names, numbers, arrays, initialisers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

CTYPES = {
    "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
    "int64": "int64_t", "uint64": "uint64_t", "float32": "float",
}  # fmt: skip
"""Element types as C spells them."""
COLUMNS = 110


class CText(str):
    """A piece of CText, to be written as it is; other texts are written as strings."""

    __slots__ = ()


NULL = CText("NULL")


def identifier(name: str) -> str:
    """Return a name as a C identifier: other characters than letters and digits become ``_``."""
    text = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{text}" if text[:1].isdigit() else text


def literal(value: Any) -> str:
    """Return a C literal; floats are hexadecimal, so that every bit is said."""
    if isinstance(value, CText):
        return value
    if isinstance(value, str):
        escaped = "".join(c if c.isprintable() and c.isascii() and c not in '"\\' else "_" for c in value)
        return f'"{escaped}"'
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return f"{float(np.float32(value)).hex()}f"
    number = int(value)
    if number == -(2**31):
        return "(-2147483647 - 1)"
    if number >= 2**31:
        return f"{number}u" if number < 2**32 else f"{number:#x}u"
    return str(number)


def real(value: float) -> dict[str, int]:
    """Return the fields of ``mcusim_real``: 53 bits and an exponent."""
    mantissa, exponent = frexp(value)
    return {"m": int(mantissa * 2**53), "e": exponent - 53} if value else {}


def initialiser(fields: Mapping[str, Any], indent: str = "    ") -> str:
    """Return a designated initialiser; fields that are zero or ``NULL`` are left out, as C sets them so."""
    lines = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}.{name} = {initialiser(value, indent + '    ')},")
        elif isinstance(value, (tuple, list)):
            lines.append(f"{indent}.{name} = {{{', '.join(map(literal, value))}}},")
        elif value is not None and value != NULL and not (not isinstance(value, str) and value == 0):
            lines.append(f"{indent}.{name} = {literal(value)},")
    inner = "\n".join(lines)
    return "{\n" + inner + "\n" + indent[4:] + "}" if lines else "{0}"


def array(name: str, values: NDArray[Any]) -> str:
    """Return the definition of a constant array, its values flat in C order."""
    flat = np.ascontiguousarray(values).reshape(-1)
    words = [literal(v) for v in flat] or ["0"]
    kind = CTYPES[flat.dtype.name]
    return f"const {kind} {name}[{len(words)}] = {{\n{_wrapped(words)}\n}};\n"


def _wrapped(words: Iterable[str]) -> str:
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > COLUMNS:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])
