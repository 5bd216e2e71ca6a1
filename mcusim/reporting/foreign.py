"""What other programs write about a heap: CSV of events, logs of an RTOS, memory snapshots of PyTorch."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mcusim.core.boundary import reads
from mcusim.core.errors import BadModel, BadTrace
from mcusim.core.legible import shortened
from mcusim.traces.heap_log import HeapLog
from mcusim.traces.store import Trace

MAX_FILE_BYTES = 256 * 2**20
ALLOCS, FREES = {"alloc", "malloc", "allocate", "new", "+", "a"}, {"free", "release", "delete", "-", "f"}
COLUMNS = {
    "event": ("event", "op", "action", "kind", "type"),
    "id": ("id", "name", "block", "tensor", "ptr", "address", "addr"),
    "bytes": ("bytes", "size"),
    "time": ("time", "order", "seq", "t"),
}
"""What a column of a CSV file may be called."""
FORM = "columns are event (alloc or free), id, bytes and if wanted time"
_LINE = re.compile(r"(?P<free>dealloc|free)|(?P<alloc>alloc)", re.IGNORECASE)
"""Inside names such as ``pvPortMalloc``, ``k_heap_alloc``, ``traceFREE``."""
_POINTER = re.compile(r"(?:mem|ptr|addr(?:ess)?|block|pv\w*)\s*[=:(]?\s*(0x[0-9a-fA-F]+)", re.IGNORECASE)
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_SIZE = re.compile(r"(?:bytes|size|len)\s*[=:(]?\s*(\d+)|\b(\d+)\s*(?:bytes|B)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")


def is_events(path: Path) -> bool:
    """True if a file begins as a CSV of allocs and frees does."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(4096).decode("utf-8", "replace")
    names = {cell.strip().lower() for cell in first.split(",")}
    return all(names & {*COLUMNS[column]} for column in ("event", "id", "bytes"))


def reader_of(path: Path) -> Callable[[str | Path], Trace] | None:
    """Return what reads a file of another program, by its suffix or first line; ``None`` for other files."""
    if path.is_file() and path.suffix.lower() in READERS:
        return READERS[path.suffix.lower()]
    return read_events if is_events(path) else None


@reads(BadTrace, FORM)
def read_events(path: str | Path) -> Trace:
    """Return a CSV file of allocs and frees as a trace.

    A row is an event: ``event`` (alloc or free), ``id``, ``bytes`` (of a free not needed), and if wanted
    ``time``, which never goes back. An id may come again once it was freed.

    Raises:
        BadTrace: with the row, if the file breaks any of this.
    """
    log, rows = HeapLog(str(path)), csv.reader(io.StringIO(_text(Path(path))), strict=True)
    header = [cell.strip().lower() for cell in next(rows, [])]
    place = {}
    for column, names in COLUMNS.items():
        found = [index for index, name in enumerate(header) if name in names]
        if len(found) > 1 or (not found and column != "time"):
            count = "no column" if not found else f"{len(found)} columns"
            raise BadTrace(f"{path} row 1", f"has {count} for {column}", FORM)
        place[column] = found[0] if found else -1
    last = None
    for row in rows:
        if not row:
            continue
        where = f"{path} row {rows.line_num}"
        if len(row) != len(header):
            raise BadTrace(where, f"has {len(row)} fields and the header {len(header)}", FORM)
        kind, key = row[place["event"]].strip().lower(), row[place["id"]].strip()
        if not key or kind not in ALLOCS | FREES:
            what = "no id" if not key else f"the event {shortened(kind)!r}"
            raise BadTrace(where, f"has {what}", "events are alloc and free, of an id")
        if place["time"] >= 0:
            time = _float(row[place["time"]], where)
            if last is not None and time < last:
                raise BadTrace(
                    where, f"goes back in time, to {time:g} after {last:g}", "sort the rows by time"
                )
            last = time
        if kind in ALLOCS:
            log.alloc(key, _size(row[place["bytes"]], where), where)
        else:
            log.free(key, where)
    return log.trace()


