"""What a training session leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import BadRun, Role
from mcusim.core.files import replacing
from mcusim.events import EventTable
from mcusim.graph import Model
from mcusim.planning.cost import SessionCost
from mcusim.planning.facts import cost_html, cost_text, html, title
from mcusim.planning.plan import Plan
from mcusim.session.run_facts import outcome
from mcusim.traces.explanation import Explanation

if TYPE_CHECKING:
    import pandas as pd

    from mcusim.mcu.timeline.timeline import Timeline

VERSION = 1
TRACE = "trace.parquet"


@dataclass(frozen=True, slots=True)
class RunMemory:
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

    def __str__(self) -> str:
        return str(self.plan)


@dataclass(eq=False, repr=False)
class Run:
    """The result of ``Session.train``.

    Attributes:
        plan: the placement it ran in.
        model: the trained network.
        rows: one row an epoch: loss, accuracies, learning rate, saturations, coverage.
        accuracy_before, accuracy_after: on the test images, in 0..1 (for a regression: mean squared
            error).
        steps: batch-1 training steps done.
        trace: events of the recorded steps.
        cost: time, energy and write-backs of the whole session on its device; modelled.
        images_per_s: how fast the host was; no part of what is saved.
        out: the folder it was saved in, if any.
    """

    plan: Plan
    model: Model
    rows: list[dict[str, Any]]
    accuracy_before: float
    accuracy_after: float
    steps: int
    trace: EventTable
    cost: SessionCost
    saturations: int = 0
    images_per_s: float = field(default=0.0, repr=False)
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
            "accuracy": {"before": self.accuracy_before, "after": self.accuracy_after},
            "steps": self.steps,
            "session": self.cost.as_dict(),
            "saturations": self.saturations,
            "out": None if self.out is None else str(self.out),
        }

    def save(self, folder: str | Path) -> Path:
        """Write ``run.json``, ``history.csv``, ``operations.csv``, ``trace.parquet`` and ``model.npz``.

        Raises:
            SaveFailed: if the disk is full or the folder cannot be written; no file is left half-written.
        """
        from mcusim.files.npz import save
        from mcusim.traces.store import Trace

        folder = Path(folder)
        with replacing(folder / "history.csv") as file:
            file.write(self.history.to_csv().encode())
        with replacing(folder / "operations.csv") as file:
            file.write(self.operations.to_csv(index=False).encode())
        if not self.streamed:
            Trace(self.plan.header, self.trace).save(folder / TRACE)
        save(self.model, folder / "model.npz")
        data = {
            "version": VERSION, **self.as_dict(), "out": None,
            "settings": self.plan.settings.as_dict(), "history": self.rows,
        }  # fmt: skip
        with replacing(folder / "run.json") as file:
            file.write(json.dumps(data, indent=1, sort_keys=True).encode() + b"\n")
        self.out = folder
        return folder

    def __str__(self) -> str:
        return f"{self.plan}\n\n{outcome(self)}\n\n{cost_text(self.cost)}"

    def __repr__(self) -> str:
        return f"<Run {title(self.plan)}: {outcome(self)}>"

    def _repr_html_(self) -> str:
        return f"{html(self.plan)}<p>{outcome(self)}</p>{cost_html(self.cost)}{self.history.to_html()}"


def read_run(folder: str | Path) -> dict[str, Any]:
    """Return what ``run.json`` of a saved run says.

    Raises:
        BadRun: if the folder is no run, is damaged, or was written by another version.
    """
    path = Path(folder) / "run.json"
    try:
        data = json.loads(path.read_text())
        version = data["version"]
    except FileNotFoundError:
        raise BadRun(str(folder), "has no run.json", "give the folder that train --out wrote") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRun(str(path), f"is damaged ({error})", "train again") from error
    if version != VERSION:
        raise BadRun(
            str(path), f"was written by another version ({version})", f"this program reads version {VERSION}"
        )
    return dict(data)
