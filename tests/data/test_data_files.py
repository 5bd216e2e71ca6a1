"""Image folders, array files, and data sets by name."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from mcusim.core import BadArgument, BadData, UnknownName
from mcusim.data import from_arrays, image_folder, load_arrays, open_data
from mcusim.data.named import picture_size

Image = pytest.importorskip("PIL.Image")


def pictures(
    root: Path, counts: dict[str, int], size: tuple[int, int] = (6, 5), suffix: str = ".png"
) -> Path:
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((*size, 3), 20 * label + i, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:03}{suffix}")
    return root


def test_folder_is_divided_by_class(tmp_path: Path) -> None:
    data = image_folder(pictures(tmp_path / "set", {"cat": 10, "ant": 5}), seed=3)
    assert data.labels == ("ant", "cat")
    assert data.name == "set"
    assert np.bincount(data.test.labels).tolist() == [1, 2]
    assert np.bincount(data.train.labels).tolist() == [4, 8]
    assert data.train.image_shape == (6, 5, 3)
    values = sorted([*data.train.images[:, 0, 0, 0], *data.test.images[:, 0, 0, 0]])
    assert values == [*range(10), *range(20, 25)]
    again = image_folder(tmp_path / "set", seed=3)
    assert again.train.digest() == data.train.digest()
    assert image_folder(tmp_path / "set", seed=4).train.digest() != data.train.digest()


def test_folder_with_train_and_test(tmp_path: Path) -> None:
    pictures(tmp_path / "train", {"a": 3, "b": 2}, suffix=".jpg")
    pictures(tmp_path / "val", {"a": 1, "b": 1}, suffix=".jpg")
    data = image_folder(tmp_path)
    assert (len(data.train), len(data.test)) == (5, 2)
    assert data.labels == ("a", "b")


def test_pictures_with_planes_first_are_turned_round() -> None:
    rng = np.random.default_rng(0)
    last = rng.integers(0, 256, (8, 6, 5, 3), dtype=np.uint8)
    labels = np.arange(8) % 2
    for stored in (last, np.moveaxis(last, -1, 1)):
        data = from_arrays(stored, labels, last, labels)
        np.testing.assert_array_equal(data.train.images, last)
    with pytest.raises(BadData, match="uint8"):
        from_arrays(last.transpose(0, 1, 3, 2)[:, :, [0, 1]], labels)


def test_every_network_says_the_size_of_its_pictures() -> None:
    assert picture_size((1, 32, 24, 3)) == picture_size((1, 3, 32, 24)) == (32, 24)
    assert picture_size((1, 3, 3, 3)) == (3, 3)
    assert picture_size((1, 640)) is None


def test_folder_of_mixed_sizes_needs_a_size(tmp_path: Path) -> None:
    pictures(tmp_path, {"a": 3})
    pictures(tmp_path / "more", {"b": 3}, (8, 8))
    (tmp_path / "more" / "b").rename(tmp_path / "b")
    (tmp_path / "more").rmdir()
    with pytest.raises(BadData, match="size="):
        image_folder(tmp_path)
    assert image_folder(tmp_path, size=4).train.image_shape == (4, 4, 3)
    assert open_data(tmp_path, size=(4, 7)).test.image_shape == (4, 7, 3)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no folder"):
        image_folder(tmp_path / "none")
    with pytest.raises(BadData, match="no folders"):
        image_folder(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(BadData, match="holds no pictures"):
        image_folder(tmp_path)
    (tmp_path / "a" / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(BadData, match="one example"):
        image_folder(tmp_path)
    (tmp_path / "a" / "y.png").write_bytes(b"")
    with pytest.raises(BadData, match="cannot be read"):
        image_folder(tmp_path)
    with pytest.raises(BadArgument):
        image_folder(tmp_path, test_fraction=1)
    with pytest.raises(BadArgument):
        image_folder(tmp_path, size=0)


def test_a_picture_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    pictures(tmp_path, {"a": 2})
    head = b"P6 60000 60000 255\n"
    for name in ("000.ppm", "001.ppm"):
        (tmp_path / "a" / name).write_bytes(head + bytes(100))
    for png in (tmp_path / "a").glob("*.png"):
        png.unlink()
    with pytest.raises(BadData):
        image_folder(tmp_path)


@pytest.mark.parametrize("names", [("x_train", "y_train", "x_test", "y_test"), ("images", "labels")])
def test_array_files(tmp_path: Path, names: tuple[str, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8)
    labels = np.arange(20) % 4
    arrays = dict(zip(names, [images, labels] * 2, strict=False))
    np.savez_compressed(tmp_path / "set.npz", **arrays)
    (tmp_path / "folder").mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    first, second = open_data(tmp_path / "set.npz"), open_data(tmp_path / "folder")
    assert first.train.digest() == second.train.digest()
    assert first.test.digest() == second.test.digest()
    assert first.labels == ("0", "1", "2", "3")
    assert len(first.test) == (20 if len(names) == 4 else 4)


def test_spectrograms_and_targets_of_their_own() -> None:
    frames = np.random.default_rng(0).normal(size=(12, 49, 10))
    data = from_arrays(frames, np.arange(12) % 2, names=("no", "yes"))
    assert data.train.images.dtype == np.float32
    assert data.train.image_shape == (49, 10)
    assert data.labels == ("no", "yes")
    windows = from_arrays(frames.reshape(12, -1))
    assert windows.classes == 0
    assert windows.train.labels is None
    ready = from_arrays(frames.astype(np.int8), np.arange(12) % 2)
    assert ready.train.images.dtype == np.int8
    grey = from_arrays(np.zeros((6, 8, 8), np.uint8), np.arange(6) % 3)
    assert grey.train.image_shape == (8, 8, 1)


def test_bad_arrays(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="finite"):
        from_arrays(np.full((4, 3), np.nan), np.zeros(4, int))
    with pytest.raises(BadData, match="one example"):
        from_arrays(np.zeros((3, 3)), np.array([0, 0, 1]))
    with pytest.raises(BadData):
        from_arrays(np.array([["a"]]))
    with pytest.raises(BadData, match="does not exist"):
        load_arrays(tmp_path / "no.npz")
    np.savez(tmp_path / "odd.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(BadData, match="name them"):
        load_arrays(tmp_path / "odd.npz")
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(BadData, match="no array file"):
        load_arrays(tmp_path)
    whole = (tmp_path / "odd.npz").read_bytes()
    for content in (b"", b"junk", whole[:-30], whole[:100]):
        (tmp_path / "cut.npz").write_bytes(content)
        with pytest.raises(BadData, match="no archive"):
            load_arrays(tmp_path / "cut.npz")


@pytest.mark.parametrize("shape", [(2**40,), (2**31, 2**31), (-1,), (10,)])
def test_archives_that_promise_more_than_they_hold(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("x.npy", stream.getvalue() + bytes(8))
    with pytest.raises(BadData, match="no archive"):
        load_arrays(tmp_path / "liar.npz")


def test_names() -> None:
    assert open_data("synthetic-target").name == "synthetic-target"
    with pytest.raises(UnknownName, match="cifar10"):
        open_data("cifar-10")


def one_picture(folder: Path, name: str) -> Path:
    """Return the place of the only picture of a class in each part."""
    for part in ("train", "test"):
        (folder / part / "only").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(folder / "test" / "only" / "other.png")
    return folder / "train" / "only" / name


@pytest.mark.parametrize("suffix", ["png", "pgm"])
def test_sixteen_bits_are_scaled_and_not_saturated(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65_535, 64).astype(np.uint16).reshape(8, 8)
    picture = one_picture(tmp_path, f"grey.{suffix}")
    if suffix == "pgm":
        picture.write_bytes(b"P5 8 8 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(picture)
    found = image_folder(tmp_path).train.images[0]
    assert np.array_equal(found[..., 0], np.round(values / 257).astype(np.uint8))
    assert np.array_equal(found[..., 0], found[..., 2])
    assert len(np.unique(found)) == 64


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_camera_is_obeyed(tmp_path: Path, orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    about = Image.Exif()
    about[0x0112] = orientation
    path = one_picture(tmp_path, "turned.png")
    Image.fromarray(pixels).save(path, exif=about)
    turned = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: pixels.transpose(1, 0, 2), 6: pixels[::-1].transpose(1, 0, 2),
        7: pixels[::-1, ::-1].transpose(1, 0, 2), 8: pixels[:, ::-1].transpose(1, 0, 2),
    }[orientation]  # fmt: skip
    height, width, _ = turned.shape
    Image.new("RGB", (width, height)).save(tmp_path / "test" / "only" / "other.png")
    assert np.array_equal(image_folder(tmp_path).train.images[0], turned)


@pytest.mark.parametrize("side", [9_000, 60_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_by_its_size(tmp_path: Path, side: int) -> None:
    path = one_picture(tmp_path, "bomb.png")
    Image.new("RGB", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(BadData, match=r"bomb\.png"):
        image_folder(tmp_path, size=8)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
