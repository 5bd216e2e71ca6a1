"""Live bytes over the events of a trace, as arrays."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mcusim.core.vocabulary import Role
from mcusim.events import EventTable
from mcusim.events.schema import CODES

ALLOC: Final = CODES["event"]["alloc"]
FREE: Final = CODES["event"]["free"]
SHRINK: Final = CODES["event"]["shrink"]
YIELD: Final = CODES["event"]["yield"]
SRAM: Final = CODES["region"]["sram"]


def memory_rows(table: EventTable) -> NDArray[np.int64]:
    """Return the rows that bring, take or shrink a block of SRAM."""
    kinds = np.isin(table.event, (ALLOC, FREE, SHRINK, YIELD))
    rows: NDArray[np.int64] = np.flatnonzero(kinds & (table.region == SRAM))
    return rows


def changes(events: EventTable) -> NDArray[np.int64]:
    """Return by how many bytes each event changes what is live in SRAM; shape ``[events]``.

    The events must not contradict each other (``replay`` checks that). Blocks that were live before
    the first event count from the first event that names them.
    """
    rows = memory_rows(events)
    has = np.where(events.event[rows] == FREE, 0, events.bytes[rows])
    order = np.argsort(events.tensor[rows], kind="stable")
    had = np.zeros(len(rows), np.int64)
    same = np.flatnonzero(np.diff(events.tensor[rows][order]) == 0)
    had[order[same + 1]] = has[order[same]]
    delta = np.zeros(len(events), np.int64)
    delta[rows] = has - had
    return delta


def live_bytes(events: EventTable) -> NDArray[np.int64]:
    """Return the bytes live in SRAM after each event; shape ``[events]``."""
    total: NDArray[np.int64] = np.cumsum(changes(events))
    return total


def live_by_role(events: EventTable) -> dict[Role, NDArray[np.int64]]:
    """Return the live bytes of each role after each event, for roles that have any; shapes ``[events]``.

    A block keeps the role of its alloc.
    """
    delta = changes(events)
    codes = CODES["role"]
    result = {}
    for role in Role:
        mine = np.where(events.role == codes[role], delta, 0)
        if mine.any():
            result[role] = np.cumsum(mine)
    return result


def inside_ops(events: EventTable) -> NDArray[np.bool_]:
    """Return which events lie between the start of an op, inclusive, and its end; shape ``[events]``."""
    started = np.cumsum(events.event == CODES["event"]["op_start"])
    ended = np.cumsum(events.event == CODES["event"]["op_end"])
    inside: NDArray[np.bool_] = started > ended
    return inside
