"""How a training went: what a run in memory and one in a folder have in common."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mcusim.core import BadRun
from mcusim.core.boundary import reads
from mcusim.core.wording import choice
from mcusim.session.history import FILE as HISTORY
from mcusim.session.protocol import Protocol
from mcusim.session.run import Run
from mcusim.tasks.metric import Metric


@dataclass(frozen=True, slots=True)
class Course:
    """The course of a training.

    Attributes:
        metric: what its task is measured by.
        before, after: the metric on the examples that ``protocol`` reports.
        protocol: which examples there are, and when they are looked at.
        steps: batch-1 training steps done.
        epochs: a row an epoch.
        curve: the same with rows within each epoch, which lack what is measured at its end.
        session: what it costs its device, as ``SessionCost.as_dict`` has it.
        saturated_share: part of the values of integer error tensors that was cut off.
        identity: what the result rests on.
    """

    metric: Metric
    before: float
    after: float
    protocol: Protocol
    steps: int
    epochs: Sequence[Mapping[str, Any]]
    curve: Sequence[Mapping[str, Any]]
    session: Mapping[str, Any]
    saturated_share: float
    identity: Mapping[str, Any]

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return that of a run in memory."""
        return cls(
            run.metric, run.metric_before, run.metric_after, run.protocol, run.steps, run.rows, run.curve,
            run.cost.as_dict(), run.saturated_share, run.identity,
        )  # fmt: skip

    @classmethod
    @reads(BadRun, "resume the run, which writes it anew")
    def saved(cls, folder: Path, data: Mapping[str, Any]) -> Self:
        """Return that of a saved run.

        Args:
            folder: of the run.
            data: what its ``run.json`` says.

        Raises:
            BadRun: if either says something else than a run does.
        """
        about = dict(data["metric"])
        before, after = about.pop("before"), about.pop("after")
        return cls(
            Metric(**about), before, after, Protocol.from_dict(data["examples"]), data["steps"],
            data["history"], read_history(folder), data["session"], data["saturated_share"], data["identity"],
        )  # fmt: skip

    @property
    def outcome(self) -> str:
        """What training changed, in one line."""
        metric = self.metric
        where = "" if self.protocol.reported == "test" else f" ({self.protocol.reported} examples)"
        return (
            f"{metric.name} {metric.text(self.before)} before, {metric.text(self.after)} "
            f"after {self.steps:,} steps{where}"
        )

    @property
    def improved(self) -> bool | None:
        """True if the metric became better."""
        return self.metric.improved(self.before, self.after)


def read_history(folder: Path) -> list[dict[str, float | None]]:
    """Return the rows of ``history.csv`` as far as they are there: also of a run that goes on.

    A last line that is only half written is left out.

    Raises:
        BadRun: if there is no such file, or it holds something else.
    """
    path = folder / HISTORY
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        reason = "has no history.csv"
        raise BadRun(
            str(folder), reason, f"give the folder that a training writes with {choice('out')}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRun(str(path), f"cannot be read: {error}", "check the folder") from error
    whole = text[: text.rfind("\n") + 1]
    try:
        return [
            {name: float(value) if value else None for name, value in row.items()}
            for row in csv.DictReader(whole.splitlines(), strict=True)
        ]
    except (ValueError, TypeError, csv.Error) as error:
        raise BadRun(str(path), f"is damaged ({error})", "resume the run, which writes it anew") from error
