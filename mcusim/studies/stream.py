"""Learning one task after the other: what is gained, what is forgotten, and what a buffer costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mcusim.core import BadArgument, BadBoard, Role, UnknownName
from mcusim.core.chosen import chosen
from mcusim.data.dataset import Dataset, Split
from mcusim.data.replay import Rehearsal, ReplayBuffer, composed
from mcusim.data.streams import by_class, by_domain, by_group
from mcusim.graph import Model
from mcusim.mcu.flash.ring import Ring
from mcusim.planning.plan import Plan
from mcusim.planning.recipe import Recipe
from mcusim.sections.kinds import Cell, Column, Facts, Headline, Section, Table, duration
from mcusim.sections.shown import Shown
from mcusim.session.checkpoint import FILE as CHECKPOINT
from mcusim.session.evaluation import evaluate
from mcusim.session.experiment import Experiment
from mcusim.session.session import Session
from mcusim.tasks.metric import Metric

if TYPE_CHECKING:
    import pandas as pd

WAYS = ("class", "group")
"""How one data set is divided into tasks."""


@dataclass(frozen=True, slots=True)
class StreamResult(Shown):
    """What a network knew after each task of a stream.

    Attributes:
        tasks: their names, in order.
        metric: what is measured; higher is better.
        before: of each task, before anything was learned.
        scores: ``scores[i][j]`` is the metric on the test examples of task j after task i was learned.
        plan: of a step, the buffer included.
        done: batch-1 steps until each task was learned, replayed ones included.
        replayed: steps on examples of the buffer.
        stored: examples that were written into the buffer, those put out again included.
        ring: of a buffer in flash, what was programmed and erased there.
    """

    tasks: tuple[str, ...]
    metric: Metric
    before: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]
    plan: Plan
    done: tuple[int, ...]
    replayed: int
    stored: int
    ring: Ring | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole stream."""
        return self.done[-1]

    @property
    def seen(self) -> tuple[float, ...]:
        """After each task, the mean over the tasks until then."""
        return tuple(fmean(row[: number + 1]) for number, row in enumerate(self.scores))

    @property
    def over_time(self) -> float:
        """Mean of ``seen``: the average incremental accuracy of iCaRL (arXiv 1611.07725)."""
        return fmean(self.seen)

    @property
    def curve(self) -> pd.DataFrame:
        """What was known when, and at which cost: one row a task.

        Columns: ``task``; ``steps`` and ``device_s`` until it was learned, the latter modelled and without
        the writing of flash, ``None`` without a cycle profile; ``seen``; ``replay_bytes``; ``peak_bytes``.
        """
        import pandas as pd

        estimate = self.plan.estimate
        seconds = [None if estimate is None else steps * estimate.time_ms.value / 1000 for steps in self.done]
        return pd.DataFrame(
            {
                "task": self.tasks, "steps": self.done, "device_s": seconds, "seen": self.seen,
                "replay_bytes": self.replay_bytes, "peak_bytes": self.plan.peak_bytes,
            }
        )  # fmt: skip

    @property
    def average(self) -> float:
        """Mean over all tasks after the last one."""
        return fmean(self.scores[-1])

    @property
    def forgetting(self) -> float:
        """Mean over all tasks but the last of what was lost since it was known best (arXiv 1801.10112)."""
        last = len(self.tasks) - 1
        lost = [max(row[j] for row in self.scores[:last]) - self.scores[last][j] for j in range(last)]
        return fmean(lost)

    @property
    def backward_transfer(self) -> float:
        """Mean change of a task from when it was learned to the end (arXiv 1706.08840)."""
        last = len(self.tasks) - 1
        return fmean(self.scores[last][j] - self.scores[j][j] for j in range(last))

    @property
    def forward_transfer(self) -> float:
        """Mean of what tasks before it did for a task that is yet to be learned (arXiv 1706.08840)."""
        return fmean(self.scores[j - 1][j] - self.before[j] for j in range(1, len(self.tasks)))

    @property
    def replay_bytes(self) -> int:
        """Bytes of the buffer, in SRAM or flash."""
        kept = self.plan.step.kept
        return self.plan.by_role[Role.REPLAY] if kept is None else prod(kept)

    @property
    def wear(self) -> dict[str, Any]:
        """What a buffer in flash costs it: erased blocks, seconds of writing, such streams until it is worn.

        ``None`` where nothing is written there, or a figure of the board is missing.
        """
        found: dict[str, Any] = {"erased": None, "writing_s": None, "streams_until_worn": None}
        if self.ring is not None:
            found["erased"] = sum(self.ring.erases)
            with suppress(BadBoard):
                found["writing_s"] = self.ring.time_s.value
            with suppress(BadBoard):
                found["streams_until_worn"] = self.ring.sessions
        return found

    @property
    def table(self) -> pd.DataFrame:
        """One row a task that was learned, one column a task that was tested."""
        import pandas as pd

        rows = [self.before, *self.scores]
        return pd.DataFrame(rows, index=["before", *self.tasks], columns=list(self.tasks))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "tasks": list(self.tasks), "metric": self.metric.as_dict(), "before": list(self.before),
            "scores": [list(row) for row in self.scores], "seen": list(self.seen),
            "steps_until": list(self.done), "average": self.average, "over_time": self.over_time,
            "forgetting": self.forgetting, "backward_transfer": self.backward_transfer,
            "forward_transfer": self.forward_transfer, "steps": self.steps, "replayed": self.replayed,
            "stored": self.stored, "replay_bytes": self.replay_bytes, "wear": self.wear,
            "peak_bytes": self.plan.peak_bytes,
            "step_ms": None if self.plan.estimate is None else self.plan.estimate.time_ms.value,
        }  # fmt: skip

    def sections(self) -> list[Section]:
        """Return the metric on every task after every task, and what that comes to."""
        kind: Literal["share", "number"] = "share" if self.metric.unit == "%" else "number"
        columns = [Column("after", kind="name"), *(Column(name, kind=kind) for name in (*self.tasks, "mean"))]
        rows: list[list[Cell]] = [
            [name, *row, fmean(row)]
            for name, row in zip(("nothing", *self.tasks), (self.before, *self.scores), strict=True)
        ]
        facts = [
            ("average", self.metric.text(self.average)),
            ("over time", f"{self.metric.text(self.over_time)}, mean over the tasks until then, after each"),
            ("forgetting", self.metric.text(self.forgetting)),
            ("transfer", f"backward {self._signed(self.backward_transfer)}, "
                         f"forward {self._signed(self.forward_transfer)}"),
            ("steps", f"{self.steps:,}, {self.replayed:,} of them on examples of the buffer"),
            ("buffer", self._buffer()),
            ("SRAM", self.plan.verdict),
        ]  # fmt: skip
        verdict = f"{self.metric.name} {self.metric.text(self.average)} on {len(self.tasks)} tasks"
        return [Headline(f"stream, {self.plan.title}", verdict), Table(columns, rows), Facts(facts)]

    def _signed(self, value: float) -> str:
        return f"{'+' if value >= 0 else '-'}{self.metric.text(abs(value))}"

    def _buffer(self) -> str:
        if not self.replay_bytes:
            return "none"
        place = "SRAM" if self.ring is None else "flash"
        said = [f"{self.replay_bytes:,} B in {place}", f"{self.stored:,} examples written"]
        wear = self.wear
        if wear["erased"] is not None:
            said.append(f"{wear['erased']:,} blocks erased")
        if wear["writing_s"] is not None:
            said.append(f"{duration(wear['writing_s'])} of writing")
        if wear["streams_until_worn"] is not None:
            said.append(f"worn after {wear['streams_until_worn']:,} such streams")
        return ", ".join(said)


