"""Cycles of work nobody measured: float arithmetic, backward ops, updates. Always labelled modelled."""

from __future__ import annotations

from collections.abc import Mapping

from mcusim.core import UnknownName

_RULE = "X-CUBE-AI's rule of thumb for float32"
_REST = "element operations: loads, one instruction, store"

DEFAULT_TERMS: Mapping[str, tuple[Mapping[str, float], str]] = {
    "cortex-m0plus": (
        {"macs": 8.0, "requants": 100.0, "int_ops": 6.0, "float_macs": 160.0, "float_ops": 80.0,
         "im2col_bytes": 4.0},
        "software float: Qfplib-M0 (quinapalus.com) needs about 70 cycles for an addition or a product, "
        f"call and loads added; {_REST}",
    ),
    "cortex-m4": (
        {"macs": 3.0, "requants": 30.0, "int_ops": 3.0, "float_macs": 9.0, "float_ops": 5.0,
         "im2col_bytes": 1.0},
        f"{_RULE}, about 9 cycles a MAC on M4 (measured: 8.8 on an STM32F401, 12.1 on an F407); {_REST}",
    ),
    "cortex-m33": (
        {"macs": 2.6, "requants": 26.0, "int_ops": 2.6, "float_macs": 9.0, "float_ops": 5.0,
         "im2col_bytes": 0.9},
        f"float as on M4 ({_RULE}, about 9 cycles a MAC): same single-issue FPU pipeline; {_REST}",
    ),
    "cortex-m7": (
        {"macs": 1.7, "requants": 17.0, "int_ops": 1.7, "float_macs": 6.0, "float_ops": 3.0,
         "im2col_bytes": 0.6},
        f"{_RULE}, about 6 cycles a MAC on M7 (Bosch's tuned kernels: 3.0 on an STM32H7A3); {_REST}",
    ),
}  # fmt: skip
"""Core -> (terms, where they come from)."""


def default_terms(core: str) -> tuple[Mapping[str, float], str]:
    """Return the default terms of a core and their source.

    Raises:
        UnknownName: if nothing is known of that core's float arithmetic.
    """
    if core not in DEFAULT_TERMS:
        raise UnknownName("core", core, DEFAULT_TERMS)
    return DEFAULT_TERMS[core]
