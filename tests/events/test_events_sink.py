import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadTrace
from mcusim.events import (
    SCHEMA_VERSION,
    Event,
    EventKind,
    EventTable,
    Header,
    NullSink,
    Sink,
    TableBuilder,
    TableSink,
    TeeSink,
)


def template(name, length):
    builder = TableBuilder()
    for i in range(length):
        builder.add(EventKind.ALLOC, cycle=10 * i, tensor=f"{name}{i}", op=name, bytes=i)
    return builder.build()


BLOCKS = [template("a", 3), template("b", 0), template("c", 2)]


@given(st.lists(st.sampled_from(BLOCKS), max_size=8))
def test_blocks_are_shifted_as_if_written_row_by_row(blocks):
    sink, other = TableSink(), TableSink()
    tee = TeeSink(sink, NullSink(), other)
    expected: list[Event] = []
    for step, block in enumerate(blocks):
        tee.write(block, step, 1000 * step)
        for row in block:
            expected.append(
                row._replace(seq=len(expected), step=row.step + step, cycle=row.cycle + 1000 * step)
            )
    assert list(sink.table()) == expected
    assert other.table() == sink.table()


def test_sinks_are_sinks():
    assert all(isinstance(s, Sink) for s in (NullSink(), TableSink(), TeeSink()))


def test_an_empty_sink_has_an_empty_table():
    assert TableSink().table() == EventTable.empty()


def test_header_survives_json():
    header = Header(model="m", board="b", seed=7, formats={"error": "int8"}, sram_bytes=262144)
    assert Header.from_json(header.to_json()) == header
    assert Header.from_json(Header().to_json()) == Header()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": SCHEMA_VERSION + 1}, "schema version"),
        ({"schema": None}, "schema version"),
        ({"schema": True}, "schema version"),
        ({"model": 3}, "has model 3"),
        ({"seed": -1}, "has seed -1"),
        ({"seed": 2**64}, "has seed"),
        ({"formats": {"a": 1}}, "has formats"),
        ({"board": None}, "has board None"),
    ],
)
def test_damaged_headers_are_refused(change, reason):
    data = json.loads(Header().to_json()) | change
    with pytest.raises(BadTrace, match=reason):
        Header.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"schema": 1e999}'])
def test_other_texts_are_refused(text):
    with pytest.raises(BadTrace):
        Header.from_json(text)
