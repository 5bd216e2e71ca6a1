"""The cache of the frozen front: never another model's rows, damaged ones rebuilt, bounded on disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from io import FileIO

import numpy as np
import pytest
from networks import small_network

from mcusim.engine import feature_cache
from mcusim.engine.feature_cache import FeatureCache, front_key
from mcusim.engine.front import Front
from mcusim.engine.inference import Inference


def build(tmp_path, seed=0):
    model = small_network(seed)
    ops = model.ops[:4]
    inference = Inference(model, ops, batch=4)
    shape = model.tensors[ops[-1].output].shape[1:]
    key = front_key(model, ops, "data")
    cache = FeatureCache(tmp_path, key, 1, 10, shape, "int8")
    images = np.random.default_rng(3).integers(-128, 128, (10, 16, 16, 3)).astype(np.int8)
    calls = []

    def prepare(batch, index, variant):
        calls.append(len(batch))
        return batch

    return Front(inference, prepare, cache), images, calls, key


def test_rows_are_computed_once_and_survive_reopening(tmp_path):
    index, variant = np.arange(10), np.zeros(10, np.int64)
    front, images, calls, _ = build(tmp_path)
    first = np.stack(front.rows(images, index, variant))
    again, _, more, _ = build(tmp_path)
    assert sum(calls) == 10
    assert np.array_equal(np.stack(again.rows(images, index, variant)), first)
    assert more == []


@pytest.mark.parametrize("byte", [0, 2, 5])
def test_damaged_rows_are_found_and_rebuilt(tmp_path, byte):
    index, variant = np.arange(10), np.zeros(10, np.int64)
    front, images, _, key = build(tmp_path)
    first = np.stack(front.rows(images, index, variant))
    del front
    path = tmp_path / "features" / f"{key}.rows"
    data = bytearray(path.read_bytes())
    data[byte] ^= 0xFF
    path.write_bytes(data)
    again, _, calls, _ = build(tmp_path)
    assert np.array_equal(np.stack(again.rows(images, index, variant)), first)
    assert sum(calls) == 1
    path.write_bytes(path.read_bytes()[:-3])
    cut, _, calls, _ = build(tmp_path)
    assert np.array_equal(np.stack(cut.rows(images, index, variant)), first)
    assert sum(calls) == 1


def fails(error):
    def call(*arguments):
        raise error

    return call


FULL = OSError(errno.ENOSPC, "No space left on device")
SAYS = r"cache .* cannot be used: .*; features are computed anew"


@pytest.mark.parametrize(
    ("call", "result"), [("seek", FULL), ("readinto", FULL), ("write", FULL), ("write", 7)]
)
def test_a_disk_that_fails_stops_nothing(tmp_path, monkeypatch, call, result):
    index, variant = np.arange(10), np.zeros(10, np.int64)
    front, images, _, _ = build(tmp_path / "whole")
    first = np.stack(front.rows(images, index, variant))

    class Failing(FileIO):
        pass

    setattr(Failing, call, fails(result) if isinstance(result, OSError) else lambda *a: result)
    monkeypatch.setattr(feature_cache, "FileIO", Failing)
    broken, _, calls, _ = build(tmp_path / "broken")
    with pytest.warns(UserWarning, match=SAYS) as said:
        rows = broken.rows(images, index, variant)
    assert len(said) == 1
    assert np.array_equal(np.stack(rows), first)
    assert np.array_equal(np.stack(broken.rows(images, index, variant)), first)
    assert sum(calls) == 20


def test_a_cache_that_cannot_be_opened_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match=SAYS):
        assert not FeatureCache(tmp_path / "file", "key", 1, 10, (5,), "int8").kept
    monkeypatch.setattr(feature_cache, "FileIO", fails(OSError(errno.EROFS, "Read-only file system")))
    with pytest.warns(UserWarning, match="Read-only file system"):
        assert not FeatureCache(tmp_path, "key", 1, 10, (5,), "int8").kept


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on the size of files")
def test_no_room_under_the_cache_kills_no_process(tmp_path):
    code = (
        "import resource, sys, numpy as np, warnings; from pathlib import Path;"
        "from mcusim.engine.feature_cache import FeatureCache;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "cache = FeatureCache(Path(sys.argv[1]), 'key', 1, 100, (996,), 'int8');"
        "[cache.put(0, i, np.full(996, i, np.int8)) for i in range(100)];"
        "assert not cache.kept; print('goes on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "goes on\n")
    assert done.stderr.count("cannot be used") == 1


def test_another_model_or_other_data_has_another_cache():
    model, other = small_network(0), small_network(1)
    keys = {
        front_key(model, model.ops[:4], "data"),
        front_key(other, other.ops[:4], "data"),
        front_key(model, model.ops[:4], "other data"),
        front_key(model, model.ops[:3], "data"),
    }
    assert len(keys) == 4


def test_old_caches_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr("mcusim.core.cache.MAX_BYTES", 400_000)
    folder = tmp_path / "features"
    for name in "abc":
        cache = FeatureCache(tmp_path, name, 1, 1000, (150,), "int8")
        for image in range(1000):
            cache.put(0, image, np.full(150, image % 100, np.int8))
        os.utime(folder / f"{name}.rows", ns=(ord(name), ord(name)))
    assert {p.name for p in folder.iterdir()} == {"b.rows", "c.rows"}
    FeatureCache(tmp_path, "b", 1, 1000, (150,), "int8")  # used again: c is now the older one
    FeatureCache(tmp_path, "d", 1, 1000, (150,), "int8")
    assert {p.name for p in folder.iterdir()} == {"b.rows", "d.rows"}
    assert not FeatureCache(tmp_path, "huge", 1, 10**6, (150,), "int8").kept
