from __future__ import annotations

import contextlib
import errno
import os
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadData
from mcusim.data import cifar10
from mcusim.data.cifar10_pickle import read_batch

NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
COUNT = 3


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.modules["mcusim.data.cifar10"], "RECORDS", COUNT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MCUSIM_DATA", raising=False)


def records(seed: int) -> bytes:
    drawn = np.random.default_rng(seed).integers(0, 256, (COUNT, 3073), np.uint8)
    drawn[:, 0] %= 10
    return drawn.tobytes()


def binary(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for i, name in enumerate(NAMES):
        (folder / f"{name}.bin").write_bytes(records(i))
    return folder


def pickled(folder: Path, protocol: int = 2) -> Path:
    folder.mkdir(parents=True)
    for i, name in enumerate(NAMES):
        drawn = np.frombuffer(records(i), np.uint8).reshape(COUNT, 3073)
        batch = {b"data": drawn[:, 1:].copy(), b"labels": drawn[:, 0].tolist(), b"batch_label": b"x"}
        (folder / name).write_bytes(pickle.dumps(batch, protocol))
    return folder


def archive(folder: Path, kind: str) -> Path:
    path = folder.parent / f"cifar-10-binary.tar.{kind}"
    with tarfile.open(path, f"w:{kind}") as tar:  # type: ignore[call-overload]
        tar.add(folder, folder.name)
    return path


def test_every_layout_gives_the_same_images(tmp_path: Path) -> None:
    folder = binary(tmp_path / "a" / "cifar-10-batches-bin")
    first = cifar10(folder)
    want = np.frombuffer(records(5), np.uint8).reshape(COUNT, 3073)
    np.testing.assert_array_equal(first.test.labels, want[:, 0])
    np.testing.assert_array_equal(first.test.images[1, 7, 9], want[1, 1:].reshape(3, 32, 32)[:, 7, 9])
    assert len(first.train) == 5 * COUNT
    assert first.labels[3] == "cat"
    others = [
        folder.parent,
        archive(folder, "xz"),
        archive(folder, "gz"),
        pickled(tmp_path / "b" / "cifar-10-batches-py"),
        pickled(tmp_path / "c" / "cifar-10-batches-py", 4),
    ]
    for other in others:
        again = cifar10(other)
        assert again.train.digest() == first.train.digest()
        assert again.test.digest() == first.test.digest()


def test_second_open_maps_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(binary(tmp_path / "cifar-10-batches-bin"), "gz")
    first = cifar10(path)
    monkeypatch.setattr(tarfile, "open", None)
    again = cifar10(path)
    assert isinstance(again.train.images, np.memmap)
    assert again.train.digest() == first.train.digest()


@pytest.mark.parametrize("name", ["train_images.npy", "test_labels.npy"])
def test_a_flipped_bit_in_the_cache_is_named_and_the_data_unpacked_anew(tmp_path: Path, name: str) -> None:
    path = archive(binary(tmp_path / "cifar-10-batches-bin"), "gz")
    first = cifar10(path)
    (kept,) = (tmp_path / "cache").rglob(name)
    for at in (9, 70, kept.stat().st_size - 1):  # the length of the header, a word in it, the last number
        damaged = bytearray(kept.read_bytes())
        damaged[at] ^= 1
        kept.write_bytes(damaged)
        with pytest.warns(UserWarning, match=f"{name} is damaged; the data is unpacked anew"):
            again = cifar10(path)
        assert (again.train.digest(), again.test.digest()) == (first.train.digest(), first.test.digest())
        assert isinstance(cifar10(path).train.images, np.memmap)


def test_a_changed_source_is_read_again(tmp_path: Path) -> None:
    folder = binary(tmp_path / "cifar-10-batches-bin")
    before = cifar10(folder).train.digest()
    (folder / "data_batch_1.bin").write_bytes(records(99))
    os.utime(folder / "data_batch_1.bin", (1, 1))
    assert cifar10(folder).train.digest() != before


def test_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary(tmp_path / "data" / "cifar-10-batches-bin")
    monkeypatch.setenv("MCUSIM_DATA", str(tmp_path / "data"))
    assert len(cifar10().test) == COUNT


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="MCUSIM_DATA"):
        cifar10()
    with pytest.raises(BadData, match="holds neither"):
        cifar10(tmp_path)
    with pytest.raises(BadData, match="does not exist"):
        cifar10(tmp_path / "no")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no multiple"),
        (records(0)[:-1], "no multiple"),
        (records(0)[: 2 * 3073], "holds 2 images"),
        (b"\x0a" + records(0)[1:], "label 10"),
    ],
)
def test_bad_batches_leave_nothing_behind(tmp_path: Path, content: bytes, why: str) -> None:
    folder = binary(tmp_path / "cifar-10-batches-bin")
    (folder / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(BadData, match=why):
        cifar10(folder)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_missing_batch(tmp_path: Path) -> None:
    folder = binary(tmp_path / "cifar-10-batches-bin")
    (folder / "test_batch.bin").unlink()
    with pytest.raises(BadData, match="lacks test_batch"):
        cifar10(folder)


def test_damaged_archives(tmp_path: Path) -> None:
    path = archive(binary(tmp_path / "cifar-10-batches-bin"), "gz")
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"no archive", whole[:-400] + bytes(400)):
        path.write_bytes(content)
        with pytest.raises(BadData):
            cifar10(path)


