"""The training loop: batch 1, in the arena, resumable at any step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from mcusim.core import BadArgument, BadRun
from mcusim.core.stopping import Stop
from mcusim.core.wording import choice
from mcusim.data.dataset import Dataset
from mcusim.engine.feature_cache import front_key
from mcusim.engine.front import Fronts
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.graph import Model
from mcusim.planning.cost import session_cost
from mcusim.planning.plan import Plan
from mcusim.planning.recipe import Recipe
from mcusim.session.checkpoint import FILE, WAY_OUT, Progress, load_checkpoint, save_checkpoint
from mcusim.session.evaluation import Evaluation, require_one_answer
from mcusim.session.features import Features
from mcusim.session.folder import run_folder
from mcusim.session.health import require_finite
from mcusim.session.history import ROWS, History
from mcusim.session.identity import device, program
from mcusim.session.protocol import Protocol
from mcusim.session.recording import Begin, Recording, Resumed
from mcusim.session.run import Run, is_whole
from mcusim.session.stages import Stages
from mcusim.update.schedule import Schedule
from mcusim.update.scheme import Scheme

CHECKPOINT_STEPS = 10_000
"""Steps between two checkpoints within an epoch."""
BLOCK = 256
"""Images whose front is computed or fetched together."""


Report = Callable[[dict[str, Any]], None]


class Paused(Exception):
    """The run has come as far as was asked for, and lies in its folder to be resumed."""


class Training:
    """One call of ``Session.train``; ``whole`` is the network of which the planned one may be a part.

    ``fronts`` are shared with others of this process.
    """

    def __init__(
        self, plan: Plan, scheme: Scheme, data: Dataset, recipe: Recipe, *, whole: Model,
        fronts: Fronts | None = None,
    ) -> None:  # fmt: skip
        settings = plan.settings
        self._whole = whole
        self.plan, self.settings, self.scheme, self.data, self.recipe = plan, settings, scheme, data, recipe
        self.per_epoch = min(len(data.train), recipe.limit or len(data.train))
        steps = recipe.epochs * self.per_epoch
        self.schedule = Schedule(steps, warmup=int(recipe.warmup * self.per_epoch), kind=recipe.schedule)
        self.features = Features(plan.step, data, recipe.augmentation, recipe.answer, settings.seed, fronts)
        self.goals = self.features.goals
        require_one_answer(self.goals, recipe.answer)
        self.state = State.of(plan.step.model, plan.step.scope, settings.formats)
        self.stages = Stages(plan, scheme, self.state)
        self.progress = Progress()
        self.protocol = Protocol.of(data, recipe)
        self.order = np.zeros(0, np.int64)
        self._until: int | None = None
        self._stop = Stop()
        self._history: History | None = None
        self._report: Report = lambda counts: None

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same when a run is resumed.

        How long it is does not count where the rates of its steps do not depend on it.
        """
        model = self.plan.step.model
        schedule, length = asdict(self.schedule), {"epochs": self.recipe.epochs}
        if self.schedule.kind == "constant":
            length = {}
            del schedule["steps"]
        return {
            **program(),
            **device(self.plan),
            "model": front_key(model, model.ops),
            "data": self.features.key,
            "name": self.data.name,
            "images": len(self.data.train),
            "settings": self.settings.as_dict(),
            "augmentation": self.recipe.augmentation.as_dict(),
            "schedule": schedule,
            **length,
            "per_epoch": self.per_epoch,
            "order": self.recipe.order,
            "protocol": {**self.protocol.as_dict(), "held_out": self.features.validation_key},
        }

    def advance(
        self, out: str | Path, epochs: int, *, progress: Report | None = None
    ) -> list[dict[str, Any]]:
        """Train up to so many epochs of the recipe and stop there, whole or to be resumed; return the rows.

        Goes on where the folder holds a checkpoint of this run.

        Args:
            out: folder of the run.
            epochs: at which to stop; those of the recipe at the latest.
            progress: called with counts now and then.

        Raises:
            See ``Session.train``.
        """
        self._until = epochs
        with suppress(Paused):
            self.run(out=out, resume=(Path(out) / FILE).is_file(), progress=progress)
        return self.progress.epochs

    def run(
        self, *, out: str | Path | None = None, resume: bool = False, overwrite: bool = False,
        progress: Report | None = None,
    ) -> Run:  # fmt: skip
        """Train, evaluate, and return the run; see ``Session.train``."""
        folder = None if out is None else Path(out)
        self._report = progress or self._report
        if folder is None:
            if resume:
                raise BadArgument("resume", "needs the folder of the run", f"give {choice('out')}")
            with self._recording(None, False) as recording:
                return self._run(None, False, recording)
        with run_folder(folder, resume=resume, overwrite=overwrite), self._stop.listening():
            if resume:
                path = folder / FILE
                self.progress = load_checkpoint(path, self.state, self.stages.statistics, self.identity)
                if not self._is_consistent():
                    raise BadRun(str(path), "is damaged: what it says does not go together", WAY_OUT)
                if (self.progress.epoch, -self.progress.position) > (self.recipe.epochs, 0):
                    reason = f"are fewer than were begun: {self.progress.epoch + 1}"
                    raise BadArgument(f"epochs {self.recipe.epochs}", reason, "ask for as many, or more")
            with self._recording(folder, resume) as recording:
                try:
                    return self._run(folder, resume, recording)
                finally:
                    if self._history is not None:
                        self._history.close()

    def _is_consistent(self) -> bool:
        """Return True if the progress that was read is one that this training can come to."""
        progress = self.progress
        pool = {op: visits.size for op, visits in self.stages.coverage.visits.items()}
        return (
            progress.epoch >= 0
            and 0 <= progress.position <= self.per_epoch
            and self.state.iteration == progress.epoch * self.per_epoch + progress.position
            and {op: len(visits) for op, visits in progress.coverage.items()} == pool
            and all(0 <= count <= pool.get(op, -1) for op, count in progress.largest.items())
            and len(progress.before) == len(self.protocol.parts[:1])
            and all(map(self._could_be_noted, progress.history))
            and len(progress.epochs) == progress.epoch
            and len(progress.trace_position or (0, 0)) == 2
            and all(0 <= count < 2**62 for count in (progress.cycle, *(progress.trace_position or ())))
            and all(0 <= count < 2**62 for visits in progress.coverage.values() for count in visits)
        )

    def _could_be_noted(self, row: Mapping[str, float | None]) -> bool:
        """Return True if a row has what `_row` gives: what is known at the end of an epoch only then."""
        unknown = {name for name, value in row.items() if value is None}
        later = set() if isinstance(row.get("epoch"), int) else {*self._measured_columns}
        return tuple(row) == self._columns and unknown == later

    def _run(self, folder: Path | None, resumed: bool, recording: Recording) -> Run:
        started, first = perf_counter(), self.state.iteration
        if not resumed:
            first_look = self.protocol.parts[:1]
            self.progress.before = [self._measured(part, self.state) for part in first_look]
            self._save(folder, recording)
        # Once there is a checkpoint: without one a folder that holds anything cannot be resumed.
        if folder is not None and self.progress.epoch < self.recipe.epochs:
            self._history = History(folder, self._columns, self.progress.history)

        def pause() -> None:
            """Stop here, where the run can be saved, if a signal asked for it."""
            if self._stop.asked is not None:
                self._save(folder, recording)
                self._stop.obey()

        while self.progress.epoch < self.recipe.epochs:
            self._epoch(folder, recording, pause)
            self._finish_epoch(pause)
            self._save(folder, recording)
            if self.progress.epoch == self._until and self._until < self.recipe.epochs:
                raise Paused
        self.stages.store()
        seconds = perf_counter() - started
        before, after = self._outcome()
        run = Run(
            plan=self.stages.largest, model=self.state.trained(self._whole), rows=self.progress.epochs,
            curve=self.progress.history, metric=self.goals.metric, metric_before=before, metric_after=after,
            protocol=self.protocol,
            steps=self.state.iteration,
            trace=recording.events(),
            saturations=self.state.saturations,
            images_per_s=(self.state.iteration - first) / seconds if seconds else 0.0,
            streamed=recording.streamed,
            identity=self._origin,
            cost=session_cost(
                self.plan, self.scheme, self.state.iteration,
                cycles=self.progress.cycle if self.plan.estimate is not None else None,
            ),
        )  # fmt: skip
        if folder is not None:
            if self._history is not None:
                self._history.close()
            if not resumed or first < run.steps or not is_whole(folder):
                run.save(folder)
            run.out = folder
            recording.close(self.state.iteration, self.progress.cycle)
        return run

    @property
    def _origin(self) -> dict[str, Any]:
        """What checkpoint and result say they rest on: with how long it was and what was recorded."""
        return {**self.identity, "epochs": self.recipe.epochs, "trace": self._recorded()}

    def _recorded(self) -> str:
        """Return what the trace of the run holds: resuming a finished run asks for one and changes none."""
        if self.progress.trace_position is not None:
            return "all"
        return "first" if self.recipe.trace == "all" else self.recipe.trace

    def _recording(self, folder: Path | None, resumed: bool) -> Recording:
        """Return where events go; one that goes on needs to know which plan was running."""
        progress, stages = self.progress, self.stages
        stages.program(max(self.state.iteration - 1, 0), resumed=resumed and self.state.iteration > 0)
        if not resumed:
            begin = Begin(stages.template(), stages.beginning())
            return Recording(self.plan, self.recipe.trace, folder, stages.template(), begin)
        # After the stage is entered, which would count its channels a second time.
        stages.coverage.restore({n: np.array(v, np.int64) for n, v in progress.coverage.items()})
        stages.grow(progress.largest)
        step = self.plan.step
        start = Stages(self.plan, self.scheme, State.of(step.model, step.scope, self.settings.formats))
        start.program(0)
        begin = Begin(start.template(), start.beginning())
        at = Resumed(progress.trace_position, progress.epoch >= self.recipe.epochs)
        return Recording(self.plan, self.recipe.trace, folder, stages.template(), begin, at)

    def _save(self, folder: Path | None, recording: Recording) -> None:
        if folder is None:
            return
        # A checkpoint is something to go on from.
        self._require_finite({}, self.stages.running)
        self.stages.store()
        self.progress.trace_position = recording.position()
        self.progress.largest = dict(self.stages.largest.step.scope.channels)
        self.progress.coverage = {n: v.tolist() for n, v in self.stages.coverage.visits.items()}
        save_checkpoint(folder / FILE, self.state, self.stages.statistics, self.progress, self._origin)

    def _epoch(self, folder: Path | None, recording: Recording, pause: Callable[[], None]) -> None:
        progress, state = self.progress, self.state
        for row, target in self._examples():
            program = self.stages.program(state.iteration)
            program.rate = self.schedule.factor(state.iteration)
            self.stages.calibrate(row, target)
            if recording.streamed:
                recording.mark(self.stages.take_transition(), state.iteration, progress.cycle)
            recording.write(self.stages.template(), state.iteration, progress.cycle)
            loss = self.features.train(program, row, target)
            if not isfinite(loss):
                self._require_finite({"the loss": loss}, program)
            progress.loss_sum += loss
            progress.score_sum += program.score
            progress.cycle += self.stages.cycles
            progress.position += 1
            if progress.position % BLOCK == 0:
                self._require_finite({}, program)
                self._tell()
            if progress.position < self.per_epoch and self._is_due(progress.position):
                self._note(self._row())
            if progress.position % CHECKPOINT_STEPS == 0 and progress.position < self.per_epoch:
                self._save(folder, recording)
            pause()

    def _examples(self) -> Iterator[tuple[Any, Any]]:
        """Yield what is left of the epoch: a tail input and its target each."""
        seed = self.settings.seed
        epoch = self.progress.epoch
        order = np.arange(self.per_epoch)
        if self.recipe.order == "shuffled":
            order = self.data.train.order(epoch, seed)[: self.per_epoch]
        for start in range(self.progress.position, self.per_epoch, BLOCK):
            index = order[start : start + BLOCK]
            rows = self.features.rows(index, epoch)
            yield from zip(rows, self.features.targets("train", index), strict=True)

    def _measured(self, part: str, state: State, pause: Callable[[], None] | None = None) -> float:
        split = self.data.parts[part]
        return Evaluation(self.features, part, len(split)).metric(state, pause or self._stop.obey)

    def _outcome(self) -> tuple[float, float]:
        """Return the metric before and after on the examples that are reported.

        Test examples that are looked at once are looked at here, by the network as it came and as it left.
        """
        part = self.protocol.reported
        if part in self.protocol.parts:
            return self.progress.before[0], self.progress.epochs[-1][f"{part}_{self.goals.metric.key}"]
        step = self.plan.step
        untrained = State.of(step.model, step.scope, self.settings.formats)
        return self._measured(part, untrained), self._measured(part, self.state)

    def _finish_epoch(self, pause: Callable[[], None]) -> None:
        progress = self.progress
        self.stages.store()
        row = self._row({part: self._measured(part, self.state, pause) for part in self.protocol.parts})
        self._require_finite(
            {name.replace("_", " "): value for name, value in row.items()}, self.stages.running
        )
        self._note(row)
        progress.epoch, progress.position = progress.epoch + 1, 0
        progress.loss_sum, progress.score_sum = 0.0, 0.0
        self._tell()

    @property
    def _columns(self) -> tuple[str, ...]:
        learned = f"train_{self.goals.metric.key}"
        return (
            *("epoch", "steps", "loss", learned),
            *self._measured_columns,
            *("learning_rate", "saturations", "coverage"),
        )

    @property
    def _measured_columns(self) -> list[str]:
        return [f"{part}_{self.goals.metric.key}" for part in self.protocol.parts]

    def _row(self, measured: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Return how far the training has come; loss and training metric are means since the epoch began.

        ``measured``: the metric by part, which is known only at the end of an epoch.
        """
        progress, done = self.progress, self.progress.position
        values = (
            progress.epoch + (done / self.per_epoch if measured is None else 1),
            self.state.iteration,
            progress.loss_sum / done,
            progress.score_sum / done,
            *((measured or {}).get(part) for part in self.protocol.parts),
            self.settings.sgd.lr * self.schedule.factor(self.state.iteration - 1),
            self.state.saturations,
            self.stages.coverage.fraction,
        )
        return dict(zip(self._columns, values, strict=True))

    def _is_due(self, position: int) -> bool:
        """True if a row of the history ends at this place of an epoch."""
        return position * ROWS // self.per_epoch > (position - 1) * ROWS // self.per_epoch

    def _note(self, row: dict[str, Any]) -> None:
        self.progress.history.append(row)
        if self._history is not None:
            self._history.add(row)

    def _require_finite(self, numbers: Mapping[str, float], program: Program | None) -> None:
        steps, history = self.state.iteration, self.progress.epochs
        require_finite(numbers, program, self.settings.sgd, steps, history)

    def _tell(self) -> None:
        done = self.progress.position
        last = (self.progress.epochs or [{}])[-1]
        metric = self.goals.metric
        first = next(iter(self.protocol.parts), None)
        self._report(
            {
                "epoch": self.progress.epoch, "epochs": self.recipe.epochs, "position": done,
                "per_epoch": self.per_epoch, "step": self.state.iteration,
                "metric": metric, "rows": self.progress.history,
                "loss": self.progress.loss_sum / done if done else last.get("loss"),
                "train": self.progress.score_sum / done if done else last.get(f"train_{metric.key}", 0.0),
                "part": first,
                "test": last.get(f"{first}_{metric.key}", *self.progress.before) if first else None,
            }
        )  # fmt: skip
