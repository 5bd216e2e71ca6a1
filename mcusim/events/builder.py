"""Building a table event by event: for the templates of a plan, and for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.core.errors import BadArgument
from mcusim.events.names import Names
from mcusim.events.schema import CODES, COLUMNS, NO_OFFSET, Event, EventKind
from mcusim.events.table import DTYPES, EventTable


class TableBuilder:
    """Collects events; ``seq`` counts up by itself.

    A plan's template holds relative values: ``seq`` and ``cycle`` count from the start of the
    step and ``step`` is 0. The sink adds where the step begins.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._tensors, self._ops = Names(), Names()

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        event: EventKind,
        *,
        cycle: int = 0,
        step: int = 0,
        phase: str = "",
        region: str = "",
        role: str = "",
        tensor: str = "",
        op: str = "",
        offset: int = NO_OFFSET,
        bytes: int = 0,
    ) -> None:
        """Append one event after the ones already there."""
        self.append(
            Event(len(self._rows), cycle, step, phase, event, region, role, tensor, op, offset, bytes)
        )

    def append(self, row: Event) -> None:
        """Append one decoded row as it is.

        Raises:
            BadArgument: a word that the schema does not have.
        """
        coded: list[Any] = list(row)
        for index, column in enumerate(COLUMNS):
            if column in CODES:
                word = row[index]
                if word not in CODES[column]:
                    known = ", ".join(CODES[column])
                    raise BadArgument(f"event {len(self._rows)}", f"has {column} {word!r}", f"known: {known}")
                coded[index] = CODES[column][str(word)]
        coded[COLUMNS.index("tensor")] = self._tensors.code(row.tensor)
        coded[COLUMNS.index("op")] = self._ops.code(row.op)
        self._rows.append(tuple(coded))

    @property
    def names(self) -> int:
        """Number of different names of tensors and ops."""
        return len(self._tensors) + len(self._ops)

    def take(self) -> EventTable:
        """Return the table and go on with no events but the same names."""
        table = self.build()
        self._rows.clear()
        return table

    def build(self) -> EventTable:
        """Return the table."""
        columns: Any = zip(*self._rows, strict=True) if self._rows else ((),) * len(COLUMNS)
        arrays = {c: np.array(values, DTYPES[c]) for c, values in zip(COLUMNS, columns, strict=True)}
        return EventTable(**arrays, tensor_names=self._tensors.words, op_names=self._ops.words)
