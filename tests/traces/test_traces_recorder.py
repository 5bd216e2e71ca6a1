import gc
import os
import tracemalloc
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcusim.core import BadTrace, SaveFailed
from mcusim.events import EventKind, EventTable, Header, Sink, TableBuilder, TableSink
from mcusim.traces import Recorder, Trace, TraceFile, csv_format, parquet_format, read_trace, recorder, store
from mcusim.traces.journal import FRAME

HEADER = Header(model="m", board="b", seed=3, formats={"error": "int8"}, sram_bytes=4096)


def block(name, length):
    builder = TableBuilder()
    for i in range(length):
        builder.add(
            EventKind.FREE if i % 2 else EventKind.ALLOC,
            cycle=10 * i,
            phase="forward",
            region="sram",
            role="activation",
            tensor=f'{name}{i // 2}, "x"',
            op=name,
            offset=16 * (i // 2),
            bytes=5,
        )
    return builder.build()


BLOCKS = [block("a", 6), block("b", 0), block("c", 2)]


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    """Groups of 7 events, so that short traces have many."""
    for module in (store, csv_format, parquet_format):
        monkeypatch.setattr(module, "GROUP", 7)
    monkeypatch.setattr(recorder, "PENDING", 3)


def record(path, blocks, *, kill_after=None, resume=None):
    """Record, optionally kill without warning after some steps and resume from a checkpoint."""
    rec = Recorder(path, HEADER)
    assert isinstance(rec, Sink)
    position, start = None, 0
    if kill_after is not None:
        for step in range(kill_after):
            rec.write(blocks[step], step, 1000 * step)
            if step == resume:
                position, start = rec.position(), step + 1
        rec._file.flush()
        rec._file.close()  # what the operating system does for a killed process
        rec = Recorder.resume(path, position) if position else None
        if rec is None:
            recorder.part_of(path).unlink()
            rec = Recorder(path, HEADER)
    for step in range(start, len(blocks)):
        rec.write(blocks[step], step, 1000 * step)
    return rec.close()


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("steps", [0, 1, pytest.param(2, marks=pytest.mark.smoke), 20])
def test_what_is_read_is_what_was_written(tmp_path, suffix, steps):
    sink = TableSink()
    blocks = [BLOCKS[s % 3] for s in range(steps)]
    for step, table in enumerate(blocks):
        sink.write(table, step, 1000 * step)
    path = record(tmp_path / f"t.{suffix}", blocks)
    trace = read_trace(path)
    assert trace == Trace(HEADER, sink.table())
    assert len(TraceFile(path)) == len(trace.events)
    assert all(len(t) <= 7 for t in TraceFile(path))
    assert os.listdir(tmp_path) == [path.name]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(BLOCKS), max_size=12), st.sampled_from(["parquet", "csv"]))
def test_invariant_5_record_file_load_record_gives_the_same_bytes(tmp_path_factory, blocks, suffix):
    tmp_path = tmp_path_factory.mktemp("bytes")
    first = record(tmp_path / f"first.{suffix}", blocks)
    trace = read_trace(first)
    assert trace.save(tmp_path / f"second.{suffix}").read_bytes() == first.read_bytes()
    with Recorder(tmp_path / f"third.{suffix}", trace.header) as again:
        for row in range(len(trace.events)):
            again.write(trace.events[row : row + 1], 0, 0)
    assert again.path.read_bytes() == first.read_bytes()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=12), st.data())
def test_a_killed_and_resumed_recording_gives_the_same_bytes(tmp_path_factory, blocks, data):
    tmp_path = tmp_path_factory.mktemp("kill")
    kill = data.draw(st.integers(0, len(blocks)))
    resume = data.draw(st.none() | st.integers(0, max(kill - 1, 0)))
    whole = record(tmp_path / "whole.parquet", blocks)
    killed = record(tmp_path / "killed.parquet", blocks, kill_after=kill, resume=resume)
    assert killed.read_bytes() == whole.read_bytes()


def test_positions_do_not_change_the_file(tmp_path):
    plain = record(tmp_path / "plain.parquet", BLOCKS)
    with Recorder(tmp_path / "often.parquet", HEADER) as rec:
        for step, table in enumerate(BLOCKS):
            rec.write(table, step, 1000 * step)
            rec.position()
    assert rec.path.read_bytes() == plain.read_bytes()


def test_resume_without_position_goes_on_after_the_last_whole_writes(tmp_path):
    rec = Recorder(tmp_path / "t.parquet", HEADER)
    for step in range(5):
        rec.write(BLOCKS[0], step, 0)
    position = rec.position()
    rec.write(BLOCKS[2], 5, 0)
    rec.position()
    rec._file.close()
    with open(rec.part, "r+b") as file:
        file.truncate(rec.part.stat().st_size - 1)
    again = Recorder.resume(rec.path)
    assert again.position() == position
    assert len(read_trace(again.close()).events) == 30


