"""What a checkpoint holds, and whose it is."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from mcusim.core import Kind, Slot
from mcusim.engine.state import parameter_slots
from mcusim.lowering.step import Step

LEARNED = (Kind.VALUE, Kind.RESIDUAL, Kind.MASTER)
"""Kinds of tensors that a checkpoint holds."""


def learned_slots(step: Step) -> list[Slot]:
    """Return the tensors that a checkpoint holds, in order."""
    known = (slot for op in step.model.ops for slot in parameter_slots(op.name))
    return [slot for slot in known if slot in step.tensors and slot.kind in LEARNED]


def identity(step: Step) -> int:
    """Return 32 bits that tell copies in flash of two networks apart, though both may be of one length.

    They follow from the constants as the network came, and from what of it a checkpoint holds.
    """
    found = crc32("\n".join(f"{slot} {step.tensors[slot].bytes}" for slot in learned_slots(step)).encode())
    for name, tensor in sorted(step.model.tensors.items()):
        if tensor.data is not None:
            found = crc32(np.ascontiguousarray(tensor.data).tobytes(), crc32(name.encode(), found))
    return found
