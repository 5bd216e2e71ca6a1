"""The page of any result that is told in sections: a comparison, a search, a day, a stream."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.reporting.document import Room, document
from mcusim.reporting.rooms.glance import Glanced, glance
from mcusim.reporting.rooms.origin import versions
from mcusim.sections.html import body
from mcusim.sections.kinds import Command, Facts, Headline, Notes, Section, Table


def plain_page(
    sections: Sequence[Section], *, title: str, command: str = "", glanced: Glanced | None = None
) -> str:
    """Return a whole HTML document: tables that sort and filter, everything else, how to repeat it.

    Args:
        sections: what is told.
        title: of the page, where no headline says it.
        command: what made the page, to be repeated.
        glanced: the result itself, where there is a picture of it.
    """
    heads = [s for s in sections if isinstance(s, Headline)]
    head = heads[0] if heads else Headline(title)
    tables = [s for s in sections if isinstance(s, Table)]
    notes = [s for s in sections if isinstance(s, Notes)]
    rest = [s for s in sections if s is not head and s not in tables and s not in notes]
    origin: list[Section] = [Facts(versions()), *([Command(command, "the command:")] if command else [])]
    shown: list[Section] = [*tables, *notes]
    picture = "" if glanced is None else glance(glanced)
    rooms = [
        *([Room("glance", "At a glance", picture)] if picture else []),
        *([Room("result", "Result", body(shown))] if shown else []),
        *([Room("facts", "Facts", body(rest))] if rest else []),
        Room("origin", "To repeat it", body(origin)),
    ]
    return document(head.title or title, body([Headline("", head.verdict, head.good)]), rooms)
