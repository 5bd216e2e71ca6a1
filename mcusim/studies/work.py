"""Training one point, in whatever process or machine it is sent to."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mcusim.core import McusimError
from mcusim.graph import Model
from mcusim.planning.plan import Plan
from mcusim.session.experiment import FILE as RUN_FILE
from mcusim.session.experiment import Experiment
from mcusim.session.run import RESULT, read_run
from mcusim.studies.point import DONE, FAILED, WAITING, Point

if TYPE_CHECKING:
    from mcusim.data.dataset import Dataset
    from mcusim.engine.front import Fronts

MARK = ".study"
"""A file in the folder of a study, by which a worker sees whether it shares that folder."""

ATTEMPTS = 3
"""Times a run is begun again whose worker died under it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A point to be trained up to an epoch.

    Attributes:
        folder: of the run, on the machine that keeps the study.
        mark: what the file ``MARK`` of the study holds.
        epochs: up to which to train now; it goes on later if the experiment has more.
    """

    key: str
    experiment: Experiment
    plan: Plan
    model: Model
    folder: Path
    mark: str
    epochs: int


@dataclass(slots=True)
class Ending:
    """What became of a job.

    Attributes:
        status: ``done``, ``waiting`` (as far as was asked, more to come) or ``failed``.
        files: of the run, where it was made out of reach of the study's folder.
    """

    key: str
    status: str
    reason: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    files: dict[str, bytes] = field(default_factory=dict)

    def enter(self, point: Point, folder: Path) -> None:
        """Put it into the record of its point, and the files into its folder."""
        for name, content in self.files.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        point.status, point.reason = self.status, self.reason
        point.result = self.result or point.result
        point.wall_s = round(point.wall_s + self.wall_s, 3)
        point.write(folder)


def train_point(job: Job, data: Dataset, fronts: Fronts | None = None) -> Ending:
    """Train a point from where it is, and say what came of it; only an interrupt is raised.

    ``fronts`` are what the runs of a process share.
    """
    started = perf_counter()
    try:
        shared = _shares(job)
        folder = job.folder if shared else Path(tempfile.gettempdir()) / f"mcusim-{job.mark}-{job.key}"
        result = _trained(job, data, folder, fronts)
        status = DONE if (folder / RESULT).is_file() else WAITING
        outcome = Ending(job.key, status, "", result)
        if not shared:
            outcome.files = {
                path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")
            }
            if status == DONE:
                shutil.rmtree(folder, ignore_errors=True)
    except McusimError as error:
        outcome = Ending(job.key, FAILED, str(error))
    except Exception as error:  # a fault of the program: the study goes on, and names it
        outcome = Ending(job.key, FAILED, f"{type(error).__name__}: {error}")
    outcome.wall_s = perf_counter() - started
    return outcome


def _trained(job: Job, data: Dataset, folder: Path, fronts: Fronts | None) -> dict[str, Any]:
    from mcusim.session.protocol import divided
    from mcusim.session.training import Training
    from mcusim.update.scheme import scheme

    wanted = job.experiment
    recipe = wanted.training
    held = divided(data.named(job.model.inputs, job.model.outputs), recipe)
    training = Training(job.plan, scheme(wanted.update), held, recipe, whole=job.model, fronts=fronts)
    folder.mkdir(parents=True, exist_ok=True)
    rows = training.advance(folder, job.epochs)
    metric = training.goals.metric.as_dict()
    found: dict[str, Any] = {"rows": rows, "metric": metric, "examples": training.protocol.as_dict()}
    with suppress(McusimError):  # not whole yet
        run = read_run(folder)
        metric.update(before=run["metric"]["before"], after=run["metric"]["after"])
        found["session"] = run["session"]
    wanted.write(folder / RUN_FILE)
    return found


def _shares(job: Job) -> bool:
    with suppress(OSError):
        return (job.folder.parents[1] / MARK).read_text("utf-8") == job.mark
    return False


def alone() -> None:
    """Keep this process to one core: as many processes work as there are cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
