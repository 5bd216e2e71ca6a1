"""Printing: one JSON object for machines, sections for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import typer

from mcusim.sections.text import WIDTH, text

if TYPE_CHECKING:
    from pathlib import Path

    from mcusim.reporting.page import Reported
    from mcusim.reporting.pictures.picture import Drawable
    from mcusim.reporting.rooms.glance import Glanced
    from mcusim.sections.kinds import Section
    from mcusim.session.answers import Answers
    from mcusim.studies.result import StudyResult

DOES_NOT_FIT = 3
"""Exit code of an answer, on stdout as ever, that says: it does not fit."""


def end(fits: bool) -> None:
    """End a verb whose answer is printed: normally, or with the exit code of what does not fit."""
    if not fits:
        raise typer.Exit(DOES_NOT_FIT)


def draw(result: Drawable, path: Path | None) -> None:
    """Draw a result into a file, if one is given."""
    if path is not None:
        from mcusim.reporting.pictures.picture import plot

        plot(result, path)


def publish(result: Reported, path: Path | None, *, answers: Answers | None = None) -> None:
    """Write the page about a result, if a file is given, with the line that was called."""
    if path is not None:
        from mcusim.reporting.page import report

        report(result, path, answers=answers, command=called())


def publish_study(result: StudyResult, path: Path | None) -> None:
    """Write the page about a study, if a file is given."""
    if path is not None:
        from mcusim.reporting.page import written
        from mcusim.reporting.study_page import study_page

        written(study_page(result, command=called()), path)


def publish_sections(
    sections: Sequence[Section], path: Path | None, *, title: str, glanced: Glanced | None = None
) -> None:
    """Write the page about a result that is told in sections, if a file is given, with a picture of it."""
    if path is not None:
        from mcusim.reporting.page import written
        from mcusim.reporting.plain_page import plain_page

        written(plain_page(sections, title=title, command=called(), glanced=glanced), path)


def called() -> str:
    """Return the line that was called."""
    import shlex

    return shlex.join(["mcusim", *sys.argv[1:]])


def print_json(data: dict[str, Any]) -> None:
    """Print one object on stdout; flushed here, so that a full disk is an error and no surprise at exit."""
    sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_sections(sections: Iterable[Section]) -> None:
    """Print sections on stdout: with colours on a terminal, else as plain text.

    They are as wide as the terminal, or as ``COLUMNS`` says; 100 columns where there is neither.
    """
    terminal = sys.stdout.isatty()
    columns = get_terminal_size((WIDTH, 24)).columns if terminal or "COLUMNS" in os.environ else WIDTH
    if terminal:
        from rich.console import Console

        from mcusim.sections.terminal import show

        show(sections, Console(width=columns, highlight=False))
    else:
        sys.stdout.write(text(sections, columns, sys.stdout.encoding or "utf-8") + "\n")
    sys.stdout.flush()
