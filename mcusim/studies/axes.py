"""The axes of a study: which setting each one changes, and the candidates that they span."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import exp, log
from typing import Any

from mcusim.core import BadArgument, UnknownName
from mcusim.core.chosen import leaves
from mcusim.core.setting import Setting
from mcusim.data.counter import below, uniform
from mcusim.session.experiment import Experiment, check_head
from mcusim.studies.study import Range, Study
from mcusim.update.scheme import scheme

LABEL = "label"
"""Key of a table in an axis of groups: what people call it."""
SEED = "seed"


@dataclass(frozen=True)
class Axis:
    """One thing that differs between the runs of a study.

    Attributes:
        name: as the file has it.
        path: of the setting in a run file; empty where every value is a table of several settings.
        values: plain data; empty where there is a range.
        range: what a sampler draws from, if no list of values.
    """

    name: str
    path: tuple[str, ...]
    values: tuple[Any, ...]
    range: Range | None

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What people read for each value."""
        return tuple(_label(value) for value in self.values)

    def tables(self, value: Any) -> dict[str, Any]:
        """Return a value as part of a run file."""
        if not self.path:
            return {name: each for name, each in value.items() if name != LABEL}
        found: Any = value
        for name in reversed(self.path):
            found = {name: found}
        return dict(found)

    def draw(self, seed: int, number: int, place: int) -> Any:
        """Return the value of candidate ``number`` of a random study."""
        if self.range is None:
            return self.values[int(below(len(self.values), seed, number, place)[0])]
        low, high = self.range.low, self.range.high
        at = float(uniform(seed, number, place)[0])
        if self.range.whole:
            return int(low) + int(at * (int(high) - int(low) + 1))
        return exp(log(low) + at * (log(high) - log(low))) if self.range.log else low + at * (high - low)


@dataclass(frozen=True)
class Combination:
    """A place in the space of a study: one value an axis, trained once with every seed.

    Attributes:
        number: in the order of the study.
        values: axis -> what people read.
        data: what a run file would hold, but for the seed.
    """

    number: int
    values: Mapping[str, Any]
    data: Mapping[str, Any]

    def experiment(self, seed: int) -> Experiment:
        """Return the experiment of one seed."""
        return Experiment.from_dict(merged(self.data, {SEED: seed}))


class Space:
    """All axes of a study, checked.

    Raises:
        UnknownName: if an axis is no setting; suggests the nearest.
        BadArgument: if a value makes no sense, or two axes change the same setting.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        known = {item.path: item for item in leaves(Experiment)}
        self.axes = [_axis(name, given, known) for name, given in study.axes.items() if name != SEED]
        seeds = study.axes.get(SEED, [study.base.get(SEED, 0)])
        assert isinstance(seeds, list)
        self.seeds: list[int] = list(dict.fromkeys(seeds))
        taken: dict[tuple[str, ...], str] = {}
        for axis in self.axes:
            paths = (
                [axis.path] if axis.path else sorted({p for v in axis.values for p in _paths(axis.tables(v))})
            )
            for path in paths:
                if path in taken:
                    reason = f"changes {'.'.join(path)}, as axis {taken[path]} does"
                    raise BadArgument(f"axis {axis.name}", reason, "let one of them go")
                taken[path] = axis.name
        self._check()

    def _check(self) -> None:
        """Check every single value now, so that no study ends in its middle on a misspelt one."""
        usual = {a.name: a.values[0] if a.values else a.draw(0, 0, p) for p, a in enumerate(self.axes)}
        chosen = [{**usual, axis.name: value} for axis in self.axes for value in axis.values] or [usual]
        ends = [
            {**usual, axis.name: int(end) if axis.range.whole else end}
            for axis in self.axes
            if axis.range is not None
            for end in (axis.range.low, axis.range.high)
        ]
        for values in (*chosen, *ends):
            check_head(self.candidate(0, values).data, f"study {self.study.name}")
            for seed in self.seeds:
                wanted = self.candidate(0, values).experiment(seed)
                scheme(wanted.update)
            wanted.target()

    def candidate(self, number: int, chosen: Mapping[str, Any]) -> Combination:
        """Return the candidate of one value an axis."""
        data: dict[str, Any] = dict(self.study.base)
        for axis in self.axes:
            data = merged(data, axis.tables(chosen[axis.name]))
        shown = {axis.name: _shown(chosen[axis.name]) for axis in self.axes}
        return Combination(number, shown, data)

    def some(self) -> Combination:
        """Return one of the candidates."""
        chosen = {
            axis.name: axis.values[0] if axis.values else axis.draw(0, 0, place)
            for place, axis in enumerate(self.axes)
        }
        return self.candidate(0, chosen)

    def grid(self) -> Iterator[Combination]:
        """Yield every combination of values, the last axis changing fastest."""
        names = [axis.name for axis in self.axes]
        for number, values in enumerate(product(*(axis.values for axis in self.axes))):
            yield self.candidate(number, dict(zip(names, values, strict=True)))

    def random(self) -> Iterator[Combination]:
        """Yield as many candidates as the study has points, each drawn by itself; equal ones come once."""
        seen = set()
        for number in range(self.study.points or 0):
            chosen = {
                axis.name: axis.draw(self.study.sampler_seed, number, place)
                for place, axis in enumerate(self.axes)
            }
            key = json.dumps(chosen, sort_keys=True, allow_nan=False)
            if key not in seen:
                seen.add(key)
                yield self.candidate(number, chosen)


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested tables with the values of others put in."""
    found = dict(base)
    for name, value in more.items():
        old = found.get(name)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        found[name] = merged(old, value) if both else value  # type: ignore[arg-type]
    return found


