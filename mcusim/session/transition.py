"""The events at the beginning of a stage."""

from __future__ import annotations

from mcusim.core import Kind, Phase, Region, Role, Slot
from mcusim.events import EventKind, EventTable, TableBuilder
from mcusim.lowering.flash import checkpoint_bytes
from mcusim.lowering.residency import Residency
from mcusim.planning.plan import Plan
from mcusim.update.selection import Selection


def transition(plan: Plan, stage: int, selection: Selection) -> EventTable:
    """Return what happens before the first step of a stage.

    With weights resident in flash the channels that learned are written back first: the older of the
    two checkpoint copies is erased and written. Then one event a layer tells how many channels were
    selected, as the bytes of their numbers.
    """
    events = TableBuilder()
    if stage and plan.step.residency is Residency.FLASH:
        copies = [item for item in plan.flash.items if item.role is Role.CHECKPOINT]
        if copies:
            target = copies[stage % len(copies)]
            for kind, count in (
                (EventKind.FLASH_ERASE, target.bytes),
                (EventKind.FLASH_WRITE, checkpoint_bytes(plan.step)),
            ):
                events.add(
                    kind, phase=Phase.STORE, region=Region.FLASH, role=Role.CHECKPOINT, tensor=target.name,
                    op="write-back", offset=target.offset, bytes=count,
                )  # fmt: skip
    for name, channels in selection.channels.items():
        events.add(
            EventKind.SELECT, phase=Phase.UPDATE, region=Region.SRAM, role=Role.WEIGHT,
            tensor=Slot(name, Kind.CHANNELS), op=name, bytes=2 * len(channels),
        )  # fmt: skip
    return events.build()