@reads(BadTrace, "a heap log has a line an alloc or free, with an address")
def read_rtos_log(path: str | Path) -> Trace:
    """Return a text log of a heap as a trace: of FreeRTOS' or Zephyr's hooks, as they are usually printed.

    A line counts that names an alloc or a free (``traceMALLOC``, ``pvPortMalloc``, ``k_heap_free`` …) and an
    address in hexadecimal; an alloc has its size beside it, in decimal. Other lines are left out.

    Raises:
        BadTrace: with the line, for a free of nothing, an address allocated twice, or an alloc without size.
    """
    log = HeapLog(str(path))
    for number, line in enumerate(_text(Path(path)).splitlines(), 1):
        verb, address = _LINE.search(line), _address(line)
        if verb is None or address is None:
            continue
        where = f"{path} line {number}"
        if verb["free"]:
            if address:  # free(NULL) does nothing
                log.free(f"{address:#x}", where)
            continue
        size = _SIZE.search(line)
        numbers = _NUMBER.findall(_HEX.sub(" ", line))
        if size is None and not numbers:
            raise BadTrace(where, "allocates without a size", "print the bytes beside the address")
        if address:  # an alloc that failed returned NULL
            count = int(next(filter(None, size.groups())) if size is not None else numbers[-1])
            log.alloc(f"{address:#x}", count, where, address=address)
    return log.trace()


def _address(line: str) -> int | None:
    named = _POINTER.search(line)
    found = [named[1]] if named else _HEX.findall(line)
    return int(found[-1], 16) if found else None


@reads(BadTrace, "PyTorch writes snapshots by torch.cuda.memory._dump_snapshot")
def read_snapshot(path: str | Path) -> Trace:
    """Return a memory snapshot of PyTorch, JSON or pickle, as a trace of the first device that has a history.

    Nothing of a pickle runs: numbers, texts and containers alone are read. Blocks that are freed without
    having been allocated were there before the history began, and live from its beginning.

    Raises:
        BadTrace: if it is damaged, no snapshot, or has no history.
    """
    data = _bytes(Path(path))
    if Path(path).suffix.lower() == ".json":
        found = json.loads(data)
    else:
        from mcusim.files.safe_pickle import load_pickle

        try:
            found = load_pickle(data, str(path))
        except BadModel as error:
            raise BadTrace(
                error.thing, error.reason, "only numbers, texts and containers are read"
            ) from error
    traces = found.get("device_traces") if isinstance(found, dict) else None
    events = next((t for t in traces if t), None) if isinstance(traces, list | tuple) else None
    if not events:
        raise BadTrace(
            str(path), "has no history of a device", "record one: torch.cuda.memory._record_memory_history"
        )
    return _of_history([_event(entry, str(path)) for entry in events], str(path))


def _event(entry: Any, where: str) -> tuple[str, int, int]:
    if not isinstance(entry, Mapping):
        raise BadTrace(where, "has an event that is none", "a snapshot of PyTorch has dictionaries there")
    action, address, size = (entry.get(name) for name in ("action", "addr", "size"))
    if not isinstance(action, str) or type(address) is not int or type(size) is not int:
        if isinstance(action, str) and not action.startswith(("alloc", "free")):
            return action, 0, 0
        raise BadTrace(where, "has an event without action, addr and size", "make the snapshot anew")
    return action, address, size


def _of_history(events: list[tuple[str, int, int]], path: str) -> Trace:
    log, known = HeapLog(path), set[int]()
    done = (
        "free_completed" if any(action == "free_completed" for action, _, _ in events) else "free_requested"
    )
    for action, address, size in events:  # what was there before
        if action == "alloc":
            known.add(address)
        elif action == done and address not in known:
            known.add(address)
            log.alloc(f"{address:#x}", size, path, address=address)
    for number, (action, address, size) in enumerate(events, 1):
        if action == "alloc":
            log.alloc(f"{address:#x}", size, f"{path} event {number}", address=address)
        elif action == done:
            log.free(f"{address:#x}", f"{path} event {number}")
    return log.trace()


READERS: dict[str, Callable[[str | Path], Trace]] = {
    ".log": read_rtos_log, ".txt": read_rtos_log,
    ".json": read_snapshot, ".pickle": read_snapshot, ".pkl": read_snapshot,
}  # fmt: skip


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BadTrace(str(path), f"is larger than {MAX_FILE_BYTES >> 20} MiB")
    return data


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTrace(str(path), f"is no text: byte {error.start} is not UTF-8") from error


def _size(text: str, where: str) -> int:
    if not re.fullmatch(r"\s*[0-9]{1,18}\s*", text):
        raise BadTrace(where, f"has {shortened(text)!r} as bytes", "write a whole number")
    return int(text)


def _float(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value:
        raise BadTrace(where, f"has {shortened(text)!r} as time", "write a number")
    return value
