"""``mcusim cache``: what is kept on this machine for later, and removing it."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o


def cache(
    clear: Annotated[
        list[str] | None,
        typer.Option(
            "--clear", help="Remove features, data, firmware, fetched, leftover or all.", metavar="KIND"
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """List what is kept for later (features, data, compiled kernels, downloads), and remove it."""
    from mcusim.cli.output import print_json, print_sections
    from mcusim.explore import cache as explore

    found = explore.cache(remove=clear or ())
    if json:
        print_json(found.as_dict())
    else:
        print_sections(found.sections())
