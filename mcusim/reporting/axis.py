"""The axis of a step: its ops, one after the other, and the phases they belong to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.core.vocabulary import Phase
from mcusim.events import EventTable
from mcusim.events.schema import CODES, ENUMERATED


def clock(events: EventTable) -> NDArray[np.float64]:
    """Return the time of each event in ops: what happens before op ``t`` happens at ``t``."""
    starts = events.event == CODES["event"]["op_start"]
    times: NDArray[np.float64] = np.cumsum(starts).astype(float) - starts
    return times


def phases(events: EventTable, clock: NDArray[np.float64]) -> list[tuple[float, float, str]]:
    """Return the runs of ops of one phase; backward and update ops alternate and count as one."""
    rows = np.flatnonzero(events.event == CODES["event"]["op_start"])
    runs: list[tuple[float, float, str]] = []
    for row in rows.tolist():
        phase = ENUMERATED["phase"][events.phase[row]]
        if phase == Phase.UPDATE:
            phase = str(Phase.BACKWARD)
        start = float(clock[row])
        if runs and runs[-1][2] == phase:
            runs[-1] = (runs[-1][0], start + 1, phase)
        else:
            runs.append((start, start + 1, phase))
    return runs
