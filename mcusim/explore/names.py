"""What can be named: networks, schemes, planners, allocators and cycle profiles, installed ones included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SchemeForm:
    """How an update scheme is written, and what it lets learn."""

    name: str
    usage: str
    what: str
    defaults: Mapping[str, str]
    """Parameter -> what it is if not given; empty where it must be."""


def models() -> dict[str, Path]:
    """Return the networks that ``mcusim.load`` takes by name, with the file that each name means.

    Public ones that are not on this machine yet are not among them: ``mcusim models`` lists those too.
    """
    from mcusim.files.load import available

    return available()


def schemes() -> list[str]:
    """Return the names of the update schemes; most take parameters, see ``mcusim.scheme``."""
    from mcusim.update.scheme import SCHEMES

    return SCHEMES.names()


def scheme_forms() -> list[SchemeForm]:
    """Return how each scheme is written and what it lets learn, by name."""
    from inspect import getdoc

    from mcusim.update.scheme import SCHEMES
    from mcusim.update.spelling import defaults, usage

    found = []
    for name in SCHEMES.names():
        kind = SCHEMES[name]
        what = " ".join((getdoc(kind) or "").partition("\n\n")[0].split()).replace("``", "")
        found.append(SchemeForm(name, usage(name, kind), what, defaults(kind)))
    return found


def planners() -> list[str]:
    """Return the names of the static planners that place a step's tensors."""
    from mcusim.memory.planners import PLANNERS

    return PLANNERS.names()


def allocators() -> list[str]:
    """Return the names of the dynamic allocators that can serve a step instead of a static plan."""
    from mcusim.memory.allocators import ALLOCATORS

    return ALLOCATORS.names()


def profiles() -> list[str]:
    """Return the names of the cycle profiles: what a kernel library costs on a core."""
    from mcusim.mcu.cycles.profile import profile_names

    return profile_names()
