"""Classes whose fields are settings: checked when made, plain data both ways, and changed by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from functools import cache
from inspect import Parameter, signature
from typing import Any, Self, TypeVar, cast, get_args, get_origin, get_type_hints

from mcusim.core.errors import BadArgument, UnknownName
from mcusim.core.setting import KEY, Setting
from mcusim.core.wording import in_options

C = TypeVar("C", bound="Chosen")
F = TypeVar("F", bound=Callable[..., Any])


class Chosen:
    """Base of the classes whose fields are settings: checked when made, and plain data both ways."""

    __slots__ = ()

    def __post_init__(self) -> None:
        check(self)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        data = {}
        for item in settings_of(type(self)):
            value = getattr(self, item.name)
            if not (item.about.terse and value == item.default):
                data[item.name] = value.as_dict() if isinstance(value, Chosen) else item.plain(value)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from ``as_dict``; what is not there is the default.

        Raises:
            UnknownName: for a key that is no setting; suggests the nearest.
            BadArgument: if a value makes no sense.
        """
        known = {item.name: item for item in settings_of(cls)}
        values = {}
        for name, value in data.items():
            if name not in known:
                raise UnknownName("setting", name, {*known, *(".".join(i.path) for i in leaves(cls))})
            group = group_of(known[name])
            values[name] = value
            if group is not None:
                if not isinstance(value, Mapping):
                    raise BadArgument(f"setting {name} = {value!r}", "is not a table", f"write [{name}]")
                values[name] = group.from_dict(value)
        return cls(**values)


def check(chosen: Any) -> None:
    """Check every field of a ``Chosen`` and put it into the form in which it is kept.

    Raises:
        UnknownName, BadArgument: see ``Setting.accept``.
    """
    for item in settings_of(type(chosen)):
        value = getattr(chosen, item.name)
        group = group_of(item)
        if group is None:
            object.__setattr__(chosen, item.name, item.accept(value))
        elif not isinstance(value, group):
            raise BadArgument(
                f"{item.label} {value!r}", f"is no {group.__name__}", f"e.g. {group.__name__}()"
            )


def chosen(base: C, choices: Mapping[str, Any]) -> C:
    """Return ``base`` with other choices, as a call with keyword arguments gives them.

    Raises:
        UnknownName: for a name that is no setting; suggests the nearest.
        BadArgument: if a value makes no sense.
    """
    known = {item.name: item for item in settings_of(type(base))}
    for name in choices:
        if name not in known:
            raise UnknownName("setting", name, {*known, *(".".join(i.path) for i in leaves(type(base)))})
    given = {n: v for n, v in choices.items() if v is not None or group_of(known[n]) is None}
    return replace(base, **given)  # type: ignore[type-var]  # a dataclass, as settings_of has seen


def arguments(given: C, plain: C) -> str:
    """Return the options of the command line that say how ``given`` differs from ``plain``."""
    words = []
    for item in leaves(type(given)):
        value: Any = given
        usual: Any = plain
        for name in item.path:
            value, usual = getattr(value, name), getattr(usual, name)
        if value != usual:
            words.append(item.spell(value))
    return " ".join(words)


def changed(base: C, path: Sequence[str], value: Any) -> C:
    """Return ``base`` with another value of one setting, which may be in a group of its own."""
    name, *inner = path
    new = changed(getattr(base, name), inner, value) if inner else value
    return replace(base, **{name: new})  # type: ignore[type-var]  # a dataclass, as its settings are fields


def written(item: Setting, value: Any, base: Chosen) -> str:
    """Return how the person who asked would write another value of one setting of ``base``.

    As an option of the command line, or as an argument of Python: there a group is written whole.
    """
    if in_options():
        return item.spell(value)
    name, *inner = item.path
    if not inner:
        return f"{name}={item.plain(value)!r}"
    group = getattr(changed(base, item.path, value), name)
    given = ((each, getattr(group, each.name)) for each in leaves(type(group)))
    words = (f"{each.name}={each.plain(v)!r}" for each, v in given if v != each.default)
    return f"{name}={type(group).__name__}({', '.join(words)})"


def takes(kind: type[Chosen], but: Collection[str] = ()) -> Callable[[F], F]:
    """Return a decorator that says, to ``help`` and to editors, which settings ``**choices`` takes."""

    def say(function: F) -> F:
        found = signature(function)
        own = [p for p in found.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
        more = [
            Parameter(item.name, Parameter.KEYWORD_ONLY, default=item.default)
            for item in settings_of(kind)
            if item.name not in but
        ]
        function.__signature__ = found.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return say


def settings_of(kind: type[Any]) -> tuple[Setting, ...]:
    """Return the settings of a class, groups of further ones included as one."""
    return _settings_of(cast(Hashable, kind))


@cache
def _settings_of(kind: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(kind)
    return tuple(
        Setting((item.name,), _kinds(hints[item.name]), _default(item), item.metadata[KEY])
        for item in fields(kind)
        if KEY in item.metadata
    )


def group_of(item: Setting) -> type[Chosen] | None:
    """Return the class of a setting that is a group of further ones."""
    (kind, *_) = item.kinds
    return kind if is_dataclass(kind) and isinstance(kind, type) and issubclass(kind, Chosen) else None


def leaves(kind: type[Any], prefix: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Yield the single settings of a class and of the groups in it; not those that are derived."""
    for item in settings_of(kind):
        group = group_of(item)
        if group is not None:
            yield from leaves(group, (*prefix, item.name))
        elif not item.about.derived:
            yield Setting((*prefix, item.name), item.kinds, item.default, item.about)


def _kinds(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is tuple:
        return (tuple,)
    kinds = get_args(hint) if get_origin(hint) is not Mapping and get_args(hint) else (hint,)
    return tuple(
        dict if _is_mapping(kind) else tuple if get_origin(kind) is tuple else kind for kind in kinds
    )


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is not None and issubclass(get_origin(kind), Mapping)


def _default(item: Field[Any]) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()
