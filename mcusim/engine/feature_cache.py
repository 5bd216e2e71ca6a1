"""What the frozen front gives for each picture, kept on disk between epochs and runs."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import warnings
import weakref
from io import FileIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mcusim.core import cache
from mcusim.graph import Model, Op

Array = NDArray[Any]

SUFFIX = ".rows"
CHECK = struct.Struct("<I")


class FeatureCache:
    """What the front gives for every (variant, image), filled as it is asked for.

    A row is valid when its CRC-32 matches; missing or damaged rows are computed again, so a crash or a
    broken disk block costs time and never changes a result. The file's name is a digest of the
    front's ops and constants and of the data, so another model or data set never meets it.

    Rows are read and written, not mapped: a disk that is full or breaks under a memory map ends the process
    with a signal. Here it is an error, and whatever error it is, training goes on without the cache, says so
    once, and gives the same bits.

    Args:
        root: the user's cache, or ``None`` to keep nothing.
        key: digest from ``front_key``.
        variants, images: how many rows.
        shape, dtype: of one row.
    """

    def __init__(
        self, root: Path | None, key: str, variants: int, images: int, shape: tuple[int, ...], dtype: str
    ) -> None:
        self._images, self._shape, self._dtype = images, shape, np.dtype(dtype)
        self._record = CHECK.size + int(np.prod(shape)) * self._dtype.itemsize
        size = variants * images * self._record
        self._root = root
        self._file: FileIO | None = None
        if root is None or size > cache.MAX_BYTES:
            return
        try:
            self._file = _opened(root, root / cache.FEATURES / f"{key}{SUFFIX}", size)
            self._close = weakref.finalize(self, self._file.close)
        except OSError as error:
            self._give_up(error)

    @property
    def kept(self) -> bool:
        """True if rows are kept."""
        return self._file is not None

    def get(self, variant: int, image: int) -> Array | None:
        """Return a row, or ``None`` if it is missing or damaged."""
        if self._file is None:
            return None
        record = bytearray(self._record)
        try:
            self._file.seek(self._place(variant, image))
            count = self._file.readinto(record)
        except OSError as error:
            self._give_up(error)
            return None
        row = memoryview(record)[CHECK.size :]
        if count != self._record or CHECK.unpack_from(record)[0] != _check(row):
            return None
        return np.frombuffer(row, self._dtype).reshape(self._shape)

    def put(self, variant: int, image: int, row: Array) -> None:
        """Keep a row."""
        if self._file is None:
            return
        data = np.ascontiguousarray(row, self._dtype).tobytes()
        try:
            self._file.seek(self._place(variant, image))
            if self._file.write(CHECK.pack(_check(data)) + data) != self._record:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._give_up(error)

    def _place(self, variant: int, image: int) -> int:
        return (variant * self._images + image) * self._record

    def _give_up(self, error: OSError) -> None:
        if self._file is not None:
            self._close()
            self._file = None
        reason = f"cache {self._root} cannot be used: {error.strerror or error}"
        warnings.warn(f"{reason}; features are computed anew in every epoch", stacklevel=2)


def front_key(model: Model, ops: tuple[Op, ...], *about: str) -> str:
    """Return a digest of what a cached row depends on: the ops, their constants, and ``about`` the data."""
    digest = hashlib.sha256(repr((ops, str(model.arithmetic), model.preprocessing, about)).encode())
    held = {name for state in model.states for name in (state.name, state.after, state.initial)}
    digest.update(repr(model.states).encode() if held else b"")
    names = sorted({n for op in ops for n in (*op.inputs, op.output)} | set(model.inputs) | held)
    for name in names:
        tensor = model.tensors[name]
        digest.update(repr((name, tensor.shape, tensor.dtype)).encode())
        if tensor.quant is not None:
            digest.update(tensor.quant.scale.tobytes() + repr(tensor.quant.zero_point).encode())
        if tensor.data is not None:
            digest.update(np.ascontiguousarray(tensor.data).tobytes())
    return digest.hexdigest()[:32]


def _check(data: bytes | memoryview) -> int:
    # 0 marks a row that was never written, so a check that happens to be 0 is stored as 1.
    return crc32(data) or 1


def _opened(root: Path, path: Path, size: int) -> FileIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    cache.make_room(root, size, path)
    path.touch()
    return FileIO(path, "r+")
