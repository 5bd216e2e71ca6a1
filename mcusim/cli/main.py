"""The command line: registers one verb a file, turns errors into one line and exit code 2."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from mcusim.core import McusimError
from mcusim.sections.spelling import forgive

VERBS = (
    "plan", "train", "demo", "compare", "boards", "models", "fetch", "quantize", "prune",
    "explain", "diff", "pack", "replay", "export", "timeline", "calibrate", "search",
)  # fmt: skip
"""In the order in which help lists them; verb ``v`` is the function ``v`` of ``mcusim/cli/v.py``."""

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class Verbs(TyperGroup):
    """Runs a verb; whatever a user can cause ends in one line on stderr, never in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that the arguments name."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # typer ends quietly when the reader of a pipe has gone
        except (McusimError, OSError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(EXIT_ERROR) from error
        except KeyboardInterrupt as error:
            typer.echo("interrupted; a training with --out goes on with --resume", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from error


def build() -> typer.Typer:
    """Return the command line with every verb."""
    app = typer.Typer(
        cls=Verbs, name="mcusim", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
        help="A memory-accurate simulator of training neural networks on microcontrollers.",
    )  # fmt: skip
    for verb in VERBS:
        app.command(verb)(getattr(import_module(f"mcusim.cli.{verb}"), verb))
    app.callback(invoke_without_command=True)(_options)
    return app


def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
) -> None:
    if version:
        from mcusim import __version__

        typer.echo(f"mcusim {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; characters that stdout cannot encode are spelled in others."""
    forgive(sys.stdout)
    build()()
