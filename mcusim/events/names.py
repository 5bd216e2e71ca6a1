"""A vocabulary that grows as names turn up, and translates codes of other vocabularies into its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


class NameTable:
    """Names in order of first appearance; index 0 is the empty name."""

    def __init__(self, words: Sequence[str] = ("",)) -> None:
        self._index = {word: code for code, word in enumerate(words)}
        self._words = tuple(words)
        self.codes = lru_cache(maxsize=64)(self._codes)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def words(self) -> tuple[str, ...]:
        """All names so far."""
        if len(self._words) != len(self._index):
            self._words = tuple(self._index)
        return self._words

    def code(self, word: str) -> int:
        """Return the index of a name, adding it if it is new."""
        return self._index.setdefault(word, len(self._index))

    def _codes(self, words: tuple[str, ...]) -> NDArray[np.int32]:
        """Return for each code of the vocabulary ``words`` the code here; shape ``[len(words)]``."""
        return np.fromiter(map(self.code, words), np.int32, len(words))


def by_appearance(codes: NDArray[Any], size: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Renumber codes below ``size`` by first appearance; return them and the old code of each new one."""
    first = np.full(size, len(codes), np.int64)
    # Of several values for one index the last is kept, so going backwards keeps the first.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    used = np.argsort(first, kind="stable")[: int((first < len(codes)).sum())]
    renumbered = np.zeros(size, np.int32)
    renumbered[used] = np.arange(len(used), dtype=np.int32)
    return renumbered[codes], used
