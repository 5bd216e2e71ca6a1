"""The options of verbs: those of every setting come from its field, the few others are spelled here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from mcusim.cli.completing import NAMES, offering
from mcusim.core import BadArgument, McusimError
from mcusim.core.chosen import leaves
from mcusim.core.setting import Setting
from mcusim.planning.settings import Settings
from mcusim.session.experiment import Experiment

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Out = Annotated[Path | None, typer.Option(help="Folder for checkpoints and results.", metavar="DIR")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Also draw it (.png, .svg, .pdf).", metavar="FILE")]
Html = Annotated[Path | None, typer.Option("--html", help="Also write a page about it.", metavar="FILE")]
LivePage = Annotated[
    bool, typer.Option("--live", help="Serve its page on this machine while it runs, and say where.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)]
Resolution = Annotated[
    int | None, typer.Option(help="Side of the images in pixels, if not the one the network was made for.")
]
Planner = Annotated[
    str, typer.Option(help="Static planner that places the tensors.", autocompletion=offering("planner"))
]
RunFile = Annotated[
    Path | None,
    typer.Argument(help="TOML file with model, board and settings; options override it.", metavar="RUN"),
]
TOML = ".toml"
OF_VERBS = {"training": ("train", "stream", "search"), "timeline": ("timeline",), "search": ("search",)}
"""Groups of settings that few verbs have a use for, with these verbs."""


def takes_settings(
    *, but: Collection[str] = (), defaults: Mapping[str, str] | None = None, file: str | None = "run",
    reading: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:  # fmt: skip
    """Return a decorator that gives a verb an option for every setting but those of groups for other verbs.

    The verb's first parameter takes the ``Experiment`` that a run file and the options describe.

    Args:
        but: names of settings that the verb has no use for, or has its own options for.
        defaults: setting -> what it is for this verb where neither file nor options say.
        file: name of the argument that may be a run file; if the verb has one of that name itself, it is
            read where its suffix is ``.toml``. ``None``: no run file.
        reading: the verb takes ``reading``, which makes the experiment of a run file of its own choice,
            the options over it.
    """
    own_defaults = defaults or {}
    unknown = {*but, *own_defaults} - {item.name for item in leaves(Experiment)}
    assert not unknown, f"no settings: {unknown}"

    def wrap(verb: Callable[..., None]) -> Callable[..., None]:
        _, *own = signature(verb, eval_str=True).parameters.values()
        others = {group for group, verbs in OF_VERBS.items() if verb.__name__ not in verbs}
        taken = [item for item in ordered() if item.name not in but and group_of(item) not in others]
        name = file or "run"
        adds = file is not None and file not in {p.name for p in own}

        def run(**given: Any) -> None:
            path: Path | None = given.pop(name) if adds else given.get(name)
            texts = [(item, given.pop(_python_name(item))) for item in taken]

            def wanted(path: Path | None) -> Experiment:
                data = Experiment.read(path) if path is not None else {}
                for item, text in texts:
                    if text is not None:
                        _put(data, item.path, text if item.is_flag else item.parse(text))
                    elif item.name in own_defaults:
                        _put(data, item.path, item.parse(own_defaults[item.name]), keep=True)
                return _experiment(data, path)

            own = {"reading": wanted} if reading else {}
            verb(wanted(path if adds or (path is not None and path.suffix == TOML) else None), **own, **given)

        parameters = [
            Parameter(
                _python_name(item), Parameter.KEYWORD_ONLY, default=None,
                annotation=_option(item, own_defaults.get(item.name)),
            )
            for item in taken
        ]  # fmt: skip
        argument = Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=RunFile)
        own = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in own if p.name != "reading"]
        whole = [*([argument] if adds else []), *parameters, *own]
        run.__doc__, run.__name__ = verb.__doc__, verb.__name__
        run.__signature__ = signature(verb).replace(parameters=whole)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in whole}
        return run

    return wrap


def _experiment(data: dict[str, Any], path: Path | None) -> Experiment:
    try:
        return Experiment.from_dict(data)
    except McusimError as error:
        if path is None or path.suffix != TOML or not isinstance(error, LookupError):
            raise
        raise BadArgument(f"{path}: {error.thing}", error.reason, error.way_out) from error


def _python_name(item: Setting) -> str:
    return item.flags[0].removeprefix("--").replace("-", "_")


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any, *, keep: bool = False) -> None:
    """Set one value in nested tables; ``keep``: only if there is none."""
    *groups, name = path
    for group in groups:
        data = data.setdefault(group, {})
    if not keep or name not in data:
        data[name] = value


def group_of(item: Setting) -> str:
    """Return the name of the group that a setting is in if few verbs have a use for it, else nothing."""
    return item.path[0] if item.path[0] in OF_VERBS else ""


def ordered() -> list[Setting]:
    """Return all settings: network, board and data first, then those of a session, then of single verbs."""
    last = {item.path: 1 for item in leaves(Settings)}
    return sorted(leaves(Experiment), key=lambda item: 2 if group_of(item) else last.get(item.path, 0))


@cache
def _options() -> dict[tuple[str, ...], Any]:
    return {item.path: _described(item) for item in leaves(Experiment)}


def _option(item: Setting, default: str | None) -> Any:
    return _options()[item.path] if default is None else _described(item, default)


def _described(item: Setting, default: str | None = None) -> Any:
    """Return the annotation by which typer knows an option; a default of its own means: not given.

    ``default`` is that of the verb, where it is not the setting's.
    """
    plain = default or item.plain(item.default)
    shown: Any = str(plain) if plain not in (None, "", {}) else False
    if item.is_flag:
        name = item.flags[0].removeprefix("--")
        shown = name if item.default else f"no-{name}"
        switch = typer.Option(f"--{name}/--no-{name}", help=help_of(item), show_default=shown)
        return Annotated[bool | None, switch]
    metavar = {(int,): "N", (float,): "X"}.get(tuple(k for k in item.kinds if k is not type(None)))
    return Annotated[
        str | None,
        typer.Option(
            *item.flags,
            help=help_of(item),
            show_default=shown,
            metavar=metavar or item.name.upper(),
            autocompletion=offering(item.name) if item.name in NAMES else _offering(item),
        ),
    ]


def _offering(item: Setting) -> Callable[[str], list[str]]:
    """Return what completes its allowed values, which are looked up when they are asked for."""
    return lambda incomplete: [value for value in item.values if value.startswith(incomplete)]


def help_of(item: Setting) -> str:
    """Return one sentence: what it is, what it may be."""
    *most, last = item.values or ("",)
    names = f"{', '.join(most)} or {last}" if most else last
    unit = f" ({item.about.unit})" if item.about.unit and item.about.unit not in item.about.help else ""
    text = f"{item.about.help}{unit}{f': {names}' if names and not item.about.open else ''}"
    return f"{text[0].upper()}{text[1:]}."
