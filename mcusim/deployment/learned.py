"""What a checkpoint holds, and whose it is."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from mcusim.core import Kind, Slot
from mcusim.graph import DTYPES
from mcusim.lowering.flash import copied_slots, in_columns
from mcusim.lowering.step import Step


def learned_slots(step: Step) -> dict[Slot, int]:
    """Return what a checkpoint holds, in order, and where in it each begins.

    Whole weights, also those of which only selected channels lie in SRAM. Kernels read float32 weights where
    they are in flash, so these come first: there they are aligned.
    """
    places, end = {}, 0
    for slot in sorted(copied_slots(step), key=lambda slot: not _read_in_flash(step, slot)):
        places[slot] = end
        end += learned_bytes(step, slot)
    return places


def learned_bytes(step: Step, slot: Slot) -> int:
    """Return the bytes of what a checkpoint holds of a slot: all of a weight."""
    if not in_columns(step, slot):
        return step.tensors[slot].bytes
    weight = step.model.op(slot.of).weight
    assert weight is not None
    return step.model.tensors[weight].elements * DTYPES[step.tensors[slot].dtype]


def _read_in_flash(step: Step, slot: Slot) -> bool:
    floats = step.tensors[slot].dtype == "float32"
    return in_columns(step, slot) and slot.kind is Kind.VALUE and floats


def identity(step: Step) -> int:
    """Return 32 bits that tell copies in flash of two networks apart, though both may be of one length.

    They follow from the constants as the network came, and from what of it a checkpoint holds.
    """
    found = crc32("\n".join(f"{slot} {learned_bytes(step, slot)}" for slot in learned_slots(step)).encode())
    for name, tensor in sorted(step.model.tensors.items()):
        if tensor.data is not None:
            found = crc32(np.ascontiguousarray(tensor.data).tobytes(), crc32(name.encode(), found))
    return found
