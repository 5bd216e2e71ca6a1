"""Carrying a study out: plan all, train what fits where there is room, record everything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mcusim.core import BadArgument, BadRun, OutOfSram
from mcusim.core.files import replacing
from mcusim.core.toml_text import toml
from mcusim.session.experiment import FILE as RUN_FILE
from mcusim.session.folder import held
from mcusim.session.run import RESULT as RUN_RESULT
from mcusim.studies.axes import Combination, Space
from mcusim.studies.point import DONE, FAILED, STOPPED, WAITING, Point, Points
from mcusim.studies.strategy import Listed, Sampled, Strategy, Trial, listed, rungs
from mcusim.studies.study import Study
from mcusim.studies.work import MARK, Job

if TYPE_CHECKING:
    from mcusim.studies.executors import Executor
    from mcusim.studies.result import StudyResult

FILE = "study.toml"
RUNS = "runs"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a study has come, for those who watch it.

    Attributes:
        points: all points so far, in the order in which they came up.
        running: keys of those that are trained now.
        total: points there will be, as far as is known.
        seconds: since the study began.
        left_s: seconds that what is waiting will take, by what was trained until now; ``None`` before that.
    """

    points: tuple[Point, ...]
    running: frozenset[str]
    total: int
    seconds: float
    left_s: float | None


def sweep(
    study: str | Path | dict[str, Any] | Study,
    out: str | Path | None = None,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    memory: str | None = None,
    plan_only: bool = False,
    retry: bool = False,
    extend: bool = False,
    progress: Callable[[Standing], None] | None = None,
) -> StudyResult:
    """Carry out a study: plan every point, train those that fit, keep all of it in one folder.

    A run that is finished is never repeated: its folder is named by a digest of all that its result rests
    on. What was killed goes on from its checkpoint when the study is carried out again; what failed is
    recorded with its reason, and the others go on.

    Args:
        study: a TOML file, plain data of one, or a ``Study``.
        out: folder of the study; ``studies/NAME`` if not given.
        workers: processes of this machine, one core each; with 1 everything runs in this process.
        scheduler: address of a running Dask cluster instead, e.g. ``tcp://192.168.1.4:8786``.
        memory: most bytes of data that a worker process may hold.
        plan_only: only plan, and say what fits.
        retry: train again what failed before.
        extend: let another study of this name take over the folder, and the runs in it.
        progress: called when something has changed.

    Returns:
        The points with their figures and results.

    Raises:
        BadArgument: if the study makes no sense, or its scheduler does not answer.
        UnknownName: for an axis that is no setting; suggests the nearest.
        OutOfSram: if nothing fits.
        BadRun: if the folder holds another study, or another process works in it.
        MissingPackage: if it asks for a sampler or a cluster, and the extra ``study`` is not installed.
    """
    from mcusim.studies.executors import executor
    from mcusim.studies.result import StudyResult

    wanted = Study.read(study)
    space = Space(wanted)
    folder = Path(out) if out is not None else Path("studies") / wanted.name
    _check_choice(space)
    with held(folder):
        mark = _claim(folder, wanted, extend)
        sweeping = _Sweep(wanted, space, folder, mark, retry, progress or (lambda standing: None))
        if plan_only:
            sweeping.plan()
        else:
            where = executor(workers, scheduler, memory)
            try:
                sweeping.plan()
                sweeping.train(where)
            finally:
                where.close()
        result = StudyResult(wanted, folder, tuple(sweeping.points.values()))
        result.save()
    return result


