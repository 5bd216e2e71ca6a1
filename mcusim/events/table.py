"""Events as columns, and building such a table event by event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.errors import BadArgument
from mcusim.events.names import NameTable
from mcusim.events.schema import CODES, COLUMNS, ENUMERATED, INTEGERS, NO_OFFSET, Event, EventKind

if TYPE_CHECKING:
    import pandas as pd

DTYPES: dict[str, np.dtype[Any]] = {
    **dict.fromkeys(INTEGERS, np.dtype(np.int64)),
    **dict.fromkeys(ENUMERATED, np.dtype(np.uint8)),
    "tensor": np.dtype(np.int32),
    "op": np.dtype(np.int32),
}
"""The numpy type of each column; text columns hold indices into a vocabulary."""

ROW_BYTES = sum(dtype.itemsize for dtype in DTYPES.values())


@dataclass(frozen=True, slots=True, eq=False)
class EventTable:
    """A run of events. Columns are read-only arrays of one length, shape ``[events]``.

    ``phase``, ``event``, ``region`` and ``role`` index the vocabularies of the schema, ``tensor``
    and ``op`` index ``tensor_names`` and ``op_names``, whose first word is always the empty one.
    Two tables are equal when their decoded rows are, whatever their vocabularies.

    Raises:
        BadArgument: columns of different lengths, or vocabularies without the leading empty word.
    """

    seq: NDArray[np.int64]
    cycle: NDArray[np.int64]
    step: NDArray[np.int64]
    phase: NDArray[np.uint8]
    event: NDArray[np.uint8]
    region: NDArray[np.uint8]
    role: NDArray[np.uint8]
    tensor: NDArray[np.int32]
    op: NDArray[np.int32]
    offset: NDArray[np.int64]
    bytes: NDArray[np.int64]
    tensor_names: tuple[str, ...] = ("",)
    op_names: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        for column, dtype in DTYPES.items():
            array = np.asarray(getattr(self, column), dtype)
            if array.shape != (len(self.seq),):
                raise BadArgument(
                    f"event column {column!r}", f"has shape {array.shape}, not ({len(self.seq)},)"
                )
            if array.flags.writeable:
                array = array.view()
                array.flags.writeable = False
            object.__setattr__(self, column, array)
        for column, names in (("tensor", self.tensor_names), ("op", self.op_names)):
            if not names or names[0] != "":
                raise BadArgument(f"{column} names of an event table", "do not begin with the empty name")

    @classmethod
    def empty(cls) -> EventTable:
        """Return the table without events."""
        columns: dict[str, Any] = {column: np.empty(0, dtype) for column, dtype in DTYPES.items()}
        return cls(**columns)

    @classmethod
    def from_rows(cls, rows: Iterable[Event | Sequence[Any]]) -> EventTable:
        """Build a table from decoded rows, in the order given.

        Raises:
            BadArgument: a word that the schema does not have, naming the row.
        """
        builder = TableBuilder()
        for row in rows:
            builder.append(Event(*row))
        return builder.build()

    def __reduce__(self) -> tuple[Any, ...]:
        """Build a copy in another process anew, so that its columns are read-only too."""
        return type(self), tuple(getattr(self, f.name) for f in fields(self))

    def __len__(self) -> int:
        return len(self.seq)

    def __getitem__(self, rows: slice | NDArray[Any]) -> EventTable:
        """Return the rows of a slice, a boolean mask or an index array as a table."""
        return self.replace(**{c: getattr(self, c)[rows] for c in COLUMNS})

    def vocabulary(self, column: str) -> tuple[str, ...]:
        """Return the words that a text column's indices stand for."""
        if column in ENUMERATED:
            return ENUMERATED[column]
        return self.tensor_names if column == "tensor" else self.op_names

    def row(self, index: int) -> Event:
        """Return one row, decoded."""
        return next(iter(self[index : index + 1 or None]))

    def __iter__(self) -> Iterator[Event]:
        """Decode row by row."""
        columns = [
            getattr(self, c).tolist()
            if c in INTEGERS
            else [self.vocabulary(c)[code] for code in getattr(self, c).tolist()]
            for c in COLUMNS
        ]
        return map(Event._make, zip(*columns, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EventTable):
            return NotImplemented
        if len(self) != len(other):
            return False
        return all(np.array_equal(self._decoded(c), other._decoded(c)) for c in COLUMNS)

    __hash__ = None  # type: ignore[assignment]

    def _decoded(self, column: str) -> NDArray[Any]:
        array: NDArray[Any] = getattr(self, column)
        if column in INTEGERS or column in ENUMERATED:
            return array
        decoded: NDArray[Any] = np.array(self.vocabulary(column), dtype=object)[array]
        return decoded

    def __repr__(self) -> str:
        return (
            f"EventTable({len(self):,} events, {len(self.tensor_names) - 1:,} tensors, "
            f"{len(self.op_names) - 1:,} ops)"
        )

    def replace(self, **columns: Any) -> EventTable:
        """Return a table with some columns or vocabularies exchanged."""
        return EventTable(**{f.name: columns.get(f.name, getattr(self, f.name)) for f in fields(self)})

    @classmethod
    def concat(cls, tables: Sequence[EventTable]) -> EventTable:
        """Put tables one after the other; their vocabularies are united in order of appearance."""
        if not tables:
            return cls.empty()
        tensors, ops = NameTable(), NameTable()
        columns: dict[str, NDArray[Any]] = {
            c: np.concatenate([getattr(t, c) for t in tables]) for c in (*INTEGERS, *ENUMERATED)
        }
        columns["tensor"] = np.concatenate([tensors.codes(t.tensor_names)[t.tensor] for t in tables])
        columns["op"] = np.concatenate([ops.codes(t.op_names)[t.op] for t in tables])
        return cls(**columns, tensor_names=tensors.words, op_names=ops.words)

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame with one column per schema column; text columns are categories."""
        import pandas as pd

        def series(column: str) -> Any:
            codes: NDArray[Any] = getattr(self, column)
            if column in INTEGERS:
                return codes
            return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(list(self.vocabulary(column))))

        return pd.DataFrame({column: series(column) for column in COLUMNS})

    def _repr_html_(self) -> str:
        html: str = self.to_pandas()._repr_html_()  # type: ignore[operator]
        return html


class TableBuilder:
    """Collects events, for the templates of a plan and for tests; ``seq`` counts up by itself.

    A plan's template holds relative values: ``seq`` and ``cycle`` count from the start of the
    step and ``step`` is 0. The sink adds where the step begins.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._tensors, self._ops = NameTable(), NameTable()

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
