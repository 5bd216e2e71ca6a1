"""The user's cache: bounded, listed, and removed when a person says so."""

from __future__ import annotations

import os
from pathlib import Path
from time import time

import pytest

import mcusim
from mcusim.core import cache as store


@pytest.fixture
def filled() -> Path:
    """One thing of each kind, the last one being written by a process that was killed."""
    root = store.cache_dir()
    for number, name in enumerate(
        (
            "features/a.rows",
            "data/cifar-10-b/train_images.npy",
            "firmware/cortex-m4-e.o",
            "models/c.npz",
            "models/.d.npz.x.part",
        )
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(8192 * (number + 1)))
        for place in (path, *([path.parent] if "cifar" in name else [])):
            os.utime(place, (time() - 10**6 + number,) * 2)
    return root


def test_everything_is_listed_with_its_size_the_least_recently_used_first(run, answer, filled):
    found = answer("cache")
    assert [item["kind"] for item in found["items"]] == [*store.KINDS]
    assert [item["bytes"] for item in found["items"]] == [8192, 16384, 24576, 32768, 40960]
    assert found["bytes"] == 122880
    assert found["bound_bytes"] == store.MAX_BYTES
    said = run("cache").stdout
    assert "features/a.rows" in said
    assert "122,880" in said
    assert "49,152 of at most" in said


def test_each_kind_is_removed_by_its_name(run, answer, refused, filled):
    assert "did you mean features" in refused("cache", "--clear", "feature")
    for kind in store.KINDS:
        kinds = {item["kind"] for item in answer("cache", "--clear", kind)["items"]}
        assert kind not in kinds
    assert answer("cache")["items"] == []
    assert "in all" not in run("cache").stdout


def test_all_goes_at_once_and_what_is_not_there_is_no_error(filled):
    assert mcusim.cache(remove="all").items == ()
    assert mcusim.cache(remove=["all", "data"]).bytes == 0


def test_the_least_recently_used_makes_room_and_what_was_fetched_stays(filled, monkeypatch):
    mine = filled / "features" / "mine.rows"
    store.make_room(filled, 1, mine)  # only what nobody will finish any more goes
    assert [item.kind for item in store.items(filled)] == ["features", "data", "firmware", "fetched"]
    monkeypatch.setattr(store, "MAX_BYTES", 42_000)
    store.make_room(filled, 1, mine)
    assert [item.kind for item in store.items(filled)] == ["data", "firmware", "fetched"]
    store.use(filled / "models" / "c.npz")
    store.make_room(filled, 42_000, mine)
    assert [item.kind for item in store.items(filled)] == ["fetched"]


def test_a_file_that_is_being_written_is_not_taken_for_a_leftover(filled):
    store.use(filled / "models" / ".d.npz.x.part")
    store.make_room(filled, 1, filled / "features" / "mine.rows")
    assert "leftover" in [item.kind for item in store.items(filled)]
