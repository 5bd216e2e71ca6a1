"""Who decides what is trained next: a list with rungs, or a sampler of Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from mcusim.core import BadArgument
from mcusim.studies.axes import Combination, Space
from mcusim.studies.optional import required
from mcusim.studies.point import DONE, FAILED, STOPPED, UNFIT, WAITING, Point
from mcusim.studies.study import LARGER_IS_BETTER, METRIC, Study

BASE = "optuna.sqlite3"
PATIENCE = 20
"""Candidates in a row that do not fit, after which a sampler is asked no more."""


@dataclass(slots=True)
class Trial:
    """A candidate that is being trained with all seeds.

    Attributes:
        rung: place in the list of epochs up to which it trains now.
        handle: of the sampler.
    """

    candidate: Combination
    points: list[Point]
    rung: int = 0
    handle: Any = None
    repeated: bool = False
    """True if every one of its points belongs to an earlier trial too."""

    @property
    def lost(self) -> Point | None:
        """A point that cannot be trained, if there is one."""
        return next((point for point in self.points if point.status in (FAILED, UNFIT)), None)

    def score(self, epochs: int | None = None) -> float | None:
        """Return the mean over seeds of what candidates are compared by; ``None`` if one is missing."""
        scores = [point.score(epochs) for point in self.points]
        known = [score for score in scores if score is not None]
        return fmean(known) if scores and len(known) == len(scores) else None

    def resume(self) -> None:
        """Let points go on that an earlier judgement stopped."""
        for point in self.points:
            if point.status == STOPPED:
                point.status = WAITING

    @property
    def rising(self) -> bool:
        """True if a larger metric is better."""
        return all(point.result["metric"]["higher_is_better"] for point in self.points)

    def objective(self, name: str) -> float | None:
        """Return one objective: the score, or a figure of the plan."""
        if name == METRIC:
            return self.score()
        value = self.points[0].figures.get(name)
        return None if value is None else float(value)


class Strategy(Protocol):
    """Gives trials, and judges them when all their seeds have come to their rung."""

    def more(self, room: int) -> list[Trial]:
        """Return trials to begin, as many as there is room for."""

    def judged(self, trial: Trial) -> list[Trial]:
        """Return the trials that go on now that this one has come to its rung."""


def rungs(study: Study, epochs: int) -> list[int]:
    """Return the epochs at which trials are compared, the last being the end of the training."""
    if study.halving is None:
        return [epochs]
    early = study.halving.epochs
    if early[-1] >= epochs:
        reason = f"compares after epoch {early[-1]}, and the training has {epochs}"
        raise BadArgument("halving", reason, "compare earlier, or train longer")
    return [*early, epochs]


def stop(trial: Trial) -> None:
    """Mark a trial as stopped early, unless an earlier study trained it to the end."""
    if all(point.status == DONE for point in trial.points):
        return
    for point in trial.points:
        point.status = STOPPED


@dataclass(slots=True)
class Listed:
    """All candidates at once; at each rung the best part of them goes on (successive halving)."""

    waiting: list[Trial]
    rungs: list[int]
    keep: float = 1.0
    _open: int = field(init=False)
    _reached: list[Trial] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._open = len(self.waiting)

    def more(self, room: int) -> list[Trial]:
        """Return the next trials of the list."""
        found, self.waiting = self.waiting[:room], self.waiting[room:]
        return found

    def judged(self, trial: Trial) -> list[Trial]:
        """Return the best part of the trials, once all of them have come to the rung."""
        self._open -= 1
        if trial.lost is None:
            self._reached.append(trial)
        if self._open or trial.rung + 1 == len(self.rungs):
            return []
        ranked = sorted(self._reached, key=lambda t: self._key(t, self.rungs[t.rung]))
        count = max(1, ceil(len(ranked) * self.keep))
        for late in ranked[count:]:
            stop(late)
        best = ranked[:count]
        for each in best:
            each.resume()
        self._open, self._reached = len(best), []
        for each in best:
            each.rung += 1
        return best

    @staticmethod
    def _key(trial: Trial, epochs: int) -> tuple[float, int]:
        score = trial.score(epochs)
        assert score is not None
        return (-score if trial.rising else score, trial.candidate.number)


class Sampled:
    """Candidates that Optuna asks for, one after another; ``BASE`` in the folder keeps what it knows.

    Args:
        study: what to ask for.
        space: its axes.
        folder: of the study.
        rungs: epochs at which trials are compared.
        plan: makes the trial of a candidate.

    Raises:
        MissingPackage: without Optuna.
    """

    def __init__(
        self, study: Study, space: Space, folder: Path, rungs: list[int], plan: Callable[[Combination], Trial]
    ) -> None:
        self._optuna = optuna = required("optuna", f"sampler {study.sampler}")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._objectives, self._rungs, self._plan = space, study.objectives, rungs, plan
        self._left, self._unfit = study.points or 0, 0
        samplers = {
            "tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler,
            "gp": optuna.samplers.GPSampler,
        }  # fmt: skip
        pruner = optuna.pruners.NopPruner()
        if study.halving is not None:
            factor = max(2, round(1 / study.halving.keep))
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=rungs[0], reduction_factor=factor)
        # Other axes are other questions, which the same file may hold beside each other.
        question = study.model_dump_json(include={"axes", "objectives", "sampler", "halving", "base"})
        self._study = optuna.create_study(
            storage=f"sqlite:///{folder / BASE}",
            study_name=f"{study.name}-{sha256(question.encode()).hexdigest()[:8]}",
            pruner=pruner, directions=[_direction(name) for name in study.objectives], load_if_exists=True,
        )  # fmt: skip
        # One that goes on must not draw again what it drew at first.
        begun = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = samplers[study.sampler](seed=study.sampler_seed + begun)
        self._recall()

    def _recall(self) -> None:
        """Count what was told before; what a killed study was at is asked for again, first."""
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.state.is_finished():
                self._left -= 1
                self._plan(self._candidate(frozen.number, frozen.params))
            elif frozen.params:
                self._study.enqueue_trial(frozen.params)
                self._study.tell(frozen.number, state=self._optuna.trial.TrialState.FAIL)
                self._left -= 1
        waiting = self._optuna.trial.TrialState.WAITING
        self._left += len(self._study.get_trials(deepcopy=False, states=(waiting,)))

    def _candidate(self, number: int, params: Mapping[str, Any]) -> Combination:
        chosen = {
            axis.name: axis.values[params[axis.name]] if axis.values else params[axis.name]
            for axis in self._space.axes
        }
        return self._space.candidate(number, chosen)

    def more(self, room: int) -> list[Trial]:
        """Ask for trials until so many of them fit, or too many in a row do not."""
        found: list[Trial] = []
        while self._left > 0 and len(found) < room and self._unfit < PATIENCE:
            self._left -= 1
            handle = self._study.ask(self._distributions())
            trial = self._plan(self._candidate(handle.number, handle.params))
            trial.handle = handle
            under_way = trial.repeated and any(point.status == WAITING for point in trial.points)
            if trial.lost is not None or under_way:
                self._failed(trial)
                self._unfit += 1
            else:
                found.append(trial)
                self._unfit = 0
        return found

    def judged(self, trial: Trial) -> list[Trial]:
        """Tell the sampler; a trial that is not stopped goes on to the next rung."""
        values = [trial.objective(name) for name in self._objectives]
        known = [value for value in values if value is not None]
        if trial.lost is not None or len(known) < len(values):
            self._failed(trial)
            return []
        sign = 1 if trial.rising else -1
        if trial.rung + 1 < len(self._rungs):
            score = trial.score(self._rungs[trial.rung])
            assert score is not None
            trial.handle.report(sign * score, self._rungs[trial.rung])
            if trial.handle.should_prune():
                stop(trial)
                self._study.tell(trial.handle, state=self._optuna.trial.TrialState.PRUNED)
                return []
            trial.rung += 1
            trial.resume()
            return [trial]
        told = [
            sign * value if name == METRIC else value
            for name, value in zip(self._objectives, known, strict=True)
        ]
        self._study.tell(trial.handle, told)
        return []

    def _failed(self, trial: Trial) -> None:
        self._study.tell(trial.handle, state=self._optuna.trial.TrialState.FAIL)

    def _distributions(self) -> dict[str, Any]:
        make = self._optuna.distributions
        found: dict[str, Any] = {}
        for axis in self._space.axes:
            if axis.range is None:
                found[axis.name] = make.CategoricalDistribution(list(range(len(axis.values))))
                continue
            low, high, log = axis.range.low, axis.range.high, axis.range.log
            if axis.range.whole:
                found[axis.name] = make.IntDistribution(int(low), int(high), log=log)
            else:
                found[axis.name] = make.FloatDistribution(low, high, log=log)
        return found


def _direction(name: str) -> str:
    """Return where an objective should go; metrics that should be small are told with their sign changed."""
    return "maximize" if name == METRIC or name in LARGER_IS_BETTER else "minimize"


def listed(space: Space) -> Iterator[Combination]:
    """Return the candidates of a grid, or those drawn at random."""
    return space.grid() if space.study.sampler == "grid" else space.random()
