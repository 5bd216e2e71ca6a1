"""A device's whole time in whole nanoseconds, compiled, with its steady stretches added up, not run.

It is the device that ``mcusim/mcu/device.py`` runs event by event: the same events, and at one instant in
the same order, that in which they were scheduled. Three kinds of stretch are skipped:

* a step that ends in the state in which an earlier step since the last write-back ended: what happened in
  between happens again until the next write-back;
* a write-back due in the state in which an earlier one was due: the same, write-backs included;
* a core that never waits: if a step takes longer than the time between frames, and the other buffers
  bridge the longest wait for a frame and its transfer, a frame is caught after every step, at whatever
  moment. That needs no equal state, which clocks that drift may not reach in a day.

tests/mcu/test_mcu_device.py holds it against the simpy device, ties included.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.core.jit import njit

STEP, PERIOD, DURATION, DMA, BUFFERS, WRITE, EVERY, STALLS = range(8)
"""The scenario; times in nanoseconds."""

CAUGHT, STEPS, WRITES, ACTIVE, STALLED, BESIDE = range(6)
"""The totals, in the order of ``Totals``."""
NOW, ORDER, STOP, FREE, READY, PENDING, FLASH_UNTIL = range(6, 13)
FRAME, SENSOR, SENSOR_ORDER, BLOCKED, TOLD_FREE = range(13, 18)
CORE, CORE_ORDER, MODE, TOLD_FRAME = range(18, 22)
FREED, FREED_ORDER, CAME, CAME_ORDER = range(22, 26)
HEAD, MOVING = 26, 27
SIZE = 28
"""The state: when things happen next, each with its place in the order of scheduling."""

IDLE, STEPPING, WAITING, WRITING = range(4)
"""The core waits for a frame, computes, waits for the flash to be free, or while it is written."""
NEVER = 1 << 62

AGE, LIMIT, SIGNED = 0, 1, 2
"""A remembered state: how many states ago, when to remember a newer one (Brent), and what it is."""
TRIES = 64
"""How many steps before the last are looked at for one that ends in the state that skipping assumes."""


@njit(cache=True)
def _schedule(s: Any, time: int, order: int, now: int) -> None:
    s[time], s[order] = now, s[ORDER]
    s[ORDER] += 1


@njit(cache=True)
def _inside(p: Any, s: Any, duration: int) -> int:
    return int(min(duration, p[DURATION] - s[NOW]))


@njit(cache=True)
def _next_frame(p: Any, s: Any) -> None:
    if s[FRAME] * p[PERIOD] < p[DURATION]:
        _schedule(s, SENSOR, SENSOR_ORDER, s[FRAME] * p[PERIOD])
    else:
        s[SENSOR] = NEVER


@njit(cache=True)
def _frame(p: Any, s: Any, moving: Any) -> None:
    """A frame is there; the sensor blocks if there is no buffer for it."""
    if s[FREE] == 0:
        s[SENSOR], s[BLOCKED], s[TOLD_FREE] = NEVER, 1, 0
        return
    s[FREE] -= 1
    s[CAUGHT] += 1
    place = (s[HEAD] + s[MOVING]) % p[BUFFERS]
    moving[0, place], moving[1, place] = s[NOW] + p[DMA], s[ORDER]
    s[ORDER] += 1
    s[MOVING] += 1
    s[FRAME] += 1
    _next_frame(p, s)


@njit(cache=True)
def _arrived(p: Any, s: Any) -> None:
    """The oldest frame in transfer is in its buffer."""
    s[HEAD] = (s[HEAD] + 1) % p[BUFFERS]
    s[MOVING] -= 1
    s[READY] += 1
    if not s[TOLD_FRAME]:
        s[TOLD_FRAME] = 1
        _schedule(s, CAME, CAME_ORDER, s[NOW])


@njit(cache=True)
def _take(p: Any, s: Any) -> None:
    """The core starts on the next frame, or goes to sleep."""
    if s[READY] == 0:
        s[MODE], s[CORE], s[TOLD_FRAME] = IDLE, NEVER, 0
        return
    s[READY] -= 1
    s[ACTIVE] += _inside(p, s, p[STEP])
    s[MODE] = STEPPING
    _schedule(s, CORE, CORE_ORDER, s[NOW] + p[STEP])


@njit(cache=True)
def _write(p: Any, s: Any) -> None:
    """A write-back begins."""
    s[PENDING] = 0
    s[WRITES] += 1
    s[FLASH_UNTIL] = s[NOW] + p[WRITE]
    if p[STALLS]:
        s[STALLED] += _inside(p, s, p[WRITE])
        s[MODE] = WRITING
        _schedule(s, CORE, CORE_ORDER, s[NOW] + p[WRITE])
    else:
        s[BESIDE] += _inside(p, s, p[WRITE])
        _take(p, s)


@njit(cache=True)
def _step_ends(p: Any, s: Any) -> None:
    s[STEPS] += 1
    s[PENDING] += 1
    s[FREE] += 1
    if not s[TOLD_FREE]:
        s[TOLD_FREE] = 1
        if s[BLOCKED]:
            _schedule(s, FREED, FREED_ORDER, s[NOW])
        else:
            s[ORDER] += 1
    if s[PENDING] != p[EVERY]:
        _take(p, s)
    elif s[FLASH_UNTIL] > s[NOW]:
        s[STALLED] += _inside(p, s, s[FLASH_UNTIL] - s[NOW])
        s[MODE] = WAITING
        _schedule(s, CORE, CORE_ORDER, s[FLASH_UNTIL])
    else:
        _write(p, s)


@njit(cache=True)
def _skip_busy(p: Any, s: Any) -> None:
    """Skip steps of a core that never waits; each is followed by one frame that is caught."""
    step, period = p[STEP], p[PERIOD]
    bridged = step > period and (p[BUFFERS] - 1) * step > period + p[DMA]
    if not (bridged and s[BLOCKED] and s[READY] == p[BUFFERS] - 1):
        return
    count = (p[DURATION] - 1 - s[NOW]) // step
    if p[EVERY]:
        count = min(count, p[EVERY] - 1 - s[PENDING])
    for n in range(count, max(0, count - TRIES), -1):
        # Has the last frame caught arrived, and has the sensor met the next one in vain?
        end = s[NOW] + n * step
        caught = -(-(end - step) // period) * period
        if caught + max(period, p[DMA]) < end:
            s[NOW] = end
            s[CAUGHT] += n
            s[STEPS] += n
            s[PENDING] += n
            s[ACTIVE] += n * step
            return


@njit(cache=True)
def _sign(p: Any, s: Any, moving: Any, due: int, signature: Any) -> None:
    """Write down all that the future depends on, relative to now, but for the steps since a write-back."""
    now = s[NOW]
    signature[:] = 0
    signature[0], signature[1], signature[2] = now % p[PERIOD], s[FREE], s[READY]
    signature[3], signature[4], signature[5] = s[MOVING], s[BLOCKED], s[TOLD_FREE]
    signature[6] = s[SENSOR] - now if s[SENSOR] != NEVER else NEVER
    signature[7] = max(0, s[FLASH_UNTIL] - now) if due else 0
    for i in range(s[MOVING]):
        place = (s[HEAD] + i) % p[BUFFERS]
        signature[8] += moving[1, place] < s[SENSOR_ORDER]
        signature[9 + i] = moving[0, place] - now


@njit(cache=True)
def _skip_repeated(p: Any, s: Any, moving: Any, due: int, signature: Any, seen: Any, past: Any) -> None:
    """Skip what happened since an equal state, as often as it happens again before the end."""
    _sign(p, s, moving, due, signature)
    row, old = seen[due], past[due]
    if row[LIMIT] and (row[SIGNED:] == signature).all():
        span, added = s[NOW] - old[NOW], s[PENDING] - old[PENDING]
        times = (p[DURATION] - p[PERIOD] - 1 - due * p[WRITE] - s[NOW]) // span
        if p[EVERY] and not due:
            times = min(times, (p[EVERY] - 1 - s[PENDING]) // added)
        if times > 0:
            for total in range(6):
                s[total] += times * (s[total] - old[total])
            s[NOW] += times * span
            s[PENDING] += times * added
            s[FRAME] += times * span // p[PERIOD]
            s[FLASH_UNTIL] += times * span * due
            moving[0] += times * span
            if s[SENSOR] != NEVER:
                s[SENSOR] += times * span
            seen[:, LIMIT] = 0
        return
    row[AGE] += 1
    if row[AGE] >= row[LIMIT]:
        row[AGE], row[LIMIT] = 0, max(1, 2 * row[LIMIT])
        row[SIGNED:] = signature
        old[:] = s


@njit(cache=True)
def _earliest(s: Any, moving: Any) -> tuple[int, int, int]:
    """Return (time, order, its field) of the next event; ``MOVING`` for a frame that arrives."""
    time, order, field = s[SENSOR], s[SENSOR_ORDER], SENSOR
    for other in (CORE, FREED, CAME):
        if s[other] < time or (s[other] == time and s[other + 1] < order):
            time, order, field = s[other], s[other + 1], other
    if s[MOVING]:
        when, first = moving[0, s[HEAD]], moving[1, s[HEAD]]
        if when < time or (when == time and first < order):
            return when, first, MOVING
    return time, order, field


@njit(cache=True)
def run(p: Any) -> Any:
    """Return the totals of a scenario, in the order of ``Totals``.

    Args:
        p: the scenario, in the order of ``STEP`` to ``STALLS``, int64.
    """
    s = np.zeros(SIZE, np.int64)
    s[FREE], s[ORDER], s[STOP] = p[BUFFERS], 1, NEVER
    s[CORE] = s[FREED] = s[CAME] = NEVER
    moving = np.zeros((2, p[BUFFERS]), np.int64)  # frames in transfer: when they arrive, in which order
    signature = np.zeros(9 + p[BUFFERS], np.int64)
    seen = np.zeros((2, SIGNED + 9 + p[BUFFERS]), np.int64)
    past = np.zeros((2, SIZE), np.int64)
    while True:
        time, order, field = _earliest(s, moving)
        if time >= p[DURATION] and s[STOP] == NEVER:
            s[STOP] = s[ORDER]  # what is scheduled from now on does not happen
        if time > p[DURATION] or order >= s[STOP]:
            return s[: BESIDE + 1]
        s[NOW] = time
        if field == SENSOR:
            _frame(p, s, moving)
        elif field == MOVING:
            _arrived(p, s)
        elif field == FREED:
            s[FREED], s[BLOCKED] = NEVER, 0
            s[FRAME] = -(-time // p[PERIOD])
            _next_frame(p, s)
        elif field == CAME:
            s[CAME] = NEVER
            _take(p, s)
        elif s[MODE] == STEPPING:
            _skip_busy(p, s)
            due = 1 if s[PENDING] + 1 == p[EVERY] else 0
            _skip_repeated(p, s, moving, due, signature, seen, past)
            if s[PENDING] + 1 == p[EVERY]:
                seen[0, LIMIT] = 0
            _step_ends(p, s)
        elif s[MODE] == WAITING:
            _write(p, s)
        else:
            _take(p, s)
