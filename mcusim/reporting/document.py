"""A page: one HTML document that holds its own style, scripts and data, and asks no network for anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from mcusim.core.legible import legible
from mcusim.sections.html import STYLE

WEB = "mcusim.reporting"


@dataclass(frozen=True, slots=True)
class Room:
    """A part of a page: the word its address ends in, its heading, what is in it."""

    key: str
    title: str
    html: str


def document(
    title: str, head: str, rooms: Sequence[Room], *, scripts: Sequence[str] = (), data: Any = None,
    live: str = "",
) -> str:  # fmt: skip
    """Return a whole document.

    Args:
        title: what it is about.
        head: what stands above all rooms.
        rooms: in order; empty ones are left out.
        scripts: names of files in ``web``, beside ``page.js``.
        data: what they read, as plain data.
        live: what a page that is served while something runs says of itself; it asks for itself again.
    """
    shown = [room for room in rooms if room.html]
    links = "".join(f'<a href="#{room.key}">{escape(room.title)}</a>' for room in shown)
    parts = "".join(
        f'<section id="{room.key}" aria-labelledby="{room.key}-title">'
        f'<h2 id="{room.key}-title">{escape(room.title)}</h2>{room.html}</section>'
        for room in shown
    )
    known = "" if data is None else f'<script type="application/json" id="data">{embedded(data)}</script>'
    code = "".join(f"<script>{asset(name)}</script>" for name in ("page.js", *scripts))
    said = f'<p id="standing" role="status">{escape(live)}</p>' if live else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(legible(title))}</title><style>{STYLE}{asset('page.css')}</style></head>"
        f'<body{" data-live" if live else ""}><main class="mcusim"><header><h1>{escape(legible(title))}</h1>'
        f'{said}{head}</header><nav aria-label="parts of this page">{links}</nav>{parts}</main>'
        f"{known}{code}</body></html>\n"
    )


def embedded(data: Any) -> str:
    """Return plain data as JSON that may stand in HTML."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@cache
def asset(name: str) -> str:
    """Return a file of the folder ``web``."""
    return files(WEB).joinpath("web", name).read_text("utf-8")
