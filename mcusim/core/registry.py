"""Named things that can also come from other packages, through entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoints, entry_points
from typing import Generic, TypeVar

from mcusim.core.errors import BadArgument, UnknownName

T = TypeVar("T")


@cache
def installed(group: str) -> EntryPoints:
    """Return the entry points of a group, looked up once a process: it reads a file of every package."""
    return entry_points(group=group)


class Registry(Generic[T]):
    """Maps names to things of one kind.

    Args:
        kind: what a person calls such a thing; used in error messages.
        group: the entry-point group under which other packages add theirs.
        own: names and places (``module:object``) of this package's, imported where they are used.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str] | None = None) -> None:
        self.kind, self.group = kind, group
        self._own: dict[str, T] = {}
        self._places = dict(own or {})

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers what it decorates under ``name``."""

        def add(thing: T) -> T:
            if name in self._own or name in self._places:
                raise BadArgument(f"{self.kind} {name!r}", "is registered already", "choose another name")
            self._own[name] = thing
            return thing

        return add

    def names(self) -> list[str]:
        """Return all names, own and installed, sorted."""
        return sorted({*self._own, *self._places, *(e.name for e in installed(self.group))})

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        # What is installed is looked up last: finding it reads files.
        return name in self._own or name in self._places or name in self.names()

    def __getitem__(self, name: str) -> T:
        if name in self._own:
            return self._own[name]
        if name in self._places:
            module, _, place = self._places[name].partition(":")
            mine: T = getattr(import_module(module), place)
            return mine
        for entry in installed(self.group):
            if entry.name == name:
                loaded: T = entry.load()
                return loaded
        raise UnknownName(self.kind, name, self.names())
