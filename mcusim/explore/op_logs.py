"""Logs of times by op, as tools print them, and the ops of a network that they belong to."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcusim.core import BadArgument, BadData
from mcusim.core.boundary import reads
from mcusim.core.wording import choice
from mcusim.graph import Model, Op
from mcusim.graph.traits import Family
from mcusim.lowering.work import forward_work
from mcusim.mcu.cycles.measurement import LARGEST_FILE, Measurement

UNITS = {"cycles": 0.0, "us": 1.0, "ms": 1000.0, "s": 1e6}
"""Microseconds in a unit; cycles need no clock."""
ALSO = {
    "conv_2d": ("conv", "convolution", "conv2d", "nl_conv"),
    "depthwise_conv_2d": ("depthwise", "dw"),
    "fully_connected": ("linear", "dense", "gemm", "addmm", "matmul"),
    "average_pool_2d": ("avg_pool", "pool", "averagepool"),
    "max_pool_2d": ("maxpool", "pool"),
    "mean": ("pool", "avg_pool", "reduce_mean"),
    "add": ("eltwise", "elementwise_add"),
    "softmax": ("nl", "sm"),
}  # fmt: skip
"""What tools call an op beside its name in TFLite."""
FUSED = frozenset({"pad", "quantize", "dequantize", "relu", "relu6", "softmax", "add"})
"""Ops that a log may lack, because a compiler merges them into their neighbours; views too."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a log: what ran, and for how long."""

    name: str
    value: float
    unit: str
    """Of ``UNITS``; empty where the log does not say."""


def _csv(text: str) -> Iterator[Entry]:
    """TFLite Micro's ``LogCsv`` and ``LogTicksPerTagCsv``, ETDump's table, or any with such columns."""
    lines = text.splitlines()
    wanted = re.compile(r'^"?(event|#|op|layer|node|tag|event_block_name)"?\s*,', re.IGNORECASE)
    start = next((i for i, line in enumerate(lines) if wanted.match(line)), None)
    if start is None:
        return
    rows = csv.DictReader(lines[start:], skipinitialspace=True)
    columns = {str(c).strip().lower(): c for c in rows.fieldnames or ()}
    name = next(
        (columns[c] for c in ("event_name", "tag", "op", "name", "kind", "layer") if c in columns), None
    )
    units = {"avg (ms)": "ms", "p50 (ms)": "ms", "cycles": "cycles", "ticks": "", "us": "us", "ms": "ms"}
    cost = next((c for c in units if c in columns), None)
    if name is None or cost is None:
        return
    for row in rows:
        tag, value = (row.get(name) or "").strip(), (row.get(columns[cost]) or "").strip()
        if tag and value and not tag.lower().startswith(("total", "method", "program", "load")):
            yield Entry(tag, _number(tag, value), units[cost])


def _took(text: str) -> Iterator[Entry]:
    """TFLite Micro's ``Log``: CONV_2D took 12345 ticks (12 ms)."""
    for name, value in re.findall(r"^\s*(\w+) took (-?[\d.]+) ticks", text, re.MULTILINE):
        yield Entry(name, _number(name, value), "")


def _validation(text: str) -> Iterator[Entry]:
    """X-CUBE-AI's report of a validation on a device: c_id, m_id, description (0x103), shape, ms, percent."""
    line = re.compile(
        r"^\s*\d+\s+\d+\s+(.+?)\s*\(0x[0-9a-fA-F]+\).*?\s(-?\d+\.\d+)\s+\d+\.\d+\s*%", re.MULTILINE
    )
    for name, value in line.findall(text):
        yield Entry(name, _number(name, value), "ms")


def _counted(text: str) -> Iterator[Entry]:
    """A line an op that ends with its cycles: what firmware prints of DWT, and tables of GVSoC or Renode."""
    line = re.compile(
        r"^\s*(?:\[?\d+\]?[\s:]+)?([A-Za-z_][\w./:-]*)[\s:=|,]+(-?[\d_]+)\s*cycles\b", re.MULTILINE
    )
    for name, value in line.findall(text):
        tag = name.rstrip(":")
        yield Entry(tag, _number(tag, value.replace("_", "")), "cycles")


READERS: dict[str, Callable[[str], Iterator[Entry]]] = {
    "a table in CSV": _csv,
    "TFLite Micro's profiler": _took,
    "an X-CUBE-AI validation": _validation,
    "cycles by op": _counted,
}


