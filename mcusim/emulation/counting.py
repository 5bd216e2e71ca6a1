"""Counts executed instructions: a hook of the emulator in machine code, called once a block."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import carray, cfunc, types
from numpy.typing import NDArray

from mcusim.emulation.instructions import CLASSES, classified

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
        code_bytes: how many of them can be code.
        riscv: how instructions tell their length.
    """

    def __init__(self, emulator: Any, image: NDArray[np.uint8], code_bytes: int, *, riscv: bool) -> None:
        from unicorn import UC_HOOK_BLOCK
        from unicorn.unicorn_py3 import unicorn

        self._image, self._riscv = image, riscv
        self._rows = np.zeros(_LENGTH, np.int64)
        self._used = code_bytes + 1 >> 1
        self._classes = np.zeros((self._used, len(CLASSES)), np.int64)
        self._known = np.zeros(self._used, np.bool_)
        self._handle = ctypes.c_size_t()
        status = unicorn.uclib.uc_hook_add(
            emulator._uch, ctypes.byref(self._handle), ctypes.c_int(UC_HOOK_BLOCK),
            ctypes.cast(_on_block.address, ctypes.c_void_p), ctypes.c_void_p(self._rows.ctypes.data),
            ctypes.c_uint64(1), ctypes.c_uint64(0),
        )  # fmt: skip
        assert status == 0, status

    def by_class(self) -> NDArray[np.int64]:
        """Return the instructions executed so far, one number for each of ``CLASSES``."""
        pairs = self._rows[:-1].reshape(-1, 2)[: self._used]
        met = np.flatnonzero(pairs[:, 0])
        for at in met[~self._known[met]]:
            place, size = 2 * int(at), int(pairs[at, 1])
            self._classes[at] = classified(self._image, place, size, riscv=self._riscv)
            self._known[at] = True
        found: NDArray[np.int64] = pairs[met, 0] @ self._classes[met]
        return found

    @property
    def trusted(self) -> bool:
        """False if a block changed its length while counting."""
        return not self._rows[-1]
