"""Traces as Parquet: dictionary-encoded names, delta-encoded counters, a checksum on every page.

The file's metadata hold the header under ``mcusim.trace``, the number of events under ``mcusim.rows``, the
digest of what it says (``ContentDigest``) under ``mcusim.content``, and the checksum of its bytes under
``mcusim.sha256``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.checksum import BLANK, is_sound, seal
from mcusim.core.errors import BadTrace
from mcusim.events import COLUMNS, EventTable, Header
from mcusim.events.digest import ContentDigest
from mcusim.events.names import NameTable, by_appearance
from mcusim.events.schema import CODES, INTEGERS
from mcusim.events.table import DTYPES
from mcusim.traces.limits import GROUP, MAX_HEADER, MAX_NAME, MAX_NAMES, MAX_ROWS
from mcusim.traces.promise import Promise

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

HEADER_KEY, ROWS_KEY = b"mcusim.trace", b"mcusim.rows"
CONTENT_KEY, CHECKSUM_KEY = b"mcusim.content", b"mcusim.sha256"
MARK = CHECKSUM_KEY + b"\x18" + bytes([len(BLANK)])
"""The key, and how a text of this length begins in Thrift's compact protocol: that of the footer."""


def schema() -> pa.Schema:
    """Return the columns as Arrow types."""
    import pyarrow as pa

    words = pa.dictionary(pa.int32(), pa.string())
    fields = [pa.field(c, pa.int64() if c in INTEGERS else words, nullable=False) for c in COLUMNS]
    return pa.schema(fields)


def write(file: IO[bytes], header: Header, rows: int, groups: Iterable[EventTable]) -> None:
    """Write groups of events, each as one row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {HEADER_KEY: header.to_json().encode(), ROWS_KEY: str(rows).encode()}
    shape = schema().with_metadata(metadata)
    counters = ("seq", "cycle", "step")
    with pq.ParquetWriter(
        file,
        shape,
        compression="zstd",
        use_dictionary=[c for c in COLUMNS if c not in counters],
        column_encoding=dict.fromkeys(counters, "DELTA_BINARY_PACKED"),
        write_statistics=False,
        write_page_checksum=True,
    ) as writer:
        digest = ContentDigest(header)
        for group in groups:
            digest.add(group)
            arrays = [_array(group, column) for column in COLUMNS]
            writer.write_table(pa.Table.from_arrays(arrays, schema=shape), row_group_size=GROUP)
        writer.add_key_value_metadata({CONTENT_KEY: digest.hexdigest(), CHECKSUM_KEY: BLANK})
    seal(file, MARK)


def _array(table: EventTable, column: str) -> Any:
    import pyarrow as pa

    values = getattr(table, column)
    if column in INTEGERS:
        return pa.array(values)
    codes, used = by_appearance(values, len(table.vocabulary(column)))
    words = [table.vocabulary(column)[code] for code in used.tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(words, pa.string()))


def head(path: Path) -> Promise:
    """Return what the file promises.

    Raises:
        BadTrace: not a trace, damaged, of another version, or with other columns.
    """
    with open(path, "rb") as bytes_of:
        sound = is_sound(bytes_of, MARK)
    with _opened(path) as file:
        metadata = file.schema_arrow.metadata or {}
        if HEADER_KEY not in metadata or len(metadata[HEADER_KEY]) > MAX_HEADER:
            raise _bad(path, "is a Parquet file but not a trace")
        if not sound:
            raise _bad(path, "is damaged: its checksum is not that of its bytes")
        header = Header.from_json(metadata[HEADER_KEY].decode("utf-8", "replace"))
        if not file.schema_arrow.equals(schema(), check_metadata=False):
            raise _bad(path, f"has other columns than {', '.join(COLUMNS)}")
        rows = metadata.get(ROWS_KEY, b"")
        if not rows.isdigit() or len(rows) > 15 or int(rows) > MAX_ROWS:
            raise _bad(path, f"promises {rows.decode('utf-8', 'replace')[:40]!r} events")
        if int(rows) != file.metadata.num_rows:
            raise _bad(path, f"promises {int(rows):,} events and has {file.metadata.num_rows:,}")
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if not 0 < size <= GROUP:
                raise _bad(path, f"has {size:,} events in group {group}")
        content = (file.metadata.metadata or {}).get(CONTENT_KEY, b"")
    return Promise(header, int(rows), content.decode("ascii", "replace"))


def tables(path: Path) -> Iterator[EventTable]:
    """Yield the row groups as tables.

    Raises:
        BadTrace: damaged data.
    """
    names = {"tensor": NameTable(), "op": NameTable()}
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            data = file.read_row_group(group, columns=list(COLUMNS), use_threads=False)
            data.validate(full=True)
            if data.num_rows != size:
                raise _bad(path, f"promises {size:,} events in group {group} and has {data.num_rows:,}")
            columns: dict[str, Any] = {c: _column(path, data.column(c), c, names) for c in COLUMNS}
            yield EventTable(**columns, tensor_names=names["tensor"].words, op_names=names["op"].words)


def _column(path: Path, data: Any, column: str, names: dict[str, NameTable]) -> NDArray[Any]:
    if data.null_count:
        raise _bad(path, f"has empty cells in column {column!r}")
    if column in INTEGERS:
        integers: NDArray[np.int64] = data.to_numpy()
        return integers
    data = data.unify_dictionaries().combine_chunks()
    if hasattr(data, "chunks"):
        data = data.chunk(0)
    words = data.dictionary.to_pylist()
    codes = data.indices.to_numpy()
    if column in CODES:
        unknown = [word for word in words if word not in CODES[column]]
        if unknown:
            raise _bad(path, f"has {column} {unknown[0]!r:.60}")
        table = [CODES[column][word] for word in words]
    else:
        if any(word is None or len(word) > MAX_NAME for word in words):
            raise _bad(path, f"has a name in column {column!r} that is longer than {MAX_NAME} characters")
        table = [names[column].code(word) for word in words]
        if len(names[column]) > MAX_NAMES:
            raise _bad(path, f"has more than {MAX_NAMES:,} names in column {column!r}")
    result: NDArray[Any] = np.array(table, DTYPES[column])[codes]
    return result


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(
            path,
            page_checksum_verification=True,
            thrift_string_size_limit=1 << 24,
            thrift_container_size_limit=1 << 22,
        ) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, BadTrace):
            raise
        raise _bad(
            path, f"cannot be read: {str(error).splitlines()[0]:.120}" if str(error) else "cannot be read"
        ) from error


def _bad(path: Path, reason: str) -> BadTrace:
    return BadTrace(str(path), reason, "record the trace again")
