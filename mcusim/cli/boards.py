"""``mcusim boards``: what is known, and from where."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering
from mcusim.sections.kinds import Column

COLUMNS = (
    Column("board", kind="name"), Column("core"), Column("clock", "MHz", "number", 1),
    Column("SRAM", "B", "number"), Column("flash", "B", "number"), Column("active", "mW", "number", 2),
    Column("cycle profile", priority=3), Column("answers", priority=1),
)  # fmt: skip


def boards(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show one board with its sources.", metavar="[BOARD]", autocompletion=offering("board")
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """List the boards that can be named, or show every figure of one with its source."""
    from dataclasses import asdict

    from mcusim.cli.output import print_json, print_sections
    from mcusim.mcu.board_files import board
    from mcusim.mcu.board_files import boards as all_boards
    from mcusim.sections.kinds import Headline, Table

    if name is not None:
        found = board(name)
        if json:
            print_json(asdict(found))
            return
        figures = [
            (
                path,
                value,
                "" if value == "absent" or "no source" in found.source(path) else found.source(path),
            )
            for path, value in _figures(asdict(found))
        ]
        columns = (Column("figure"), Column("value"), Column("source"))
        print_sections([Headline(str(found)), Table(columns, figures)])
        return
    known = all_boards()
    if json:
        print_json({"boards": [asdict(b) for b in known]})
        return
    rows = [
        (
            b.name, b.core, b.clock_hz / 1e6, b.sram_bytes, b.flash.bytes,
            b.power.active_mw, b.profile, ", ".join(b.answers),
        )
        for b in known
    ]  # fmt: skip
    print_sections([Table(COLUMNS, rows)])


def _figures(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _figures(value, f"{prefix}{key}.") if key != "sources" else []
        elif isinstance(value, tuple):
            rows += [(f"{prefix}{key}", _line(item)) for item in value]
        elif key not in ("name", "title", "file", "profile"):
            shown = "absent" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
            rows.append((f"{prefix}{key}", str(value) if isinstance(value, bool) else shown))
    return rows


def _line(item: dict[str, Any]) -> str:
    """Return the figures of one region or run of sectors; what is absent or false is left out."""
    stated = {k: v for k, v in item.items() if v is not None and v is not False}
    return ", ".join(
        k if v is True else f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in stated.items()
    )
