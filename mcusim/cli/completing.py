"""What a shell offers where a name is wanted: boards, networks, schemes … that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def offering(kind: str) -> Callable[[str], list[str]]:
    """Return what completes a value that is a name of this kind, or several with commas between."""

    def offer(incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in NAMES[kind]() if name.startswith(begun)]

    return offer


def _allocators() -> Iterable[str]:
    from mcusim.memory.allocators import ALLOCATORS

    return ALLOCATORS.names()


def _boards() -> Iterable[str]:
    from mcusim.mcu.board_files import board_names

    return board_names()


def _cores() -> Iterable[str]:
    from mcusim.mcu.core import core_names

    return core_names()


def _data() -> Iterable[str]:
    from mcusim.data.named import DATASETS

    return DATASETS.names()


def _downloads() -> Iterable[str]:
    from mcusim.files.registry import registry

    return registry()


def _models() -> Iterable[str]:
    from mcusim.files.load import available

    return available()


def _planners() -> Iterable[str]:
    from mcusim.memory.planners import PLANNERS

    return PLANNERS.names()


def _profiles() -> Iterable[str]:
    from mcusim.mcu.cycles.profile import profile_names

    return profile_names()


def _replaying() -> Iterable[str]:
    return [*_planners(), *_allocators()]


def _sides() -> Iterable[str]:
    return [*_schemes(), *_traces()]


def _traces() -> Iterable[str]:
    from mcusim.traces.shipped import shipped_traces

    return shipped_traces()


def _schemes() -> Iterable[str]:
    from mcusim.update.scheme import SCHEMES

    return SCHEMES.names()


NAMES: dict[str, Callable[[], Iterable[Any]]] = {
    "allocator": _allocators, "board": _boards, "core": _cores, "data": _data, "download": _downloads,
    "model": _models, "planner": _planners, "profile": _profiles, "replaying": _replaying, "side": _sides,
    "trace": _traces, "update": _schemes,
}  # fmt: skip
"""Kinds of names, by the settings that take them where there is one, and who lists them."""
