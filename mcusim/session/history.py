"""``history.csv``: how a training went, a row at a time while it goes on."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from mcusim.core import SaveFailed
from mcusim.core.files import replacing

FILE = "history.csv"
ROWS = 20
"""Rows an epoch, the one at its end included; an epoch of fewer steps has one a step."""


class History:
    """Writes the rows there are, whole or not at all, and appends those that come.

    A row that is appended reaches the disk when the system likes: a run that is resumed writes the file anew,
    from its checkpoint.

    Args:
        folder: of the run.
        names: of the columns.
        rows: what is known so far, each column -> value; ``None`` leaves a cell empty.

    Raises:
        SaveFailed: if it cannot be written, here and in ``add``.
    """

    def __init__(self, folder: Path, names: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
        self._path, self._names = folder / FILE, tuple(names)
        with replacing(self._path) as file:
            file.write(_lines([self._names, *map(self._cells, rows)]))
        with self._saving():
            self._file = open(self._path, "ab")  # noqa: SIM115 (closed by close)

    def add(self, row: dict[str, Any]) -> None:
        """Append a row."""
        with self._saving():
            self._file.write(_lines([self._cells(row)]))
            self._file.flush()

    def close(self) -> None:
        """Append no more."""
        self._file.close()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"cannot be written: {error.strerror or error}"
            raise SaveFailed(str(self._path), reason, "free some space, then resume") from error

    def _cells(self, row: dict[str, Any]) -> list[Any]:
        return [row[name] for name in self._names]


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
