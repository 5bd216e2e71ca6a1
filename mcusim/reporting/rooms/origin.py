"""What is needed to get the same page again: versions, choices, digests, the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from platform import python_version
from typing import Any

from mcusim.events import Header
from mcusim.planning.facts import time_facts
from mcusim.planning.plan import Plan
from mcusim.reporting.course import Course
from mcusim.sections.html import body
from mcusim.sections.kinds import Command, Facts, Section
from mcusim.session.identity import device, program

PACKAGES = ("numpy", "numba")


def versions() -> list[tuple[str, str]]:
    """Return the versions of what computes, and the digest of the code that does."""
    found = program()
    rows = [("mcusim", f"{found['version']}, arithmetic {found['arithmetic']}"), ("Python", python_version())]
    return rows + [(name, version(name)) for name in PACKAGES]


def origin_room(header: Header, plan: Plan | None, course: Course | None, command: str) -> str:
    """Return where a result comes from, and how to get it again."""
    rows = [
        *versions(), ("network", header.model), ("board", header.board), ("update", header.scheme),
        ("seed", str(header.seed)),
        ("formats", ", ".join(f"{part} {chosen}" for part, chosen in header.formats.items())),
        ("SRAM", f"{header.sram_bytes:,} B"), ("planner", header.planner), ("cycle profile", header.profile),
    ]  # fmt: skip
    if plan is not None:
        rows += [(f"digest of the {name}", said) for name, said in device(plan).items()]
        rows += [row for row in time_facts(plan.estimate, plan.board) if row[0] == "not counted"]
    found: list[Section] = [Facts([(label, value) for label, value in rows if value])]
    if command:
        found.append(Command(command, "the command:"))
    more = ""
    if plan is not None:
        more += _folded("every setting", flat(plan.settings.as_dict()))
    if course is not None and course.identity:
        more += _folded("what the run rests on", flat(course.identity))
    return body(found) + more


def _folded(title: str, rows: Iterator[tuple[str, str]]) -> str:
    return f"<details><summary>{title}</summary>{body([Facts([*rows])])}</details>"


def flat(data: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested tables, each under its path."""
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", "none" if value is None else str(value)
