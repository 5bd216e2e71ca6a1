"""A checkpoint: everything training needs to go on as if nothing had happened."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mcusim.core import BadRun
from mcusim.core.boundary import reading
from mcusim.core.checksum import BLANK, is_sound, seal
from mcusim.core.files import replacing
from mcusim.engine.state import Array, State
from mcusim.update.statistics import Statistics

VERSION = 4
FILE = "checkpoint.npz"
STATISTICS = "statistics/"
MARK = b"sha256 "
"""Begins the comment at the end of the archive."""
WAY_OUT = "restore the file, or train again with overwrite"
LONGER = (
    "a cosine spreads its rates over all epochs, so the steps that are done would have had others: resume "
    "with as many epochs as before, or train again with overwrite and schedule constant, which can grow"
)
MAX_BYTES = 2**31
"""No state of a network that trains on a microcontroller is larger than this."""


@dataclass(slots=True)
class Progress:
    """How far a run has come, with the sums of the epoch under way."""

    epoch: int = 0
    position: int = 0
    loss_sum: float = 0.0
    score_sum: float = 0.0
    cycle: int = 0
    before: list[float] = field(default_factory=list)
    """The metric before the first step, on the examples that are measured first; empty if there are none."""
    trace_position: list[int] | None = None
    largest: dict[str, int] = field(default_factory=dict)
    """Channels a layer in the plan with the highest peak so far."""
    coverage: dict[str, list[int]] = field(default_factory=dict)
    history: list[dict[str, int | float | None]] = field(default_factory=list)
    """The rows of ``history.csv``: loss and metric on the way, and at the end of every epoch."""

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The rows at the ends of epochs."""
        return [row for row in self.history if isinstance(row["epoch"], int)]


def save_checkpoint(
    path: Path, state: State, statistics: Statistics, progress: Progress, identity: dict[str, Any]
) -> None:
    """Write a checkpoint; the one before stays until the new one is whole.

    ``statistics`` are those the scheme selects by, ``identity`` is what must be the same for a resume:
    program, network, data, board, settings.

    Raises:
        SaveFailed: if the disk is full or the folder cannot be written.
    """
    meta = {
        "version": VERSION, "identity": identity, "iteration": state.iteration,
        "saturations": state.saturations, "peaks": state.peaks,
        "progress": {item.name: getattr(progress, item.name) for item in fields(progress)},
    }  # fmt: skip
    watched = {f"{STATISTICS}{name}": array for name, array in statistics.arrays().items()}
    entry = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), np.uint8)
    with replacing(path) as file:
        np.savez(file, **{"meta.json": entry}, **state.arrays, **watched)  # type: ignore[arg-type]
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = MARK + BLANK.encode()
        seal(file, MARK)


def load_checkpoint(path: Path, state: State, statistics: Statistics, identity: dict[str, Any]) -> Progress:
    """Put a checkpoint into ``state`` and ``statistics`` and return how far the run had come.

    Raises:
        BadRun: if the file is damaged, of another version, or of another run.
    """
    from pydantic import TypeAdapter

    arrays, meta = read_checkpoint(path)
    with reading(path, BadRun, WAY_OUT):
        differ = sorted(k for k in identity if identity[k] != meta["identity"].get(k))
        if differ:
            raise BadRun(
                str(path),
                f"belongs to a run with other {', '.join(differ)}",
                LONGER
                if differ == ["epochs", "schedule"]
                else "resume with what it was started with, or train again with overwrite",
            )
        if {*meta["progress"]} != {item.name for item in fields(Progress)}:
            raise ValueError("the progress has other entries")
        progress = TypeAdapter(Progress).validate_json(
            json.dumps(meta["progress"], allow_nan=False), strict=True
        )
        state.iteration, state.saturations = int(meta["iteration"]), int(meta["saturations"])
        if min(state.iteration, state.saturations) < 0:
            raise ValueError("a count is negative")
        state.peaks = {str(name): float(peak) for name, peak in meta["peaks"].items()}
        watched = {n.removeprefix(STATISTICS): arrays.pop(n) for n in [*arrays] if n.startswith(STATISTICS)}
        state.restore(arrays)
        statistics.restore(watched)
    return progress


def read_checkpoint(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the description of a checkpoint, checked for size and shape only."""
    with reading(path, BadRun, WAY_OUT):
        with zipfile.ZipFile(path) as archive:
            total = sum(i.file_size for i in archive.infolist())
        if total > MAX_BYTES:
            raise BadRun(str(path), f"unpacks to {total:,} bytes", "it is no checkpoint of this program")
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        meta = json.loads(arrays.pop("meta.json").tobytes())
        version = meta["version"]
        with path.open("rb") as file:
            sound = is_sound(file, MARK)
    if version != VERSION:
        raise BadRun(
            str(path), f"has version {version}, this program writes {VERSION}", "resume with that version"
        )
    if not sound:
        raise BadRun(str(path), "is damaged: its checksum is not that of its bytes", WAY_OUT)
    return arrays, meta
