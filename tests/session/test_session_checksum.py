"""A flipped bit anywhere in what a run leaves is noticed and named."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from test_session_training import session, tiny_data

from mcusim.core import BadRun
from mcusim.core.checksum import BLANK, seal
from mcusim.session.checkpoint import FILE, MARK, read_checkpoint
from mcusim.session.run import read_run

FLIPS = 1000


def flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    session().train(tiny_data(12), out=place)
    return place


@pytest.mark.parametrize(("name", "read"), [("run.json", None), (FILE, read_checkpoint)])
def test_a_flipped_bit_is_named(folder, tmp_path, name, read):
    whole, rng = (folder / name).read_bytes(), random.Random(0)
    path = tmp_path / name
    for _ in range(FLIPS):
        path.write_bytes(flipped(whole, rng))
        with pytest.raises(BadRun, match=name):
            read(path) if read else read_run(tmp_path)
    path.write_bytes(whole)
    assert read(path) if read else read_run(tmp_path)


def test_a_damaged_result_comes_back_when_the_run_is_resumed(tmp_path):
    session().train(tiny_data(12), out=tmp_path)
    path = tmp_path / "run.json"
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, random.Random(1)))
    session().train(tiny_data(12), out=tmp_path, resume=True)
    assert path.read_bytes() == whole


def edited(folder, change):
    """Write a checkpoint whose description was changed by someone who knows of the checksum."""
    arrays, meta = read_checkpoint(folder / FILE)
    change(meta)
    entry = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with open(folder / FILE, "w+b") as file:
        np.savez(file, **{"meta.json": entry}, **arrays)
        # The end of the archive says how long its comment is.
        comment = MARK + BLANK.encode()
        file.seek(-2, 2)
        file.write(len(comment).to_bytes(2, "little") + comment)
        seal(file, MARK)


def wrong(*path, value):
    def change(meta):
        place = meta
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        wrong("progress", value=3),
        wrong("progress", "epoch", value="two"),
        wrong("progress", "position", value=-1),
        wrong("progress", "position", value=10**6),
        wrong("progress", "coverage", value={"nowhere": [1]}),
        wrong("progress", "largest", value={"nowhere": 1}),
        wrong("progress", "trace_position", value=[1]),
        wrong("progress", "history", value=[{}]),
        wrong("progress", "history", -1, "loss", value="low"),
        wrong("progress", "history", -1, "test_accuracy", value=None),
        wrong("progress", "before", value=[]),
        wrong("progress", "unheard_of", value=1),
        wrong("progress", "cycle", value=10**30),
        wrong("progress", "trace_position", value=[0, 2**70]),
        wrong("iteration", value=None),
        wrong("iteration", value=-5),
        wrong("peaks", value=[1]),
    ],
)
def test_a_checkpoint_that_makes_no_sense_is_refused(tmp_path, monkeypatch, change):
    session().train(tiny_data(12), out=tmp_path)
    edited(tmp_path, change)
    with pytest.raises(BadRun, match=FILE):
        session().train(tiny_data(12), out=tmp_path, resume=True)
