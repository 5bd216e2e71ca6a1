"""What a training session leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import BadRun, Role
from mcusim.core.boundary import reads
from mcusim.core.checksum import BLANK, is_sound, seal
from mcusim.core.files import replacing
from mcusim.core.wording import choice
from mcusim.events import EventTable
from mcusim.graph import Model
from mcusim.planning.cost import SessionCost
from mcusim.planning.facts import step_time
from mcusim.planning.plan import Plan
from mcusim.sections.kinds import Curve, Facts, Headline, Section, Series
from mcusim.sections.shown import Shown
from mcusim.session.health import overflow_facts, saturated_share, saturation_facts
from mcusim.session.history import History
from mcusim.session.protocol import Protocol
from mcusim.tasks.metric import Metric
from mcusim.traces.explanation import Explanation

if TYPE_CHECKING:
    import pandas as pd

    from mcusim.mcu.timeline.timeline import Timeline

VERSION = 2
MARK = b'"sha256": "'
"""What stands before the checksum; inside a text of JSON there would be backslashes."""
TRACE = "trace.parquet"
RESULT = "run.json"
RESULTS = ("history.csv", "operations.csv", "model.npz", RESULT, TRACE)
"""What a finished run leaves, in the order in which it is written."""


@dataclass(frozen=True, slots=True)
class RunMemory(Shown):
    """The SRAM account of a run. All figures are exact counts."""

    plan: Plan

    @property
    def peak_bytes(self) -> int:
        """Bytes of SRAM used, holes of the placement included."""
        return self.plan.peak_bytes

    @property
    def by_role(self) -> dict[Role, int]:
        """Bytes of each role at the fullest moment."""
        return self.plan.by_role

    @property
    def table(self) -> pd.DataFrame:
        """Bytes of each role at the fullest moment, as a table."""
        return self.plan.table

    def explain(self) -> Explanation:
        """Say when the peak is, what it is made of, and what would lower it."""
        return self.plan.explain()

    def sections(self) -> list[Section]:
        """Return those of the plan."""
        return self.plan.sections()


@dataclass(eq=False, repr=False)
class Run(Shown):
    """The result of ``Session.train``.

    Attributes:
        plan: the placement it ran in.
        model: the trained network.
        rows: one row an epoch: loss, the metric on training and test examples, learning rate, saturations,
            coverage.
        curve: the same with rows within each epoch, which lack what is measured at its end.
        metric: what the task is measured by: name, unit, and whether higher is better.
        metric_before, metric_after: its value on the examples that ``protocol`` reports, the test examples
            unless they are never looked at; an accuracy is in 0..1.
        protocol: which examples there are, and when the test examples are looked at.
        steps: batch-1 training steps done.
        trace: events of the recorded steps.
        cost: time, energy and write-backs of the whole session on its device; modelled.
        images_per_s: how fast the host was; no part of what is saved.
        identity: what the result rests on: version and code of the program, digests of network, data, board
            and cycle profile, and every choice.
        out: the folder it was saved in, if any.
    """

    plan: Plan
    model: Model
    rows: list[dict[str, Any]]
    metric: Metric
    metric_before: float
    metric_after: float
    protocol: Protocol
    steps: int
    trace: EventTable
    cost: SessionCost
    saturations: int = 0
    images_per_s: float = field(default=0.0, repr=False)
    identity: dict[str, Any] = field(default_factory=dict, repr=False)
    curve: list[dict[str, Any]] = field(default_factory=list, repr=False)
    out: Path | None = None
    streamed: bool = field(default=False, repr=False)
    """True if the trace of every step went to ``out`` while training."""

    @property
    def memory(self) -> RunMemory:
        """The SRAM account."""
        return RunMemory(self.plan)

    @property
    def peak_bytes(self) -> int:
        """Bytes of SRAM used."""
        return self.plan.peak_bytes

    @property
    def saturated_share(self) -> float:
        """Which part of the values of integer error tensors was cut off."""
        return saturated_share(self.plan.step, self.saturations, self.steps)

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch."""
        import pandas as pd

        return pd.DataFrame(self.rows).set_index("epoch") if self.rows else pd.DataFrame()

    @property
    def operations(self) -> pd.DataFrame:
        """One row an op of the step: work, live bytes, cycles."""
        return self.plan.operations

    def timeline(self, **options: Any) -> Timeline:
        """Simulate hours of frames, steps and write-backs; see ``mcusim.planning.timeline.timeline``."""
        from mcusim.planning.timeline import timeline

        return timeline(self.plan, **options)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: the plan's, and what training gave."""
        return {
            **self.plan.as_dict(),
            "metric": {
                **self.metric.as_dict(),
                "before": self.metric_before,
                "after": self.metric_after,
            },
            "examples": self.protocol.as_dict(),
            "steps": self.steps,
            "session": self.cost.as_dict(),
            "saturations": self.saturations,
            "saturated_share": self.saturated_share,
            "out": None if self.out is None else str(self.out),
        }

    def save(self, folder: str | Path) -> Path:
        """Write ``history.csv``, ``operations.csv``, ``model.npz``, ``run.json`` and ``trace.parquet``.

        In this order, so that the trace, the largest and least needed, cannot keep the others from the disk.

        Raises:
            SaveFailed: if the disk is full or the folder cannot be written; no file is left half-written.
        """
        from mcusim.files.npz import save
        from mcusim.traces.store import Trace

        folder = Path(folder)
        History(folder, self.curve[0], self.curve).close()
        with replacing(folder / "operations.csv") as file:
            file.write(self.operations.to_csv(index=False).encode())
        save(self.model, folder / "model.npz")
        data = {
            "version": VERSION, "sha256": BLANK, **self.as_dict(), "out": None,
            "settings": self.plan.settings.as_dict(), "history": self.rows, "identity": self.identity,
        }  # fmt: skip
        with replacing(folder / "run.json") as file:
            file.write(json.dumps(data, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")
            file.flush()
            seal(file, MARK)
        if not self.streamed:
            Trace(self.plan.header, self.trace).save(folder / TRACE)
        self.out = folder
        return folder

    def __repr__(self) -> str:
        return f"<Run {self.plan.title}: {self.outcome}>"

    @property
    def outcome(self) -> str:
        """What training changed, in one line."""
        metric = self.metric
        before, after = metric.text(self.metric_before), metric.text(self.metric_after)
        where = "" if self.protocol.reported == "test" else f" ({self.protocol.reported} examples)"
        return f"{metric.name} {before} before, {after} after {self.steps:,} steps{where}"

    def sections(self) -> list[Section]:
        """Return the outcome, what the peak is made of, and what the session would cost its device."""
        found: list[Section] = [
            Headline(
                self.plan.title, self.outcome, self.metric.improved(self.metric_before, self.metric_after)
            ),
            self.plan.sram_shares(),
            Facts(self._facts()),
        ]
        if len(self.rows) > 1:
            found.append(Series("history", "epochs", self._curves()))
        return found

    def _facts(self) -> list[tuple[str, str]]:
        estimate = self.plan.estimate
        rows = [
            ("examples", str(self.protocol)),
            ("SRAM", self.plan.verdict),
            ("time a step", step_time(estimate, self.plan.board)),
        ]
        rows += [*saturation_facts(self.saturated_share), *overflow_facts(self.model), *self.cost.facts()]
        if self.images_per_s:
            times = "" if estimate is None else (
                f", {self.images_per_s * estimate.seconds:,.0f} times faster than the device"
            )  # fmt: skip
            rows.append(("simulated", f"{self.images_per_s:,.0f} images/s on this computer{times}"))
        return rows

    def _curves(self) -> list[Curve]:
        parts = ("train", *self.protocol.parts)
        units = dict.fromkeys((f"{part}_{self.metric.key}" for part in parts), self.metric.unit)
        names = [name for name in self.rows[0] if name != "epoch"]
        return [
            Curve(name.replace("_", " "), [float(row[name]) for row in self.rows], units.get(name, ""))
            for name in names
        ]


def is_whole(folder: Path) -> bool:
    """Return True if everything that a finished run leaves is there, and ``run.json`` is sound."""
    if not all((folder / name).is_file() for name in RESULTS):
        return False
    try:
        read_run(folder)
    except BadRun:
        return False
    return True


@reads(BadRun, "resume the run, which writes it anew")
def read_run(folder: str | Path) -> dict[str, Any]:
    """Return what ``run.json`` of a saved run says.

    Args:
        folder: that a training wrote (``out``).

    Raises:
        BadRun: if the folder is no run, is damaged, or was written by another version.
    """
    path = Path(folder) / "run.json"
    way_out = "resume the run, which writes it anew"
    try:
        with path.open("rb") as file:
            text = file.read()
            sound = is_sound(file, MARK)
        data = json.loads(text)
        version = data["version"]
    except FileNotFoundError:
        raise BadRun(
            str(folder), "has no run.json", f"give the folder that a training wrote with {choice('out')}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadRun(str(path), f"is damaged ({error})", way_out) from error
    if version != VERSION:
        raise BadRun(
            str(path), f"was written by another version ({version})", f"this program reads version {VERSION}"
        )
    if not sound:
        raise BadRun(str(path), "is damaged: its checksum is not that of its bytes", way_out)
    return dict(data)