def stream(
    session: Session,
    tasks: Sequence[Dataset],
    *,
    out: str | Path | None = None,
    recipe: Recipe | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    **choices: Any,
) -> StreamResult:
    """Learn tasks one after the other, and test on all of them after each.

    The examples of a task come in an order drawn by the seed, each of them ``epochs`` times (once, in a
    stream of one pass). With the setting ``replay`` every new example is followed by steps on kept ones.

    Args:
        session: network, board and settings; the setting ``replay`` says which examples are kept.
        tasks: of ``by_class``, ``by_group`` or ``by_domain``, over the same classes.
        out: folder; each task becomes a run in it, and a stream that was killed goes on.
        recipe: how each task is trained; the defaults if not given. Order and evaluation are a stream's.
        progress: called with counts now and then.
        choices: further fields of ``Recipe``, e.g. ``epochs=2``.

    Returns:
        The metric on every task after every task, and what the buffer costs.

    Raises:
        BadArgument: if there are fewer than two tasks, or the metric is not one that should be high.
        OutOfSram, OutOfFlash: if the step does not fit with the buffer.
        BadData, BadRun, Diverged, SaveFailed: as ``Session.train``.
    """
    if len(tasks) < 2:
        raise BadArgument(f"a stream of {len(tasks)} tasks", "has nothing to forget", "give two or more")
    wanted = chosen(recipe or Recipe(), choices)
    seed, settings = session.settings.seed, session.settings
    replay = None if settings.replay is None else Rehearsal.read(settings.replay)
    buffer = None if replay is None else ReplayBuffer(replay, seed)
    images = np.concatenate([task.train.images for task in tasks])
    labels = np.concatenate([task.train.class_numbers for task in tasks])
    starts = np.cumsum([0, *(len(task.train) for task in tasks)])
    model, replayed = session.model, 0
    done: list[int] = []
    before = tuple(evaluate(model, task.test) for task in tasks)
    scores: list[tuple[float, ...]] = []
    current = session
    for number, task in enumerate(tasks):
        orders = [task.train.order(epoch, seed) for epoch in range(wanted.epochs)]
        new = np.concatenate(orders)[: wanted.limit] + starts[number]
        order = composed(labels, new, buffer, 0 if replay is None else replay.ratio)
        data = replace(task, train=Split(images[order], labels[order]), validation=None)
        once = replace(wanted, epochs=1, limit=None, order="stored", evaluate="end", validation=0.0)
        folder = None if out is None else Path(out) / f"task-{number + 1}"
        resume = folder is not None and (folder / CHECKPOINT).is_file()
        run = current.train(data, recipe=once, out=folder, resume=resume, progress=progress)
        done.append((done[-1] if done else 0) + run.steps)
        replayed += len(order) - len(new)
        current = Session(run.model, session.board, session.scheme, settings=settings)
        scores.append(tuple(evaluate(run.model, other.test) for other in tasks))
        if not run.metric.higher_is_better:
            raise BadArgument(
                run.metric.name, "should be small, and a stream is told by what should be large"
            )
        plan, metric = run.plan, run.metric
    return StreamResult(
        tuple(task.name for task in tasks), metric, before, tuple(scores), plan, tuple(done), replayed,
        0 if buffer is None else len(buffer.written), None if buffer is None else _worn(plan, buffer),
    )  # fmt: skip


def _worn(plan: Plan, buffer: ReplayBuffer) -> Ring | None:
    """Return what writing a buffer did to flash; ``None`` if it lies in SRAM."""
    if plan.step.kept is None:
        return None
    ring = Ring(plan.board, *plan.step.kept)
    for place in buffer.written:
        ring.write(place)
    return ring


def tasks_of(
    wanted: Experiment, model: Model, *, by: str = "class", new: int = 2, then: Sequence[str] | None = None
) -> tuple[Dataset, ...]:
    """Return the tasks of a stream from the data that an experiment names.

    Args:
        wanted: its data, and the seed by which it is divided.
        model: the network the data are for.
        by: ``class`` or ``group``.
        new: classes of a task.
        then: names or paths of data sets that come after it, instead of dividing it.

    Raises:
        UnknownName: for another way to divide.
        BadArgument, BadData: if there is nothing to divide.
    """
    first = wanted.dataset(model)
    if then is not None:
        return by_domain([first, *(replace(wanted, data=text.strip()).dataset(model) for text in then)])
    if by not in WAYS:
        raise UnknownName("way to divide data", by, WAYS)
    return by_class(first, new) if by == "class" else by_group(first, seed=wanted.seed)
