"""What a table of ops is made of: kernels, their records, and the constants these point to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import Role
from mcusim.deployment.text import CTYPES, CText, array, identifier, initialiser

TYPES = {
    "int8": CText("MCUSIM_INT8"), "int16": CText("MCUSIM_INT16"), "int32": CText("MCUSIM_INT32"),
    "float32": CText("MCUSIM_FLOAT32"),
}  # fmt: skip
"""Types of what a record says the type of."""


@dataclass(frozen=True, slots=True)
class Call:
    """A kernel and what its record says.

    Attributes:
        kernel: C name of the kernel.
        struct: C name of its record's type.
        fields: the record, by the names of its fields.
    """

    kernel: str
    struct: str
    fields: Mapping[str, Any]


NOTHING = Call("mcusim_nothing", "", {})
"""An op that takes no instructions: the input is there, or output and input are the same bytes."""


@dataclass(slots=True)
class FlashConstants:
    """Constant arrays of a network, each once, and records that others point to.

    Attributes:
        prefix: begins every name.
        role_bytes: bytes of the arrays by role.
        arrays: their bytes by name.
    """

    prefix: str
    role_bytes: dict[Role, int] = field(default_factory=dict)
    arrays: dict[str, bytes] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)
    _declared: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, str, bytes], str] = field(default_factory=dict)

    def array(self, name: str, values: NDArray[Any], role: Role) -> CText:
        """Return the C name of an array with these values; arrays that are equal share one."""
        values = np.ascontiguousarray(values)
        key = (str(role), values.dtype.name, values.tobytes())
        if key not in self._known:
            own = self._unique(name)
            self._known[key] = own
            self._texts[own] = array(own, values)
            self.arrays[own] = values.tobytes()
            kind, size = CTYPES[values.dtype.name], max(values.size, 1)
            self._declared[own] = f"extern const {kind} {own}[{size}];"
            self.role_bytes[role] = self.role_bytes.get(role, 0) + values.nbytes
        return CText(self._known[key])

    def record(self, name: str, struct: str, fields: Mapping[str, Any]) -> CText:
        """Return the address of a record in flash; each is made once, by its name."""
        own = f"{self.prefix}_{identifier(name)}"
        if own not in self._texts:
            self._texts[own] = f"const {struct} {own} = {initialiser(fields)};\n"
            self._declared[own] = f"extern const {struct} {own};"
        return CText(f"&{own}")

    def records(self, name: str, struct: str, rows: Sequence[Mapping[str, Any]]) -> CText:
        """Return the name of an array of records."""
        own = self._unique(name)
        body = "".join(f"    {initialiser(row, '        ')},\n" for row in rows)
        self._texts[own] = f"const {struct} {own}[{len(rows)}] = {{\n{body}}};\n"
        self._declared[own] = f"extern const {struct} {own}[{len(rows)}];"
        return CText(own)

    def rule(self, name: str) -> CText:
        """Return the C name of the rule of a number format, declared beside what names it."""
        self._declared[name] = f"extern mcusim_rule {name};"
        return CText(name)

    def definitions(self) -> str:
        """Return the C definitions, arrays and records in the order in which they were asked for."""
        return "\n".join(self._texts.values())

    def declarations(self) -> str:
        """Return their declarations."""
        return "\n".join(self._declared.values()) + "\n"

    def _unique(self, name: str) -> str:
        own = base = f"{self.prefix}_{identifier(name)}"
        count = 1
        while own in self._texts:
            count += 1
            own = f"{base}_{count}"
        return own
