"""The digest of what a trace says, whatever form and whatever library wrote it."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from mcusim.events.header import Header
from mcusim.events.names import NameTable, by_appearance
from mcusim.events.schema import COLUMNS, NAMED
from mcusim.events.table import DTYPES, EventTable


class ContentDigest:
    """SHA-256 over the header, and over each column of all events.

    Numbers are hashed as little-endian integers, words of fixed vocabularies as their codes in the schema,
    names of tensors and ops as their numbers by first appearance, and then themselves. How the events were
    grouped does not matter.
    """

    def __init__(self, header: Header) -> None:
        self._header = header.to_json().encode()
        self._columns = {column: sha256() for column in COLUMNS}
        self._names = {column: NameTable(()) for column in NAMED}

    def add(self, table: EventTable) -> None:
        """Take the next events."""
        for column, digest in self._columns.items():
            values = getattr(table, column)
            if column in NAMED:
                words, names = table.vocabulary(column), self._names[column]
                codes, used = by_appearance(values, len(words))
                values = np.array([names.code(words[code]) for code in used.tolist()], np.int32)[codes]
            digest.update(np.ascontiguousarray(values, DTYPES[column].newbyteorder("<")).data)

    def hexdigest(self) -> str:
        """Return the digest of all that was taken."""
        whole = sha256(self._header)
        for digest in self._columns.values():
            whole.update(digest.digest())
        for names in self._names.values():
            whole.update(sha256(repr(names.words).encode()).digest())
        return whole.hexdigest()