class _Sweep:
    """One call of ``sweep``."""

    def __init__(
        self, study: Study, space: Space, folder: Path, mark: str, retry: bool,
        progress: Callable[[Standing], None],
    ) -> None:  # fmt: skip
        self._study, self._space, self._folder, self._mark = study, space, folder, mark
        self._retry, self._tell = retry, progress
        self._planner = Points(study.limits)
        self.points: dict[str, Point] = {}
        self._running: dict[str, Trial] = {}
        self._left: dict[int, int] = {}
        self._started = perf_counter()
        self._trained: list[tuple[int, float]] = []
        self._room = 1
        self._strategy: Strategy | None = None

    def plan(self) -> None:
        """Plan all points that are known beforehand: all but those that a sampler will ask for.

        Raises:
            OutOfSram: if none of them fits.
        """
        epochs = self._space.some().experiment(self._space.seeds[0]).training.epochs
        steps = rungs(self._study, epochs)
        if self._study.sampler in ("grid", "random"):
            trials = [self._trial(candidate) for candidate in listed(self._space)]
            fit = [trial for trial in trials if trial.lost is None and not trial.repeated]
            if not fit:
                raise self._nothing_fits()
            keep = 1.0 if self._study.halving is None else self._study.halving.keep
            self._strategy = Listed(fit, steps, keep)
        else:
            self._strategy = Sampled(self._study, self._space, self._folder, steps, self._trial)
        self._rungs = steps

    def train(self, where: Executor) -> None:
        """Train what fits, as the strategy says."""
        strategy = self._strategy
        assert strategy is not None
        self._room = where.room
        queue: deque[tuple[Trial, Point]] = deque()
        going: deque[Trial] = deque()
        while True:
            while len(self._running) < where.room:
                if not queue and not going:
                    going.extend(strategy.more(1))
                if not queue:
                    if not going:
                        break
                    trial = going.popleft()
                    todo = [point for point in trial.points if self._needs(point, trial)]
                    self._left[id(trial)] = len(todo)
                    queue.extend((trial, point) for point in todo)
                    if not todo:
                        going.extend(strategy.judged(trial))
                    continue
                trial, point = queue.popleft()
                self._submit(where, trial, point)
            self._show()
            if not self._running:
                self._write_stopped()
                return
            outcome = where.outcome()
            trial = self._running.pop(outcome.key)
            point = self.points[outcome.key]
            before = len(point.rows)
            outcome.enter(point, self._run_folder(point))
            self._trained.append((max(1, len(point.rows) - before), outcome.wall_s))
            self._left[id(trial)] -= 1
            if not self._left[id(trial)]:
                going.extend(strategy.judged(trial))

    def _trial(self, candidate: Combination) -> Trial:
        points, known = [], set(self.points)
        for seed in self._space.seeds:
            made = self._planner.point(candidate, seed)
            point = self.points.setdefault(made.key, made)
            if point is made:
                self._recall(point)
            points.append(point)
            self._show()
        return Trial(candidate, points, repeated={point.key for point in points} <= known)

    def _recall(self, point: Point) -> None:
        folder = self._run_folder(point)
        if point.status == WAITING and point.recall(folder):
            whole = (folder / RUN_RESULT).is_file()
            if (point.status == FAILED and self._retry) or (point.status == DONE and not whole):
                point.status, point.reason = WAITING, ""
        point.write(folder)

    def _until(self, point: Point, trial: Trial) -> int:
        """Return the epoch up to which a point trains at the rung where its trial is."""
        epochs = point.experiment.training.epochs
        return epochs if trial.rung + 1 == len(self._rungs) else min(epochs, self._rungs[trial.rung])

    def _needs(self, point: Point, trial: Trial) -> bool:
        if point.status not in (WAITING, STOPPED) or point.key in self._running:
            return False
        whole = len(point.rows) >= point.experiment.training.epochs
        return whole or len(point.rows) < self._until(point, trial)

    def _submit(self, where: Executor, trial: Trial, point: Point) -> None:
        assert point.plan is not None
        assert point.model is not None
        data, name = self._planner.data(point.experiment)
        folder = self._run_folder(point).absolute()
        until = self._until(point, trial)
        self._running[point.key] = trial
        job = Job(point.key, point.experiment, point.plan, point.model, folder, self._mark, until)
        where.submit(job, name, data)

    def _run_folder(self, point: Point) -> Path:
        return self._folder / RUNS / point.key

    def _write_stopped(self) -> None:
        for point in self.points.values():
            if point.status == STOPPED:
                point.write(self._run_folder(point))

    def _show(self) -> None:
        points = tuple(self.points.values())
        waiting = sum(
            point.experiment.training.epochs - len(point.rows) for point in points if point.status == WAITING
        )
        epochs = sum(count for count, _ in self._trained)
        left = None
        if epochs:
            left = waiting * sum(seconds for _, seconds in self._trained) / epochs / self._room
        total = max(len(points), (self._study.points or 0) * len(self._space.seeds))
        now = perf_counter() - self._started
        self._tell(Standing(points, frozenset(self._running), total, now, left))

    def _nothing_fits(self) -> Exception:
        points = list(self.points.values())
        needs = [p.figures["peak_bytes"] for p in points if "peak_bytes" in p.figures]
        shown = min(points, key=lambda p: p.figures.get("peak_bytes", float("inf")))
        if not needs:
            return BadArgument(
                f"study {self._study.name}", f"has no point that can be planned: {shown.reason}"
            )
        plan = shown.plan
        assert plan is not None
        if not plan.fits:
            return OutOfSram(
                capacity_bytes=plan.settings.sram_bytes, needed_bytes=plan.peak_bytes,
                where=f"all {len(points)} points of study {self._study.name}, the smallest at {plan.peak_op}",
                suggestions=("give more SRAM, or other schemes and formats",),
            )  # fmt: skip
        reason = f"has no point that keeps to its limits; the smallest: {shown.reason}"
        return BadArgument(f"study {self._study.name}", reason, "widen the limits")


def _check_choice(space: Space) -> None:
    """Refuse to choose by test examples."""
    study = space.study
    if not study.chooses:
        return
    training = study.base.get("training", {})
    if not training.get("validation"):
        reason = "would choose by looking at the test examples"
        way_out = 'hold examples out: [base.training] validation = 0.1, evaluate = "end"'
        raise BadArgument(f"study {study.name}", reason, way_out)


def _claim(folder: Path, study: Study, extend: bool) -> str:
    """Put the study into its folder, or find it there; return the mark of the folder.

    Raises:
        BadRun: if another study is there.
    """
    path, mark = folder / FILE, folder / MARK
    said = study.model_dump(mode="json", exclude_none=True)
    if path.exists() and not extend:
        old = Study.read(path).model_dump(mode="json", exclude_none=True)
        differ = sorted(name for name in {*old, *said} if old.get(name) != said.get(name))
        if differ:
            way_out = "choose another name or folder, or extend it, which keeps the runs that both have"
            raise BadRun(str(folder), f"holds another study of this name: other {', '.join(differ)}", way_out)
    with replacing(path) as file:
        file.write(toml(said).encode())
    if not mark.exists():
        with replacing(mark) as file:
            file.write(token_hex(8).encode())
    return mark.read_text("utf-8")


def command(folder: Path, point: Point) -> str:
    """Return the line that gives a run again."""
    return f"mcusim train {folder / RUNS / point.key / RUN_FILE} --out again"
