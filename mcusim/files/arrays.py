"""Zip archives of numpy arrays from strangers: no pickles, and no size is believed before it is checked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel

BASE_LIMIT, RATIO_LIMIT = 64 * 1024**2, 16
"""An archive may unpack to 64 MiB and 16 times its own size, no more: weights hardly compress."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_KINDS = "biuf"


def read_archive(path: str | Path) -> dict[str, bytes]:
    """Return all entries of a zip archive, after checking what they unpack to.

    Raises:
        BadModel: if the file is missing, no zip archive, damaged, or unpacks to more than
            `BASE_LIMIT` + `RATIO_LIMIT` times its size.
    """
    path = Path(path)
    try:
        room = BASE_LIMIT + RATIO_LIMIT * path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            entries: dict[str, bytes] = {}
            for info in archive.infolist():
                if info.file_size > room:
                    raise BadModel(str(path), "unpacks to far more than its size", "it is no model")
                with archive.open(info) as file:
                    entries[info.filename] = file.read(room + 1)
                room -= len(entries[info.filename])
                if room < 0:
                    raise BadModel(str(path), "unpacks to far more than its size", "it is no model")
            return entries
    except OSError as error:
        raise BadModel(str(path), f"cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        if isinstance(error, BadModel):
            raise
        raise BadModel(str(path), f"is a damaged archive: {error}", "get the file again") from error


def names_in_archive(path: str | Path) -> list[str]:
    """Return the names of a zip archive's entries; none if it is no zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError):
        return []


def decode_array(name: str, data: bytes) -> NDArray[Any]:
    """Return the array stored in ``data`` (the bytes of a ``.npy`` file), read-only.

    Raises:
        BadModel: if the header is malformed, asks for objects, or does not match the length of the data.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else _header_2_0
        shape, fortran, dtype = header(stream)
        body = memoryview(data)[stream.tell() :]
        if dtype.kind not in _KINDS:
            raise ValueError(f"elements of type {dtype} are not numbers")
        if any(size < 0 for size in shape) or prod(shape) * dtype.itemsize != len(body):
            raise ValueError(f"shape {shape} of {dtype} does not match {len(body)} bytes")
        array = np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
        return np.ascontiguousarray(array).reshape(shape) if fortran else array
    except (
        ValueError,
        SyntaxError,
        TypeError,
        EOFError,
        RecursionError,
        MemoryError,
        OverflowError,
    ) as error:
        raise BadModel(f"array {name!r}", f"is damaged: {error}") from error


def _header_2_0(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    return np.lib.format.read_array_header_2_0(stream)


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by name; see `read_archive` and `decode_array`."""
    return {
        name.removesuffix(".npy"): decode_array(name, data)
        for name, data in read_archive(path).items()
        if name.endswith(".npy")
    }


def write_archive(file: IO[bytes], texts: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write texts and arrays as a zip archive that numpy can read; equal content gives equal bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            _write(archive, name, text.encode())
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)
            _write(archive, f"{name}.npy", stream.getvalue())


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    # What deflate would shrink beyond the reader's bound (a momentum of zeros) is stored as it is.
    small = len(zlib.compress(data, 1)) * RATIO_LIMIT < len(data)
    info.compress_type = zipfile.ZIP_STORED if small else zipfile.ZIP_DEFLATED
    archive.writestr(info, data)
