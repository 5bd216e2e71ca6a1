"""The checksum of a trace file, and the digest of what it says, whoever wrote it."""

from __future__ import annotations

import random

import pyarrow.parquet as pq
import pytest
from traces_plans import planned, session, small_problem

from mcusim.core import BadTrace
from mcusim.core.checksum import BLANK, seal
from mcusim.events import EventTable, Header
from mcusim.traces import Trace, TraceFile, parquet_format, read_trace
from mcusim.traces.shipped import shipped_traces

FLIPS = 1000
HEADER = Header(model="net", sram_bytes=4096, align=8)


def events() -> EventTable:
    return session([planned(small_problem(), resident=["w"], ops=4)] * 3)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_flipped_bit_is_noticed(tmp_path, suffix):
    path = Trace(HEADER, events()).save(tmp_path / f"t.{suffix}")
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(FLIPS):
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(BadTrace, match=r"t\.|trace header"):
            read_trace(path)


def test_text_that_a_person_wrote_needs_no_checksum_and_one_that_was_changed_says_what_to_do(tmp_path):
    path = Trace(HEADER, events()).save(tmp_path / "t.csv")
    lines = path.read_text().splitlines(keepends=True)
    changed = "".join(lines).replace("4096", "8192", 1)
    path.write_text(changed)
    with pytest.raises(BadTrace, match="remove its last line"):
        read_trace(path)
    path.write_text("".join(changed.splitlines(keepends=True)[:-1]))
    assert read_trace(path).header.sram_bytes == 8192
    assert TraceFile(path).content == ""


def test_the_digest_of_the_content_is_the_same_in_every_form(tmp_path, monkeypatch):
    trace = Trace(HEADER, events())
    found = {TraceFile(trace.save(tmp_path / name)).content for name in ("a.csv", "a.parquet")}
    monkeypatch.setattr("mcusim.traces.store.GROUP", 5)
    found |= {TraceFile(trace.save(tmp_path / name)).content for name in ("b.csv", "b.parquet")}
    assert len(found) == 1
    assert len(found.pop()) == 64
    other = Trace(HEADER, trace.events[:-1]).save(tmp_path / "c.csv")
    assert TraceFile(other).content != TraceFile(tmp_path / "a.csv").content


def test_another_writer_of_parquet_gives_other_bytes_and_the_same_content(tmp_path):
    """As another version of the library might write it: other codec, encodings and statistics."""
    mine = Trace(HEADER, events()).save(tmp_path / "mine.parquet")
    file = pq.ParquetFile(mine)
    table = file.read()
    theirs = tmp_path / "theirs.parquet"
    with open(theirs, "w+b") as target:
        about = {parquet_format.CONTENT_KEY: TraceFile(mine).content, parquet_format.CHECKSUM_KEY: BLANK}
        with pq.ParquetWriter(target, table.schema, compression="snappy") as writer:
            writer.write_table(table)
            writer.add_key_value_metadata(about)
        seal(target, parquet_format.MARK)
    assert theirs.read_bytes() != mine.read_bytes()
    assert TraceFile(theirs).content == TraceFile(mine).content
    assert read_trace(theirs).events == events()


def test_content_that_is_not_what_was_promised_is_refused(tmp_path):
    for suffix in ("csv", "parquet"):
        path = Trace(HEADER, events()).save(tmp_path / f"t.{suffix}")
        data = path.read_bytes().replace(TraceFile(path).content.encode(), b"1" * 64)
        path.write_bytes(data)
        with open(path, "r+b") as file:
            mark = b" sha256 " if suffix == "csv" else parquet_format.MARK
            file.seek(data.rindex(mark) + len(mark))
            file.write(BLANK.encode())
            seal(file, mark)
        with pytest.raises(BadTrace, match="holds other events than it promises"):
            read_trace(path)


def test_shipped_traces_have_both():
    assert all(len(TraceFile(path).content) == 64 for path in shipped_traces().values())
