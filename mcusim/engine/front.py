"""The frozen front of the network: computed once per image and variant, kept, and used every epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.feature_cache import FeatureCache
from mcusim.engine.inference import Inference

Array = NDArray[Any]


class Front:
    """Gives what crosses from the frozen front to the learning tail, for any images of a split.

    Args:
        inference: the front, or ``None`` if nothing is frozen.
        prepare: gives what the front starts from.
        cache: what was computed before, on disk.
        memory: the same in memory, or ``None``.
        shorter: a front that the inference starts from, instead of what is prepared.
    """

    def __init__(
        self, inference: Inference | None, prepare: Any, cache: FeatureCache, *,
        memory: Memory | None = None, shorter: Front | None = None,
    ) -> None:  # fmt: skip
        self._inference, self._prepare, self._cache = inference, prepare, cache
        self._memory, self._shorter = memory, shorter

    def rows(self, images: Array, index: NDArray[np.int64], variant: NDArray[np.int64]) -> list[Array]:
        """Return the boundary of each image ``index[i]`` in ``variant[i]``, as it was kept where it was."""
        found = [self._known(int(v), int(i)) for v, i in zip(variant, index, strict=True)]
        missing = [k for k, row in enumerate(found) if row is None]
        step = self._inference.batch if self._inference is not None else 64
        for start in range(0, len(missing), step):
            part = missing[start : start + step]
            if self._shorter is None:
                x = self._prepare(images[index[part]], index[part], variant=variant[part])
            else:
                x = np.stack(self._shorter.rows(images, index[part], variant[part]))
            y = x if self._inference is None else self._inference(x)
            for k, row in zip(part, y, strict=True):
                found[k] = row.copy()
                self._cache.put(int(variant[k]), int(index[k]), row)
                if self._memory is not None:
                    self._memory.put(int(variant[k]), int(index[k]), row)
        return found  # type: ignore[return-value]

    def _known(self, variant: int, image: int) -> Array | None:
        if self._memory is None:
            return self._cache.get(variant, image)
        row = self._memory.get(variant, image)
        if row is None:
            row = self._cache.get(variant, image)
            if row is not None:
                self._memory.put(variant, image, row)
        return row


class Memory:
    """Rows in memory; the operating system gives room as they come.

    Args:
        variants, images: how many rows.
        shape, dtype: of one row.

    Raises:
        MemoryError: if there is no room for them.
    """

    def __init__(self, variants: int, images: int, shape: tuple[int, ...], dtype: str) -> None:
        self._rows = np.empty((variants, images, *shape), dtype)
        self._there = np.zeros((variants, images), np.bool_)
        self._read = self._rows.view()
        self._read.flags.writeable = False

    @property
    def bytes(self) -> int:
        """What all rows take."""
        return self._rows.nbytes

    def get(self, variant: int, image: int) -> Array | None:
        """Return a row, which nobody may write to, or ``None`` if it is missing."""
        return self._read[variant, image] if self._there[variant, image] else None

    def put(self, variant: int, image: int, row: Array) -> None:
        """Keep a row."""
        self._rows[variant, image] = row
        self._there[variant, image] = True


class Fronts:
    """Fronts that sessions of one process share, with what they gave for every image.

    Sessions of other seeds have the same front, and so have schemes that learn the same layers; the front of
    one that learns less goes on from the features of a shorter front. Nobody changes what is shared.

    Args:
        most_bytes: of features in memory. The least recently used make room; what is not kept here is read
            from disk, or computed again.
    """

    def __init__(self, most_bytes: int = 1024**3) -> None:
        self._most = most_bytes
        self._known: dict[str, tuple[int, Front, int]] = {}

    def get(self, key: str) -> Front | None:
        """Return the front with this digest, if there is one."""
        if key in self._known:
            self._known[key] = self._known.pop(key)  # used last
        return self._known[key][1] if key in self._known else None

    def shorter(self, ops: int, key: Callable[[int], str]) -> tuple[int, Front] | None:
        """Return the longest front of fewer than ``ops`` ops, and of how many.

        Args:
            ops: of the front that is wanted.
            key: gives the digest of its first so many.
        """
        for count in sorted({count for count, _, _ in self._known.values() if 0 < count < ops}, reverse=True):
            found = self._known.get(key(count))
            if found is not None:
                return count, found[1]
        return None

    def memory(
        self, variants: int, images: int, shape: tuple[int, ...], dtype: str
    ) -> Memory | None:  # fmt: skip
        """Return memory for features after the least recently used made room, or ``None`` if it is not."""
        size = variants * images * int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size > self._most:
            return None
        while self._known and sum(kept for *_, kept in self._known.values()) + size > self._most:
            del self._known[next(iter(self._known))]
        try:
            return Memory(variants, images, shape, dtype)
        except MemoryError:
            return None

    def add(self, key: str, ops: int, front: Front, memory: Memory | None) -> None:
        """Share a front of so many ops."""
        self._known[key] = ops, front, 0 if memory is None else memory.bytes
