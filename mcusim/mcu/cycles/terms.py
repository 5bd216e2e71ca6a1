"""Terms of a cycle model: cycles per unit of a count of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated

from annotated_types import Ge, Le

from mcusim.core import Work
from mcusim.mcu.toml_files import unknown_key

Terms = Mapping[str, Annotated[float, Ge(0), Le(100_000)]]
"""Cycles per unit of a count of ``Work``; ``ops`` is cycles per call."""

COUNTS = tuple(f.name for f in fields(Work) if f.name != "kind")
"""The counts a term can weigh, beside ``ops``."""


def check_terms(file: str, where: str, terms: Terms) -> None:
    """Refuse a count that work does not have.

    Raises:
        BadBoard: names it, and the nearest that there is.
    """
    for count in terms:
        if count != "ops" and count not in COUNTS:
            raise unknown_key(file, f"{where}.{count}", count, ("ops", *COUNTS))
