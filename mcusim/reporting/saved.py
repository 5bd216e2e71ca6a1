"""A run that lies in a folder, read back as far as a page needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcusim.core import BadRun, McusimError
from mcusim.core.boundary import reading, reads
from mcusim.planning.plan import Plan
from mcusim.planning.settings import Decided, Settings
from mcusim.reporting.course import Course
from mcusim.reporting.subject import open_trace
from mcusim.sections.kinds import Facts, Headline, Section, duration
from mcusim.session.run import read_run
from mcusim.traces import Trace, TraceFile

MODEL = "model.npz"


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A saved run.

    Attributes:
        folder: where it lies.
        data: what its ``run.json`` says.
        course: how its training went.
        plan: the plan it ran in, made again from what the folder holds; ``None`` if that cannot be done.
        missing: why there is no plan.
        trace: what it recorded.
    """

    folder: Path
    data: Mapping[str, Any]
    course: Course
    plan: Plan | None
    missing: str
    trace: TraceFile | Trace

    @classmethod
    @reads(BadRun, "resume the run, which writes it anew")
    def open(cls, folder: str | Path) -> SavedRun:
        """Read a run.

        Raises:
            BadRun: if the folder is no run, is damaged, or was written by another version.
            BadTrace: if its trace is not there, or damaged.
        """
        folder = Path(folder)
        data = read_run(folder)
        course = Course.saved(folder, data)
        try:
            plan, missing = _planned(folder, data), ""
        except McusimError as error:
            plan, missing = None, str(error)
        if plan is not None and plan.peak_bytes != data["sram"]["peak_bytes"]:
            missing = (
                f"planned again, the step needs {plan.peak_bytes:,} B, and the run needed "
                f"{data['sram']['peak_bytes']:,} B: board, profile or program have changed"
            )
            plan = None
        return cls(folder, data, course, plan, missing, open_trace(folder))

    @property
    def title(self) -> str:
        """What it is about."""
        data = self.data
        return f"{data['model']} on {data['board']}, {data['task']}, update {data['update']}"

    def sections(self) -> list[Section]:
        """Return the outcome and the sizes of the run."""
        with reading(self.folder, BadRun, "resume the run, which writes it anew"):
            return self._sections()

    def _sections(self) -> list[Section]:
        data = self.data
        sram, flash, weights = data["sram"], data["flash"], data["weights"]
        rows = [
            ("examples", str(self.course.protocol)),
            ("SRAM", f"{sram['peak_bytes']:,} of {sram['budget_bytes']:,} B"),
            ("flash", f"{flash['total_bytes']:,} of {flash['capacity_bytes']:,} B"),
            ("learning", f"{weights['updated']:,} of {weights['conv_total']:,} convolution weights")
            if weights["conv_total"]
            else ("learning", f"{weights['updated']:,} weights"),
            ("formats", ", ".join(f"{part} {chosen}" for part, chosen in data["formats"].items())),
        ]
        if data["session"]["compute_s"] is not None:
            rows.append(("time on the device", duration(data["session"]["compute_s"]["value"])))
        return [Headline(self.title, self.course.outcome, self.course.improved), Facts(rows)]


def _planned(folder: Path, data: Mapping[str, Any]) -> Plan:
    """Return the plan of a run, from its network and its settings; what was learned changes no plan."""
    from mcusim.files.load import load
    from mcusim.mcu.board_files import board
    from mcusim.session.session import Session

    settings = Settings.fixed(Decided.from_dict(data["settings"]))
    return Session(load(folder / MODEL), board(data["board"]), settings=settings).plan(suggest=False)