def test_archive_with_an_endless_member(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        member.size = 2**40
        assert tar.fileobj is not None
        tar.fileobj.write(member.tobuf())
    with pytest.raises(BadData):
        cifar10(path)


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = binary(tmp_path / "cifar-10-batches-bin")
    with pytest.warns(UserWarning, match="cannot be used: .*; the data is unpacked anew every time"):
        data = cifar10(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert data.train.digest() == cifar10(folder).train.digest()


def test_a_disk_that_gets_full_stops_nothing_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = binary(tmp_path / "cifar-10-batches-bin")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.warns(UserWarning, match="No space left"):
            assert len(cifar10(folder).test) == COUNT
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    folder = binary(tmp_path / "cifar-10-batches-bin")
    expected = cifar10(folder).train.digest()
    (file,) = (tmp_path / "cache").rglob("train_images.npy")
    for content in (b"", file.read_bytes()[:-5]):
        file.unlink()
        file.write_bytes(content)
        with pytest.warns(UserWarning, match="train_images.npy is damaged"):
            assert cifar10(folder).train.digest() == expected
        assert len(file.read_bytes()) > 5
    file.unlink()
    assert cifar10(folder).train.digest() == expected


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("false",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Evil()),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.float32), b"labels": [1, 2]}),
        pickle.dumps({b"data": np.zeros((2, 30), np.uint8), b"labels": [1, 2]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 10]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}),
        pickle.dumps({b"data": [1], b"labels": [1]}),
        b"\x80\x02}r\xff\xff\xff\x7f.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"",
        b"junk",
    ],
)
def test_hostile_pickles(content: bytes) -> None:
    with pytest.raises(BadData, match="batch"):
        read_batch("batch", content)


@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=5))
def test_mutated_pickles_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    content = bytearray(
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2], b"names": ["a", "b"]}, 2)
    )
    head = len(content) // 20
    for place, value in changes:
        # The pixels in the middle are plain bytes: aim at what surrounds them.
        content[place % head if place % 2 else -1 - place % 100] = value
    with contextlib.suppress(BadData):
        images, labels = read_batch("batch", bytes(content))
        assert images.shape == (2, 3072)
        assert labels.shape == (2,)


def test_a_pickle_cannot_change_what_it_is_given() -> None:
    changed = b"\x80\x02c_codecs\nencode\n(N}tb."
    with pytest.raises(BadData, match="state of a function"):
        read_batch("batch", changed)


@pytest.mark.data
def test_real_cifar10(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(sys.modules["mcusim.data.cifar10"], "RECORDS", 10_000)
    data = cifar10(data_dir)
    assert len(data.train) == 50_000
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    mean = data.train.images.mean((0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.49139968, 0.48215841, 0.44653091], atol=1e-8)
