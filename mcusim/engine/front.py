"""The frozen front of the network: computed once per image and variant, kept on disk, used every epoch."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.inference import Inference
from mcusim.graph import Model, Op

Array = NDArray[Any]

MAX_BYTES = 4 * 1024**3
"""All cached features together; the least recently used are removed to stay below."""


class FeatureCache:
    """What the front gives for every (variant, image), filled as it is asked for.

    A row is valid when its CRC-32 matches; missing or damaged rows are computed again, so a crash or a
    broken disk block costs time and never changes a result. The folder's name is a digest of the
    front's ops and constants and of the data, so another model or data set never meets it.

    Args:
        root: folder of all caches, or ``None`` to keep nothing.
        key: digest from ``front_key``.
        variants, images: how many rows.
        shape, dtype: of one row.
    """

    def __init__(
        self, root: Path | None, key: str, variants: int, images: int, shape: tuple[int, ...], dtype: str
    ) -> None:
        row = int(np.prod(shape)) * np.dtype(dtype).itemsize
        size = variants * images * (row + 4)
        self.kept = root is not None and size <= MAX_BYTES
        if not self.kept:
            return
        assert root is not None
        folder = root / key
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(root, folder, size)
        (folder / "about.json").write_text(json.dumps({"variants": variants, "images": images}))
        self._rows = _mapped(folder / "rows.bin", (variants, images, *shape), dtype)
        self._checks = _mapped(folder / "checks.bin", (variants, images), "uint32")

    def get(self, variant: int, image: int) -> Array | None:
        """Return a row, or ``None`` if it is missing or damaged."""
        if not self.kept:
            return None
        row: Array = self._rows[variant, image]
        return row if self._checks[variant, image] == _check(row) else None

    def put(self, variant: int, image: int, row: Array) -> None:
        """Keep a row."""
        if self.kept:
            self._rows[variant, image] = row
            self._checks[variant, image] = _check(row)


def front_key(model: Model, ops: tuple[Op, ...], *about: str) -> str:
    """Return a digest of what a cached row depends on: the ops, their constants, and ``about`` the data."""
    digest = hashlib.sha256(repr((ops, str(model.arithmetic), model.preprocessing, about)).encode())
    names = sorted({n for op in ops for n in (*op.inputs, op.output)} | set(model.inputs))
    for name in names:
        tensor = model.tensors[name]
        digest.update(repr((name, tensor.shape, tensor.dtype)).encode())
        if tensor.quant is not None:
            digest.update(tensor.quant.scale.tobytes() + repr(tensor.quant.zero_point).encode())
        if tensor.data is not None:
            digest.update(np.ascontiguousarray(tensor.data).tobytes())
    return digest.hexdigest()[:32]


class Front:
    """Gives what crosses from the frozen front to the learning tail, for any images of a split."""

    def __init__(self, inference: Inference | None, prepare: Any, cache: FeatureCache) -> None:
        self._inference, self._prepare, self._cache = inference, prepare, cache

    def rows(self, images: Array, index: NDArray[np.int64], variant: NDArray[np.int64]) -> list[Array]:
        """Return the boundary of each image ``index[i]`` in ``variant[i]``, from the cache where it can."""
        found = [self._cache.get(int(v), int(i)) for v, i in zip(variant, index, strict=True)]
        missing = [k for k, row in enumerate(found) if row is None]
        step = self._inference.batch if self._inference is not None else 64
        for start in range(0, len(missing), step):
            part = missing[start : start + step]
            x = self._prepare(images[index[part]], index[part], variant=variant[part])
            y = x if self._inference is None else self._inference(x)
            for k, row in zip(part, y, strict=True):
                found[k] = row.copy()
                self._cache.put(int(variant[k]), int(index[k]), row)
        return found  # type: ignore[return-value]


def _check(row: Array) -> int:
    # 0 marks a row that was never written, so a check that happens to be 0 is stored as 1.
    return crc32(np.ascontiguousarray(row).data) or 1


def _mapped(path: Path, shape: tuple[int, ...], dtype: str) -> Array:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not path.exists() or path.stat().st_size != size:
        with path.open("wb") as file:
            file.truncate(size)
    return np.memmap(path, dtype, "r+", shape=shape)


def _make_room(root: Path, mine: Path, size: int) -> None:
    """Remove the least recently used caches until ``size`` more bytes stay within the bound."""
    others = [f for f in root.iterdir() if f.is_dir() and f != mine]
    used = {f: sum(p.stat().st_blocks * 512 for p in f.iterdir()) for f in others}
    total = sum(used.values()) + size
    for folder in sorted(others, key=lambda f: f.stat().st_mtime):
        if total <= MAX_BYTES:
            break
        shutil.rmtree(folder, ignore_errors=True)
        total -= used[folder]
