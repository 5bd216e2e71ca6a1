"""The command line: registers one verb a file, turns errors into one line and an exit code."""

from __future__ import annotations

import ast
import os
import signal
import sys
import traceback
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from mcusim.cli.output import DOES_NOT_FIT
from mcusim.core import McusimError, OutOfSram
from mcusim.core.legible import legible
from mcusim.core.stopping import EXIT_TERMINATED, Terminated, leave, obeying
from mcusim.core.wording import speaking_in_options
from mcusim.sections.spelling import forgive

VERBS = (
    "plan", "train", "demo", "compare", "boards", "models", "fetch", "cache", "quantize", "prune",
    "show", "explain", "diff", "pack", "replay", "tour", "export", "timeline", "calibrate", "search",
    "report", "watch", "check", "prove", "profiles", "schemes", "doctor", "sweep", "stream", "firmware",
    "twin",
)  # fmt: skip
"""In the order in which help lists them; verb ``v`` is the function ``v`` of ``mcusim/cli/v.py``."""

DEBUG = "--debug"
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXITS = (
    f"Exit codes: 0 done, and what was asked about fits; {EXIT_ERROR} something given is wrong; "
    f"{DOES_NOT_FIT} it does not fit (compare: nothing does; twin: it differs); "
    f"{EXIT_INTERRUPTED} interrupted; {EXIT_TERMINATED} terminated."
)
"""Ends the help of every verb."""


class Verbs(TyperGroup):
    """Runs a verb; whatever a user can cause ends in one line on stderr, never in a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take ``--debug`` wherever it stands: who adds it to a line that failed adds it at the end."""
        words = args[: args.index("--")] if "--" in args else args
        if DEBUG in words:
            args = [DEBUG, *(word for word in words if word != DEBUG), *args[len(words) :]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that the arguments name."""
        try:
            with warnings.catch_warnings(), speaking_in_options(), obeying(leave, signal.SIGTERM):
                warnings.showwarning = _note
                return super().invoke(ctx)
        except BrokenPipeError:
            raise  # typer ends quietly when the reader of a pipe has gone
        except OutOfSram as error:
            _explain(ctx, error)
            raise typer.Exit(DOES_NOT_FIT) from error
        except (McusimError, OSError) as error:
            _explain(ctx, error)
            raise typer.Exit(EXIT_ERROR) from error
        except KeyboardInterrupt as error:
            typer.echo("interrupted; a training with --out goes on with --resume", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except Terminated as error:
            typer.echo("terminated; a training with --out goes on with --resume", err=True)
            raise typer.Exit(EXIT_TERMINATED) from error


class Verb(TyperCommand):
    """Stands for a verb that help only lists: what the verb itself needs is imported when it is called."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Return the context of the verb itself, which then runs."""
        return verb(str(self.name)).make_context(info_name, args, parent, **extra)


def _explain(ctx: Any, error: Exception) -> None:
    """Say an error in one line; with ``--debug`` after where it came from, and what caused it."""
    if ctx.params.get("debug"):
        typer.echo("".join(traceback.format_exception(error)), err=True)
    typer.echo(f"error: {error}", err=True)


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    """Say a warning in one line, without the place in the code that noticed it."""
    typer.echo(f"note: {legible(str(message))}", err=True)


def build() -> typer.Typer:
    """Return the command line with every verb."""
    app = typer.Typer(
        cls=Verbs, name="mcusim", no_args_is_help=True, pretty_exceptions_enable=False,
        help="A memory-accurate simulator of training neural networks on microcontrollers.", epilog=EXITS,
    )  # fmt: skip
    for name in VERBS:
        app.command(name, cls=Verb, help=_says(name))(lambda: None)
    app.callback(invoke_without_command=True)(_options)
    return app


def verb(name: str) -> Any:
    """Return the command of one verb, with its arguments and options."""
    alone = typer.Typer(add_completion=False)
    alone.command(name, epilog=EXITS)(getattr(import_module(f"mcusim.cli.{name}"), name))
    return typer.main.get_command(alone)


def _says(name: str) -> str:
    """Return what a verb says of itself, read without importing it."""
    spec = find_spec(f"mcusim.cli.{name}")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    said = (ast.get_docstring(n) for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    return next(said) or ""


def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
    debug: bool = typer.Option(False, DEBUG, help="Show where in the program an error comes from."),
) -> None:
    if version:
        from mcusim import __version__

        typer.echo(f"mcusim {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; characters that stdout cannot encode are spelled in others."""
    # Both are ``None`` where whoever started this closed them.
    sys.stdout, sys.stderr = (each or open(os.devnull, "w") for each in (sys.stdout, sys.stderr))  # noqa: SIM115
    forgive(sys.stdout)
    try:
        build()()
    finally:
        _let_go(sys.stdout)


def _let_go(stream: TextIO) -> None:
    """Lose what a full disk did not take: at exit Python would say so once more, with a code of its own."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
