"""``mcusim boards``: what is known, and from where."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mcusim.cli import options as o


def boards(
    name: Annotated[
        str | None, typer.Argument(help="Show one board with its sources.", metavar="[BOARD]")
    ] = None,
    json: o.Json = False,
) -> None:
    """List the boards that can be named, or show every figure of one with its source."""
    from dataclasses import asdict

    from mcusim.cli.output import print_json, print_tables
    from mcusim.mcu.board_files import board
    from mcusim.mcu.board_files import boards as all_boards
    from mcusim.report.console import grid

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
        print_tables(str(found), grid(("figure", "value", "source"), figures))
        return
    known = all_boards()
    if json:
        print_json({"boards": [asdict(b) for b in known]})
        return
    rows = [
        (
            b.name, b.core, f"{b.clock_hz / 1e6:g}", f"{b.sram_bytes:,}", f"{b.flash.bytes:,}",
            "–" if b.power.active_mw is None else f"{b.power.active_mw:g}", b.profile or "–",
        )
        for b in known
    ]  # fmt: skip
    header = ("board", "core", "MHz", "SRAM B", "flash B", "active mW", "cycle profile")
    print_tables(grid(header, rows, numbers=(2, 3, 4, 5)))


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
