"""Fills the reference pages from the code: public names of the package, verbs of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mcusim
from mcusim import testing
from mcusim.cli.main import EXITS, VERBS, verb


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks that stand for what is made from the code."""
    for mark, made in (("<!-- public names -->", names), ("<!-- verbs -->", verbs)):
        if mark in markdown:
            markdown = markdown.replace(mark, "\n".join(made()))
    return markdown


def names() -> Iterator[str]:
    """Yield a directive for each public name, where it is defined, by what a person does."""
    for group, places in mcusim.GROUPS.items():
        yield f"## {group.capitalize()}\n"
        for name in places:
            yield f"### {name}\n\n::: {where(getattr(mcusim, name))}\n"
    yield "## Data\n"
    for name in mcusim.data.__all__:
        value = getattr(mcusim.data, name)
        if hasattr(value, "__qualname__"):
            yield f"### data.{name}\n\n::: {where(value)}\n"
    yield "## Tests of allocators and planners\n"
    for name in testing.__all__:
        yield f"### testing.{name}\n\n::: mcusim.testing.{name}\n"


def where(value: Any) -> str:
    """Return the full name of a public class, function or module where it is defined."""
    return f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else value.__name__


def verbs() -> Iterator[str]:
    """Yield usage, help and options of each verb, as a user's terminal would say them."""
    for name in VERBS:
        command = verb(name)
        yield f"## {name}\n\n{command.help}\n"
        yield "| argument or option | default | what |\n|---|---|---|"
        for parameter in command.params:
            yield row(parameter)
        yield ""
    yield f"## Exit codes\n\n{EXITS}\n"


def row(parameter: Any) -> str:
    """Return one line of a verb's table."""
    named = parameter.param_type_name == "argument"
    spelled = parameter.name.upper() if named else ", ".join((*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    shown = (
        "required"
        if parameter.required
        else ""
        if default in (None, False, "") or callable(default)
        else default
    )
    text = (parameter.help or "").replace("|", "\\|")
    return f"| `{spelled}` | {shown} | {text} |"
