"""Formats that learned parameters are kept in; ``update.py`` says what a step does in each."""

from __future__ import annotations

WEIGHTS: dict[str, str | None] = {
    "int8": None, "int8-sr": None, "int8+res8": "int8", "float32": "float32",
}  # fmt: skip
"""Formats of learning weights, and the type of the companion that each int8 weight has, if any."""

BIASES: dict[str, str | None] = {"int32": None, "int32-sr": None, "int32+res8": "int8"}
"""Formats of learning biases, and the type of the companion that each int32 bias has, if any."""
