"""What a result rests on: the program, the network, the data, the board and every choice."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from mcusim.planning.plan import Plan

PACKAGE = Path(__file__).parents[1]
COMPUTES = (
    "core", "data", "engine", "graph", "kernels", "lowering", "mcu", "session", "simplify", "tasks", "update",
)  # fmt: skip
"""Rooms of the package whose code decides what a step computes, in which order, and how long it takes."""


@cache
def program() -> dict[str, str]:
    """Return the version of this program, and a digest of the code that computes.

    The digest changes between two states of the code that carry the same version, so that what one of them
    has computed is never taken for the result of the other.
    """
    from mcusim import __version__

    digest = sha256()
    for room in COMPUTES:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return {"version": __version__, "arithmetic": digest.hexdigest()[:32]}


def device(plan: Plan) -> dict[str, str]:
    """Return digests of what the board and the cycle profile say; where their files lie does not matter."""
    found = {"board": f"{plan.board.name} {_digest(replace(plan.board, file=''))}"}
    if plan.estimate is not None:
        profile = plan.estimate.profile
        found["cycle profile"] = f"{profile.name} {_digest(replace(profile, file=''))}"
    return found


def _digest(content: Any) -> str:
    return sha256(repr(content).encode()).hexdigest()[:32]