def test_an_interrupt_leaves_the_journal_and_the_old_file(tmp_path):
    path = record(tmp_path / "t.parquet", BLOCKS)
    before = path.read_bytes()
    rec = Recorder(path, HEADER)

    def interrupted():
        with rec:
            rec.write(BLOCKS[0], 0, 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == before
    assert rec.part.exists()
    with pytest.raises(BadTrace, match="was not finished"):
        Recorder(path, HEADER)
    Recorder.resume(path).discard()
    assert not rec.part.exists()
    assert path.read_bytes() == before


def test_resume_refuses_what_is_not_a_recording(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(BadTrace, match="does not exist"):
        Recorder.resume(path)
    part = recorder.part_of(path)
    part.write_bytes(b"something else")
    with pytest.raises(BadTrace, match="not a recording"):
        Recorder.resume(path)
    part.unlink()
    rec = Recorder(path, HEADER)
    rec.write(BLOCKS[0], 0, 0)
    position = rec.position()
    rec._file.close()
    with open(part, "r+b") as file:
        file.truncate(position.bytes - 1)
    with pytest.raises(BadTrace, match="should have"):
        Recorder.resume(path, position)


def test_a_damaged_journal_is_noticed_when_closing(tmp_path):
    rec = Recorder(tmp_path / "t.parquet", HEADER)
    rec.write(BLOCKS[0], 0, 0)
    rec.position()
    with open(rec.part, "r+b") as file:
        file.seek(-50, os.SEEK_END)
        file.write(b"\xff\xff")
    with pytest.raises(BadTrace, match=r"damaged|not there"):
        rec.close()
    assert not rec.path.exists()


@pytest.mark.parametrize(
    ("writes", "reason"),
    [
        (b"no list", "damaged list of writes"),
        ((2**62).to_bytes(24, "little"), "not there"),
        (b"\xff" * 24, "not there"),
    ],
    ids=["cut", "far", "negative"],
)
def test_a_frame_that_is_whole_and_no_list_of_writes_is_refused(tmp_path, writes, reason):
    rec = Recorder(tmp_path / "t.parquet", HEADER)
    rec.write(BLOCKS[0], 0, 0)
    rec.position()
    rec._file.write(FRAME.pack(b"W", len(writes), crc32(writes)) + writes)
    rec._file.close()
    with pytest.raises(BadTrace, match=reason):
        Recorder.resume(rec.path)


class FullDisk:
    """A journal file on a disk that takes so many more bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        self._room -= len(data)
        if self._room < 0:
            self._file.write(data[: self._room])
            self._file.flush()
            raise OSError(28, "No space left on device")
        return self._file.write(data)


def test_a_full_disk_is_reported_and_the_recording_can_go_on(tmp_path):
    with pytest.raises(SaveFailed, match="cannot be written"):
        Recorder("/proc/nowhere/t.parquet", HEADER)
    whole = record(tmp_path / "whole.parquet", [BLOCKS[0]] * 9)
    rec = Recorder(tmp_path / "t.parquet", HEADER)
    for step in range(3):
        rec.write(BLOCKS[0], step, 1000 * step)
    position = rec.position()
    rec._writer._file = FullDisk(rec._file, 20)
    rec.write(BLOCKS[0], 3, 3000)
    with pytest.raises(SaveFailed, match="No space left"):
        rec.position()
    with pytest.raises(SaveFailed, match="resume the recording"):
        rec.position()
    again = Recorder.resume(rec.path)
    assert again.position() == position
    for step in range(3, 9):
        again.write(BLOCKS[0], step, 1000 * step)
    assert again.close().read_bytes() == whole.read_bytes()


def test_a_file_that_cannot_be_put_in_place_leaves_the_journal(tmp_path, monkeypatch):
    rec = Recorder(tmp_path / "t.parquet", HEADER)
    rec.write(BLOCKS[0], 0, 0)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(SaveFailed, match="No space left"):
            rec.close()
    assert os.listdir(tmp_path) == [rec.part.name]
    assert len(read_trace(Recorder.resume(rec.path).close()).events) == 6


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "GROUP", 4096)
    monkeypatch.setattr(parquet_format, "GROUP", 4096)
    plans = [block(f"plan{i}_", 40) for i in range(20)]

    def peak_bytes(steps):
        gc.collect()
        tracemalloc.start()
        with Recorder(tmp_path / f"{steps}.parquet", HEADER) as rec:
            for step in range(steps):
                rec.write(plans[step % 20], step, 1000 * step)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak_bytes(200)
    short, long = peak_bytes(3_000), peak_bytes(9_000)
    assert long < 1.2 * short


def test_empty_blocks_leave_nothing(tmp_path):
    path = record(tmp_path / "t.csv", [BLOCKS[1]] * 4)
    assert read_trace(path).events == EventTable.empty()
