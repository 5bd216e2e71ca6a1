"""The flash of a twin: what the device has to have written there when a stage ends."""

from __future__ import annotations

import struct

import numpy as np

from mcusim.core import Slot
from mcusim.deployment.learned import learned_bytes, learned_slots
from mcusim.deployment.model_files import first_copy
from mcusim.deployment.tables import FirmwareTables
from mcusim.emulation.target_machine import TargetMachine
from mcusim.emulation.twin_run import FirstDifference
from mcusim.engine.state import State
from mcusim.events import EventKind, EventTable
from mcusim.mcu.flash.flash import ERASED
from mcusim.mcu.flash.store import head_of
from mcusim.planning.plan import Plan

RESULT = 76
"""Where the twin's box holds a result, and behind it the operations of flash since the last command."""


class FlashTwin:
    """The checkpoint area of a network whose weights learn in flash, as the engine's learning makes it.

    Args:
        plan: of the firmware.
        made: its tables.
        device: on which it runs.

    Attributes:
        write_backs: copies that were written.
        operations: of the device's flash, for them: a sector erased, or a unit programmed.
    """

    def __init__(self, plan: Plan, made: FirmwareTables, device: TargetMachine) -> None:
        self._plan, self._made, self._device = plan, made, device
        self._slots = learned_slots(plan.step)
        self._area = bytearray([ERASED]) * made.fields["area_bytes"]
        self._put(0, first_copy(made))
        self.write_backs = self.operations = 0
        self._due = False

    def begin(self) -> None:
        """Give the device the copy that comes with the model."""
        self._device.write(self._device.symbols["twin_flash"], bytes(self._area))

    def stage(self, began: EventTable | None, state: State) -> None:
        """Write what the events of a stage that has just begun say, with what was learned until then."""
        if began is None:
            return
        start = self._plan.flash.copies[0].start
        for event in began:
            if event.event == EventKind.FLASH_ERASE:
                self._put(event.offset - start, bytes([ERASED]) * event.bytes)
            if event.event == EventKind.FLASH_WRITE:
                payload, fields = self._payload(state), self._made.fields
                assert len(payload) == event.bytes
                self.write_backs += 1
                head = head_of(self.write_backs + 1, payload, fields["identity"])
                self._put(event.offset - start, head.ljust(fields["header_bytes"], bytes([ERASED])) + payload)
                self._due = True

    def compared(self, step: int) -> tuple[int, FirstDifference | None]:
        """Return how many bytes of the area were compared after a step, and the first that differs."""
        if not self._due:  # no stage has begun in it
            return 0, None
        self._due, device = False, self._device
        self.operations += struct.unpack("<I", device.read(device.symbols["twin_box"] + RESULT + 4, 4))[0]
        start = device.symbols["twin_flash"]
        theirs = np.frombuffer(device.read(start, len(self._area)), np.uint8)
        mine = np.frombuffer(bytes(self._area), np.uint8)
        wrong = np.flatnonzero(mine != theirs)
        if not wrong.size:
            return mine.size, None
        at = int(wrong[0])
        return mine.size, FirstDifference(
            step, self._made.calls[0][0], "checkpoint area", at, float(mine[at]), float(theirs[at]),
            start + at, "the write-back", wrong.size,
        )  # fmt: skip

    def _put(self, at: int, data: bytes) -> None:
        self._area[at : at + len(data)] = data

    def _payload(self, state: State) -> bytes:
        """Return what a copy holds: whole parameters, and the steps done."""
        whole = b"".join(self._whole(state, slot) for slot in self._slots)
        return whole + struct.pack("<Q", state.iteration)

    def _whole(self, state: State, slot: Slot) -> bytes:
        size = learned_bytes(self._plan.step, slot)
        data = state.arrays[slot].tobytes() if slot in state.arrays else bytes(size)
        assert len(data) == size
        return data