def _number(name: str, value: str) -> float:
    try:
        found = float(value)
    except ValueError as error:
        raise BadData(
            f"the log's {name}", f"{value!r} is no number", "give a plain decimal number"
        ) from error
    if not 0 < found < 1e15:
        raise BadData(
            f"the log's {name}", f"took {value}", "times are above zero: is the counter read wrongly?"
        )
    return found


@reads(BadData, "save it as text in UTF-8")
def read_log(path: Path) -> tuple[str, list[Entry]]:
    """Return what kind of log a file is, and its entries.

    Raises:
        BadData: if the file cannot be read, or no reader finds an op in it; names what was tried.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadData(str(path), "is too large for a log of ops", "is this the right file?")
        text = path.read_text("utf-8")
    except OSError as error:
        raise BadData(str(path), f"cannot be read: {error.strerror or error}", "check the path") from error
    except UnicodeDecodeError as error:
        raise BadData(str(path), f"is not text: {error}", "save it as text in UTF-8") from error
    for kind, reader in READERS.items():
        if entries := list(reader(text)):
            return kind, entries
    raise BadData(
        str(path), f"holds no times of ops; tried {', '.join(READERS)}", "see mcusim calibrate --help"
    )


def measurements_of(
    path: Path, model: Model, core: str, *, mhz: float | None = None, unit: str = ""
) -> list[Measurement]:
    """Return the measurements of a log, each with the work of the op it belongs to.

    Ops are matched in order by their kinds. Views, and ops that compilers merge into their neighbours, may
    be missing from the log.

    Args:
        path: of the log.
        model: the network that ran.
        core: that was measured.
        mhz: clock of the core, for logs of times.
        unit: of the log, where it does not say: one of ``UNITS``.

    Raises:
        BadData: as ``read_log``, or if the log is of another network; says where they part.
        BadArgument: if the clock is missing or the unit unknown.
    """
    if unit and unit not in UNITS:
        raise BadArgument(f"unit {unit}", "is unknown", f"one of {', '.join(UNITS)}")
    kind, entries = read_log(path)
    found = []
    for number, (entry, op) in enumerate(_matched(path, entries, model)):
        said = unit or entry.unit or "cycles"
        if said != "cycles" and mhz is None:
            raise BadArgument(
                f"{path}, {kind}", f"is in {said}", f"give the clock of the core with {choice('mhz')}"
            )
        cycles = entry.value * (1.0 if said == "cycles" else UNITS[said] * (mhz or 0.0))
        name = f"{number} {op.kind} {entry.name}"
        found.append(Measurement(name, name, "", core, (forward_work(op, model.tensors),), cycles))
    return found


def _matched(path: Path, entries: Sequence[Entry], model: Model) -> list[tuple[Entry, Op]]:
    """Pair the entries of a log with ops, in order; entries of views are left out."""
    pairs: list[tuple[Entry, Op]] = []
    at = 0
    for number, entry in enumerate(entries):
        here = at
        while here < len(model.ops) and not _same(entry.name, model.ops[here]):
            if not _may_lack(model.ops[here]):
                break
            here += 1
        if here == len(model.ops) or not _same(entry.name, model.ops[here]):
            wanted = (
                f"the network has {model.ops[here].kind}" if here < len(model.ops) else "the network ends"
            )
            raise BadData(
                str(path), f"op {number} is {entry.name} where {wanted}: they part there",
                "is it a log of this network?",
            )  # fmt: skip
        op = model.ops[here]
        at = here + 1
        if op.traits.family is not Family.VIEW:
            pairs.append((entry, op))
    left = [op for op in model.ops[at:] if not _may_lack(op)]
    if left:
        count = "1 op" if len(entries) == 1 else f"{len(entries)} ops"
        raise BadData(
            str(path), f"ends after {count}, and the network goes on with {left[0].kind}", "is the log whole?"
        )
    return pairs


def _may_lack(op: Op) -> bool:
    return op.traits.family is Family.VIEW or str(op.kind) in FUSED


def _same(tag: str, op: Op) -> bool:
    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower())

    kind, found = str(op.kind), plain(tag)
    if plain(kind) in found or found in plain(kind):
        return "depthwise" not in found or kind.startswith("depthwise")
    if kind == "conv_2d" and "depthwise" in found:
        return False
    return any(plain(word) in found for word in ALSO.get(kind, ()))
