"""Measured cycles of known work: what profiles are fitted to."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from mcusim.core import BadData, Work
from mcusim.core.boundary import reads
from mcusim.mcu.cycles.terms import COUNTS

LARGEST_FILE = 16 << 20
UNIT_TOLERANCE = 0.02
"""How far cycles and time x clock of one row may differ before the units are in doubt."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured run: an op, or a whole network."""

    name: str
    group: str
    """What is left out together in cross-validation: the network, or the layer."""
    chip: str
    core: str
    works: tuple[Work, ...]
    cycles: float
    stall_per_byte: float = 0.0
    """Cycles a byte of constants waits for the flash of that chip: wait states / bytes a fetch."""
    sram_stalls: float = 0.0
    """Cycles of the run spent waiting for SRAM: wait states of its regions, missed cache lines."""


@reads(BadData, "save it as CSV in UTF-8")
def read_measurements(
    path: Path, core: str, models: Mapping[str, tuple[Work, ...]] | None = None
) -> list[Measurement]:
    """Read a CSV of measurements.

    One row a measurement. Its work is either counted in the row (columns ``kind`` and any of the
    counts of ``Work``: ``macs``, ``outputs``, ``weight_bytes`` …) or named by a column ``model``, looked
    up in ``models``. Its cost is ``cycles``, or ``us`` and ``mhz``; with all three they must agree.
    Optional columns: ``name``, ``group``, ``chip``, ``core``, and what is a matter of the board and not
    of the kernels: ``wait_states`` with ``fetch_bytes`` of the flash, ``sram_stalls`` in cycles.

    Args:
        path: the CSV file.
        core: that was measured, for rows without a column ``core``.
        models: name of a network -> the work of its ops, for rows that name one.

    Raises:
        BadData: if the file is missing, has no such columns, or a row makes no sense; names the row.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadData(str(path), "is too large for a table of measurements", "is this the right file?")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise BadData(str(path), f"cannot be read: {error.strerror or error}", "check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadData(str(path), f"is not a CSV file: {error}", "save it as CSV in UTF-8") from error
    if not rows:
        raise BadData(str(path), "has no rows", "give one row a measurement")
    columns = set(rows[0])
    if "cycles" not in columns and not {"us", "mhz"} <= columns:
        raise BadData(str(path), "has neither a column cycles nor columns us and mhz", "add one of them")
    if not columns & {"kind", "model"}:
        raise BadData(
            str(path), "has neither a column kind nor a column model", "add kind and counts, or model"
        )
    return [_row(f"{path}, row {i}", row, core, models or {}) for i, row in enumerate(rows, start=2)]


def _row(
    where: str, row: dict[str, str | None], core: str, models: Mapping[str, tuple[Work, ...]]
) -> Measurement:
    if None in row or None in row.values():
        raise BadData(where, "has another number of fields than the header", "check the commas")
    works = _works(where, row, models)
    name = row.get("name") or row.get("model") or where.rpartition(", ")[2]
    stall = 0.0
    if row.get("wait_states") and row.get("fetch_bytes"):
        stall = _number(where, row, "wait_states", 64) / max(1.0, _number(where, row, "fetch_bytes", 256))
    return Measurement(
        name,
        row.get("group") or name,
        row.get("chip") or "",
        row.get("core") or core,
        works,
        _cycles(where, row),
        stall,
        _number(where, row, "sram_stalls", 1e15) if row.get("sram_stalls") else 0.0,
    )


def _works(
    where: str, row: dict[str, str | None], models: Mapping[str, tuple[Work, ...]]
) -> tuple[Work, ...]:
    if kind := row.get("kind"):
        counts = {c: round(_number(where, row, c, 1e15)) for c in COUNTS if row.get(c)}
        if not any(counts.values()):
            raise BadData(where, "counts no work", f"fill in some of {', '.join(COUNTS)}")
        return (Work(kind, **counts),)
    model = row.get("model") or ""
    if model not in models:
        raise BadData(
            where, f"model {model!r} was not counted", "give the path of a model file, or kind and counts"
        )
    return models[model]


def _cycles(where: str, row: dict[str, str | None]) -> float:
    from_time = None
    if row.get("us") and row.get("mhz"):
        mhz = _number(where, row, "mhz", 5000)
        from_time = _number(where, row, "us", 1e12) * mhz
    cycles = _number(where, row, "cycles", 1e15) if row.get("cycles") else from_time
    if cycles is None or cycles <= 0:
        raise BadData(where, "has no positive cycles, nor us and mhz", "fill them in")
    if from_time is not None and abs(from_time / cycles - 1) > UNIT_TOLERANCE:
        raise BadData(
            where,
            f"cycles is {cycles:,.0f} but us x mhz is {from_time:,.0f}",
            "us is microseconds and mhz is megahertz: check the units",
        )
    return cycles


def _number(where: str, row: dict[str, str | None], column: str, most: float) -> float:
    text = row[column] or ""
    try:
        value = float(text)
    except ValueError as error:
        raise BadData(where, f"{column} = {text!r} is not a number", "give a plain decimal number") from error
    if not isfinite(value) or value < 0 or value > most:
        raise BadData(
            where, f"{column} = {text} is not within 0 and {most:g}", "check the value and its unit"
        )
    return value
