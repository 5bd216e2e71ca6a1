"""Counts executed instructions: a hook of the emulator in machine code, called once a block."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import carray, cfunc, types
from numpy.typing import NDArray

FLASH_BYTES = 1 << 23
SLOTS = FLASH_BYTES >> 1
"""One a halfword of flash: every instruction begins at one."""
_SIGNATURE = types.void(types.voidptr, types.uint64, types.uint32, types.voidptr)
_LENGTH = 2 * SLOTS + 1


@cfunc(_SIGNATURE, nopython=True)
def _on_block(uc, address, size, user):  # type: ignore[no-untyped-def]
    rows = carray(user, (_LENGTH,), np.int64)
    at = np.int64(address >> np.uint64(1)) & (SLOTS - 1)
    rows[2 * at] += 1
    if rows[2 * at + 1] != size:
        # The emulator has translated this block anew: a count of the other length is not to be trusted.
        if rows[2 * at + 1] != 0:
            rows[_LENGTH - 1] += 1
        rows[2 * at + 1] = size


class InstructionCount:
    """Executed instructions, from how often each block of code was entered.

    Args:
        emulator: unicorn's.
        image: the bytes of flash.
        riscv: how instructions tell their length.
    """

    def __init__(self, emulator: Any, image: NDArray[np.uint8], *, riscv: bool) -> None:
        from unicorn import UC_HOOK_BLOCK
        from unicorn.unicorn_py3 import unicorn

        self._image, self._riscv = image, riscv
        self._rows = np.zeros(_LENGTH, np.int64)
        self._lengths = np.zeros(SLOTS, np.int64)
        self._handle = ctypes.c_size_t()
        status = unicorn.uclib.uc_hook_add(
            emulator._uch, ctypes.byref(self._handle), ctypes.c_int(UC_HOOK_BLOCK),
            ctypes.cast(_on_block.address, ctypes.c_void_p), ctypes.c_void_p(self._rows.ctypes.data),
            ctypes.c_uint64(1), ctypes.c_uint64(0),
        )  # fmt: skip
        assert status == 0, status

    def total(self) -> int:
        """Return the instructions executed so far."""
        pairs = self._rows[:-1].reshape(-1, 2)[: len(self._image) >> 1]
        met = np.flatnonzero(pairs[:, 0])
        for at in met[self._lengths[met] == 0]:
            self._lengths[at] = self._instructions(2 * int(at), int(pairs[at, 1]))
        return int((pairs[met, 0] * self._lengths[met]).sum())

    @property
    def trusted(self) -> bool:
        """False if a block changed its length while counting."""
        return not self._rows[-1]

    def _instructions(self, start: int, size: int) -> int:
        count, at = 0, start
        while at < start + size:
            low, high = self._image[at], self._image[at + 1]
            wide = low & 3 == 3 if self._riscv else high >> 3 in (0b11101, 0b11110, 0b11111)
            at += 4 if wide else 2
            count += 1
        return count
