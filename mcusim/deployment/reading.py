"""What a device has learned, out of its flash and back into a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mcusim.core import BadRun
from mcusim.deployment.learned import identity, learned_bytes, learned_slots
from mcusim.engine.state import State
from mcusim.graph import Model
from mcusim.lowering.flash import ITERATION_BYTES, LEARNED
from mcusim.mcu.flash.store import copy_in, header_bytes
from mcusim.planning.plan import Plan


def read_dump(path: Path) -> bytes:
    """Return the bytes of a dump.

    Raises:
        BadRun: if the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise BadRun(str(path), reason, "name a dump of the board's checkpoint area") from error


def learned_model(plan: Plan, dump: bytes) -> Model:
    """Return the network with what a device has learned.

    Args:
        plan: of the firmware that runs on the device.
        dump: its checkpoint area, both copies, or a single copy; the newest whole one counts.

    Raises:
        BadRun: if there is no whole copy in it, or it is one of another network, scheme or format.
    """
    step = plan.step
    area = next((i.bytes for i in plan.flash.items if i.name == "checkpoint A"), 0)
    found = [copy_in(dump[start:], header_bytes(plan.board)) for start in (0, area)]
    copies = [copy for copy in found if copy is not None]
    if not copies:
        raise BadRun(f"dump of {len(dump):,} bytes", "holds no whole copy", "read the whole checkpoint area")
    newest = max(copies, key=lambda copy: copy.sequence)
    payload = newest.payload
    slots = learned_slots(step)
    size = sum(learned_bytes(step, slot) for slot in slots) + ITERATION_BYTES
    if len(payload) != size:
        reason = f"holds a copy of {len(payload):,} bytes, and this firmware writes {size:,}"
        raise BadRun(f"dump of {len(dump):,} bytes", reason, "plan with the settings of that firmware")
    if newest.network != identity(step):
        reason = "holds a copy of another network, though of the same length"
        raise BadRun(f"dump of {len(dump):,} bytes", reason, "name the file that the firmware was made from")
    state = State.of(step.model, step.scope, step.formats)
    for slot, place in slots.items():
        if slot.kind in LEARNED:
            array = state.arrays[slot]
            array[...] = np.frombuffer(payload, array.dtype, array.size, place).reshape(array.shape)
    return state.trained()
