"""The cache of the frozen front: never another model's rows, damaged ones rebuilt, bounded on disk."""

from __future__ import annotations

import numpy as np
import pytest
from networks import small_network

from mcusim.engine import front as fronts
from mcusim.engine.front import FeatureCache, Front, front_key
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


@pytest.mark.parametrize("file", ["rows.bin", "checks.bin"])
def test_damaged_rows_are_found_and_rebuilt(tmp_path, file):
    index, variant = np.arange(10), np.zeros(10, np.int64)
    front, images, _, key = build(tmp_path)
    first = np.stack(front.rows(images, index, variant))
    del front
    path = tmp_path / key / file
    data = bytearray(path.read_bytes())
    data[5] ^= 0xFF
    path.write_bytes(data)
    again, _, calls, _ = build(tmp_path)
    assert np.array_equal(np.stack(again.rows(images, index, variant)), first)
    assert sum(calls) >= 1
    path.write_bytes(data[:-3])
    cut, _, calls, _ = build(tmp_path)
    assert np.array_equal(np.stack(cut.rows(images, index, variant)), first)
    assert sum(calls) == 10


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
    monkeypatch.setattr(fronts, "MAX_BYTES", 400_000)
    for name in "abc":
        cache = FeatureCache(tmp_path, name, 1, 1000, (150,), "int8")
        for image in range(1000):
            cache.put(0, image, np.full(150, image % 100, np.int8))
        cache._rows.flush()
    assert {p.name for p in tmp_path.iterdir()} == {"b", "c"}
    assert not FeatureCache(tmp_path, "huge", 1, 10**6, (150,), "int8").kept
