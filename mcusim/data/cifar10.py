"""CIFAR-10 (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

Reads the binary layout and the pickled Python layout, unpacked or as the archives they come in.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadData
from mcusim.core.cache import cache_dir
from mcusim.data import cache
from mcusim.data.cifar10_pickle import read_batch
from mcusim.data.dataset import Dataset, Split

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
RECORDS = 10_000
"""Images in a batch file."""
_PIXELS = 3 * 32 * 32
_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
_FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")
_ARCHIVES = (
    "cifar-10-binary.tar.xz", "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz", "cifar-10-python.tar.xz",
)  # fmt: skip
_MAX_BATCH_BYTES, _MAX_MEMBERS = 64 * 1024**2, 64
_FILES = ("train_images", "train_labels", "test_images", "test_labels")
_WAY_OUT = "give the folder that holds cifar-10-binary.tar.gz, or set MCUSIM_DATA to it"


def cifar10(root: str | Path | None = None) -> Dataset:
    """Return CIFAR-10: 50,000 training and 10,000 test images, ``uint8 [N, 32, 32, 3]``, original order.

    Looks for an archive or an unpacked folder in ``root`` (or at it); without ``root`` in the folder
    the environment variable ``MCUSIM_DATA`` names, then in the user's cache. The first use unpacks
    the images into the cache, every later one maps them into memory at once. A cache that cannot be written
    is said, and done without.

    Args:
        root: a folder or archive to look in; see above.

    Raises:
        BadData: if nothing is found, or a file has the wrong length, a damaged archive or a wrong label.
    """
    source = find(root)
    marks = [source, *sorted(source.iterdir())] if source.is_dir() else [source]
    stamps = [(str(m.resolve()), m.stat().st_size, m.stat().st_mtime_ns) for m in marks]
    name = f"cifar-10-{hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]}"
    arrays = cache.kept(name)
    if arrays is None or {*arrays} != {*_FILES}:
        arrays = _unpacked(source)
        cache.keep(name, arrays)
    images, labels, test_images, test_labels = (arrays[file] for file in _FILES)
    return Dataset(Split(images, labels), Split(test_images, test_labels), CLASSES, "cifar10")


def find(root: str | Path | None = None) -> Path:
    """Return the folder or archive that ``cifar10`` reads.

    Args:
        root: a folder or an archive; where it is looked for by default if not given.

    Raises:
        BadData: if nothing is there.
    """
    if root is not None:
        places = [Path(root)]
        if not places[0].exists():
            raise BadData(str(root), "does not exist", _WAY_OUT)
    else:
        given = os.environ.get("MCUSIM_DATA")
        places = [*([Path(given)] if given else []), cache_dir(), cache_dir() / "data"]
    for place in places:
        if place.is_file() or _batch(place, _BATCHES[0]):
            return place
        for name in (*_FOLDERS, *_ARCHIVES):
            if (place / name).exists():
                return place / name
    where = ", ".join(str(p) for p in places)
    raise BadData(where, "holds neither CIFAR-10 batches nor an archive of them", _WAY_OUT)


def _batch(folder: Path, name: str) -> Path | None:
    return next((f for f in (folder / f"{name}.bin", folder / name) if f.is_file()), None)


def _unpacked(source: Path) -> cache.Arrays:
    """Return the four arrays of the data set."""
    found: dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}
    for name, content in _members(source) if source.is_file() else _files(source):
        stem = Path(name).name
        read = _read_binary if stem.endswith(".bin") else read_batch
        images, labels = read(f"{source}: {stem}", content)
        if len(labels) != RECORDS:
            raise BadData(f"{source}: {stem}", f"holds {len(labels):,} images, not {RECORDS:,}", _WAY_OUT)
        found[stem.removesuffix(".bin")] = images, labels
    missing = [name for name in _BATCHES if name not in found]
    if missing:
        raise BadData(str(source), f"lacks {', '.join(missing)}", "get the data set again")
    arrays: dict[str, NDArray[np.generic]] = {}
    for part, names in (("train", _BATCHES[:-1]), ("test", _BATCHES[-1:])):
        # Planes to pixels.
        images = np.concatenate([found[n][0] for n in names]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        arrays[f"{part}_images"] = np.ascontiguousarray(images)
        arrays[f"{part}_labels"] = np.concatenate([found[n][1] for n in names])
    return arrays


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in _BATCHES:
        path = _batch(folder, name)
        if path is None:
            raise BadData(str(folder), f"lacks {name}", "get the data set again")
        if path.stat().st_size > _MAX_BATCH_BYTES:
            raise BadData(str(path), f"has {path.stat().st_size:,} B, too many for a batch", _WAY_OUT)
        yield path.name, path.read_bytes()


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the batch files of a tar archive; nothing is written to the disk, no size is believed."""
    try:
        with tarfile.open(archive, "r:*") as tar:
            for count, member in enumerate(tar):
                if count >= _MAX_MEMBERS or member.size > _MAX_BATCH_BYTES:
                    raise BadData(str(archive), "is no CIFAR-10 archive", _WAY_OUT)
                _require_plain(archive, member)
                if member.isfile() and Path(member.name).name.removesuffix(".bin") in _BATCHES:
                    yield member.name, _content(tar.extractfile(member), member.size)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise BadData(str(archive), f"cannot be unpacked: {error}", "get the archive again") from error


def _require_plain(archive: Path, member: tarfile.TarInfo) -> None:
    """Refuse what an honest archive of data has no use for, though nothing of it would be written."""
    place = PurePosixPath(member.name.replace("\\", "/"))
    if not (member.isfile() or member.isdir()):
        raise BadData(str(archive), f"holds {member.name!r}, which is a link or a device", _WAY_OUT)
    if place.is_absolute() or ".." in place.parts or ":" in member.name:
        raise BadData(str(archive), f"holds {member.name!r}, which leads out of it", _WAY_OUT)


def _content(file: IO[bytes] | None, size: int) -> bytes:
    content = b"" if file is None else file.read(size)
    if len(content) != size:
        raise EOFError("a file in it is cut off")
    return content


def _read_binary(name: str, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images ``[n, 3072]`` and labels ``[n]``: a record is one label byte and three planes."""
    if not content or len(content) % (_PIXELS + 1):
        raise BadData(
            name,
            f"has {len(content):,} B, no multiple of the record length {_PIXELS + 1:,}",
            "get the file again",
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _PIXELS + 1)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASSES):
        raise BadData(name, f"holds the label {labels.max()}", "labels are 0 to 9: get the file again")
    return records[:, 1:], labels