def _axis(name: str, given: Range | list[Any], known: Mapping[tuple[str, ...], Setting]) -> Axis:
    values = () if isinstance(given, Range) else tuple(given)
    range_ = given if isinstance(given, Range) else None
    if values and all(isinstance(value, dict) for value in values):
        return Axis(name, (), tuple(_spread(value, known) for value in values), None)
    item = _setting(name, known, "axis")
    if range_ is not None and not {int, float} & {*item.kinds}:
        raise BadArgument(f"axis {name}", f"is a range, and {item.label} is {item.kind}", "list its values")
    return Axis(name, item.path, values, range_)


def _setting(name: str, known: Mapping[tuple[str, ...], Setting], kind: str) -> Setting:
    path = tuple(name.split("."))
    found = [item for place, item in known.items() if place[-len(path) :] == path]
    exact = [item for item in found if item.path == path]
    if not found:
        raise UnknownName(kind, name, {*(".".join(p) for p in known), *(p[-1] for p in known)})
    if len(found) > 1 and not exact:
        which = " or ".join(".".join(item.path) for item in found)
        raise BadArgument(f"{kind} {name}", f"may be {which}", "write it out")
    return (exact or found)[0]


def _spread(table: Mapping[str, Any], known: Mapping[tuple[str, ...], Setting]) -> dict[str, Any]:
    """Return a table of settings with short and dotted names as a run file nests them."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name == LABEL:
            found[LABEL] = str(value)
            continue
        if isinstance(value, Mapping) and any(path[0] == name and len(path) > 1 for path in known):
            found = merged(found, {name: value})
            continue
        put: Any = value
        for word in reversed(_setting(name, known, "setting").path):
            put = {word: put}
        found = merged(found, put)
    return found


def _paths(tables: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in tables.items():
        if isinstance(value, Mapping):
            yield from _paths(value, (*above, name))
        else:
            yield (*above, name)


def _label(value: Any) -> str:
    if isinstance(value, Mapping):
        if LABEL in value:
            return str(value[LABEL])
        return ", ".join(f"{'.'.join(path)}={_at(value, path)}" for path in _paths(value))
    return str(value)


def _at(table: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = table
    for name in path:
        found = found[name]
    return found


def _shown(value: Any) -> Any:
    return _label(value) if isinstance(value, Mapping | list) else value
