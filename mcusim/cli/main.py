"""The command line: registers one verb a file, turns errors into one line and exit code 2."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from mcusim.core import McusimError

VERBS = (
    "plan", "train", "demo", "boards", "models", "fetch", "quantize", "pack", "replay", "explain",
    "diff", "calibrate", "timeline", "compare",
)  # fmt: skip
"""The order in which help lists them."""


def _app() -> typer.Typer:
    app = typer.Typer(
        name="mcusim", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
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
    """Run the command line; exit code 2 and one line for everything a user can cause."""
    try:
        _app()()
    except McusimError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; a run with --out can be resumed with --resume", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
