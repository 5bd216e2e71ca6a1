"""Traces as text: a comment line with the header, a line of column names, a line an event.

A last comment line holds the digest of what it says and the checksum of all bytes. Without that line, as a
person writes one, a file is believed.

For small traces that people read and version control compares.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from mcusim.core.checksum import BLANK, is_sound, seal
from mcusim.core.errors import BadArgument, BadTrace
from mcusim.events import COLUMNS, Event, EventTable, Header, TableBuilder
from mcusim.events.digest import ContentDigest
from mcusim.events.schema import INTEGERS
from mcusim.traces.limits import GROUP, MAX_HEADER, MAX_NAME, MAX_NAMES, MAX_ROWS
from mcusim.traces.promise import Promise

PREFIX = "# mcusim trace "
MAX_LINE = 4 * MAX_NAME
CONTENT, MARK = "# content ", " sha256 "
LAST = len(CONTENT) + len(MARK) + 2 * len(BLANK) + 1
"""Bytes of the last line."""


def write(file: IO[bytes], header: Header, rows: int, groups: Iterable[EventTable]) -> None:
    """Write all events, one a line."""
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    text.write(
        f"{PREFIX}{json.dumps({'rows': rows, 'header': json.loads(header.to_json())}, allow_nan=False)}\n"
    )
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    digest = ContentDigest(header)
    for group in groups:
        digest.add(group)
        writer.writerows(group)
    text.write(f"{CONTENT}{digest.hexdigest()}{MARK}{BLANK}\n")
    text.detach()
    seal(file, MARK.encode())


def head(path: Path) -> Promise:
    """Return what the file promises.

    Raises:
        BadTrace: not a trace, of another version, or with other columns.
    """
    with open(path, "rb") as bytes_of:
        bytes_of.seek(max(bytes_of.seek(0, 2) - LAST, 0))
        last = bytes_of.read().decode("utf-8", "replace")
        content = ""
        if last.startswith(CONTENT):
            if not is_sound(bytes_of, MARK.encode()):
                raise _bad(
                    path, "is damaged: its checksum is not that of its bytes",
                    "restore it; or, if you have changed it, remove its last line",
                )  # fmt: skip
            content = last.removeprefix(CONTENT)[: len(BLANK)]
    with open(path, encoding="utf-8", newline="") as file:
        return Promise(*_head(path, file), content)


def _head(path: Path, file: IO[str]) -> tuple[Header, int]:
    try:
        first, second = file.readline(MAX_HEADER), file.readline(MAX_LINE)
        if not first.startswith(PREFIX):
            raise _bad(path, "does not begin as a trace does")
        data = json.loads(first.removeprefix(PREFIX))
        rows = data["rows"]
        header = Header.from_json(json.dumps(data["header"], allow_nan=False))
    except BadTrace:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _bad(path, "has a damaged first line") from error
    if second.strip() != ",".join(COLUMNS):
        raise _bad(path, f"has other columns than {', '.join(COLUMNS)}")
    if not isinstance(rows, int) or isinstance(rows, bool) or not 0 <= rows <= MAX_ROWS:
        raise _bad(path, f"promises {rows!r:.40} events")
    return header, rows


def tables(path: Path) -> Iterator[EventTable]:
    """Yield the events in groups.

    Raises:
        BadTrace: a damaged line, naming it.
    """
    builder = TableBuilder()
    with open(path, encoding="utf-8", newline="") as file:
        _head(path, file)
        reader = csv.reader(_lines(file), strict=True)
        try:
            for cells in reader:
                if cells[:1] and cells[0].startswith(CONTENT):
                    break
                builder.append(_event(cells))
                if len(builder) == GROUP:
                    yield builder.take()
                if builder.names > MAX_NAMES:
                    raise ValueError(f"more than {MAX_NAMES:,} names")
        except (ValueError, csv.Error) as error:
            reason = error.reason if isinstance(error, BadArgument) else str(error)
            raise _bad(path, f"line {reader.line_num + 2}: {reason:.120}") from error
    if len(builder):
        yield builder.take()


def _lines(file: IO[str]) -> Iterator[str]:
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise ValueError(f"a line is longer than {MAX_LINE} characters")
        yield line


def _event(cells: list[str]) -> Event:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} cells instead of {len(COLUMNS)}")
    values = [_integer(cell) if c in INTEGERS else cell for c, cell in zip(COLUMNS, cells, strict=True)]
    return Event(*values)  # type: ignore[arg-type]


def _integer(cell: str) -> int:
    if len(cell) > 20 or not cell.isascii() or not cell.removeprefix("-").isdigit():
        raise ValueError(f"{cell!r:.40} is not an integer")
    value = int(cell)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{cell} is outside 64 bits")
    return value


def _bad(path: Path, reason: str, way_out: str = "record the trace again") -> BadTrace:
    return BadTrace(str(path), reason, way_out)
