"""One run of a study: planned, named by what its result rests on, and kept as a record beside its run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import BadRun, McusimError
from mcusim.core.files import replacing
from mcusim.engine.feature_cache import front_key
from mcusim.explore.compare import candidate as costed
from mcusim.graph import Model
from mcusim.planning.plan import Plan
from mcusim.planning.recipe import Recipe
from mcusim.session.experiment import Experiment
from mcusim.session.identity import device, program
from mcusim.session.protocol import divided
from mcusim.session.session import Session
from mcusim.studies.axes import Combination
from mcusim.studies.study import LARGER_IS_BETTER, Constraints

if TYPE_CHECKING:
    from mcusim.data.dataset import Dataset

RECORD = "point.json"
VERSION = 1
WAITING, DONE, STOPPED, FAILED, UNFIT = "waiting", "done", "stopped", "failed", "does not fit"
FREE = ("lr", "weight_rate", "bias_rate", "head_rate", "layer_rates")
"""Settings of the optimiser that no plan depends on."""
OF_NETWORK = (
    "model", "classes", "head", "resolution", "pixels", "adapters", "arithmetic", "strict", "output", "seed",
)  # fmt: skip
"""Settings that a network depends on, as it is loaded."""


@dataclass(slots=True)
class Point:
    """A candidate with one seed.

    Attributes:
        key: digest of all that the result rests on; names the folder of the run.
        status: ``waiting``, ``done``, ``stopped`` (early), ``failed`` or ``does not fit``.
        reason: why it failed or does not fit.
        figures: what the plan says: peak and flash bytes, time and energy of a step, write-backs.
        result: what training gave: metric before and after, on which examples, the rows of its epochs.
        wall_s: seconds it took here, in all processes that worked on it.
        plan, model: the plan and the whole network, while the study runs.
    """

    key: str
    candidate: int
    seed: int
    values: Mapping[str, Any]
    experiment: Experiment
    status: str = WAITING
    reason: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    plan: Plan | None = field(default=None, repr=False)
    model: Model | None = field(default=None, repr=False)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row an epoch, as far as it came."""
        return list(self.result.get("rows", ()))

    def score(self, epochs: int | None = None) -> float | None:
        """Return what candidates are compared by, after so many epochs or as far as it came.

        It is the metric on the validation examples; on the reported ones where none are held out, which no
        choice is made by.
        """
        rows = self.rows if epochs is None else self.rows[:epochs]
        if not rows or (epochs is not None and len(rows) < epochs):
            return None
        name = str(self.result["metric"]["name"]).replace(" ", "_")
        for part in ("validation", "test"):
            if f"{part}_{name}" in rows[-1]:
                return float(rows[-1][f"{part}_{name}"])
        after = self.result["metric"].get("after")
        return None if after is None or epochs is not None else float(after)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "version": VERSION, "key": self.key, "seed": self.seed, "values": dict(self.values),
            "status": self.status, "reason": self.reason, "figures": self.figures, "result": self.result,
            "wall_s": self.wall_s, "experiment": self.experiment.as_dict(),
        }  # fmt: skip

    def write(self, folder: Path) -> None:
        """Keep the record in the folder of the run, beside a run file that gives the run again."""
        with replacing(folder / RECORD) as file:
            file.write(json.dumps(self.as_dict(), indent=1, allow_nan=False).encode() + b"\n")

    def recall(self, folder: Path) -> bool:
        """Take over what an earlier process found out about the same run; return True if there was any.

        Raises:
            BadRun: if the record is damaged or of another version.
        """
        path = folder / RECORD
        try:
            data = json.loads(path.read_text("utf-8"))
            if data["version"] != VERSION or data["key"] != self.key:
                raise BadRun(str(path), "is of another version or run", "remove that folder")
            self.status, self.reason = data["status"], data["reason"]
            self.result, self.wall_s = data["result"], data["wall_s"]
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadRun(str(path), f"is damaged ({error})", "remove that folder") from error
        return True


class Points:
    """Plans the points of a study: each network is loaded, each data set opened and divided, and each
    different step planned once.
    """

    def __init__(self, limits: Constraints) -> None:
        self._limits = limits
        self._data: dict[str, tuple[Dataset, str]] = {}
        self._held: dict[str, Dataset] = {}
        self._models: dict[str, Model] = {}
        self._plans: dict[str, Plan | McusimError] = {}

    def point(self, candidate: Combination, seed: int) -> Point:
        """Return a point, planned: waiting, or recorded as one that does not fit or makes no sense."""
        wanted = candidate.experiment(seed)
        try:
            model = self.model(wanted)
            data, digest = self.data(wanted)
            held = self._divided(data, digest, wanted.training)
            plan = self._plan(wanted, Session(model, wanted.target(), settings=wanted.settings), held)
        except McusimError as error:
            key = _digest(wanted.as_dict(), program())
            return Point(key, candidate.number, seed, candidate.values, wanted, FAILED, str(error))
        identity = {
            **program(), **device(plan), "model": front_key(model, model.ops),
            "data": digest, "settings": plan.settings.as_dict(), "training": wanted.training.as_dict(),
        }  # fmt: skip
        point = Point(
            _digest(identity),
            candidate.number,
            seed,
            candidate.values,
            wanted,
            plan=plan,
            model=model,
        )
        point.figures = _figures(plan)
        reason = self._unfit(plan, point.figures)
        if reason:
            point.status, point.reason = UNFIT, reason
        return point

    def model(self, wanted: Experiment) -> Model:
        """Return the network of an experiment, loaded once."""
        name = _digest({name: getattr(wanted, name) for name in OF_NETWORK})
        if name not in self._models:
            self._models[name] = wanted.network().model
        return self._models[name]

    def data(self, wanted: Experiment) -> tuple[Dataset, str]:
        """Return the data set of an experiment, opened once, and a digest of all its examples."""
        model = self.model(wanted)
        name = f"{wanted.data} {wanted.front_end} {model.input.shape}"
        if name not in self._data:
            data = wanted.dataset(model)
            parts = {part: split.digest() for part, split in data.parts.items()}
            self._data[name] = (data, _digest(parts))
        return self._data[name]

    def _divided(self, data: Dataset, digest: str, recipe: Recipe) -> Dataset:
        """Return the data set with its validation part; where nothing is held out, as it is."""
        name = _digest(digest, recipe.validation, recipe.validation_seed)
        if name not in self._held:
            self._held[name] = divided(data, recipe)
        return self._held[name]

    def _plan(self, wanted: Experiment, session: Session, data: Dataset) -> Plan:
        """Return the plan; experiments that differ in nothing a plan depends on share one."""
        sgd = replace(wanted.sgd, **{name: getattr(type(wanted.sgd)(), name) for name in FREE})
        same = replace(wanted, seed=0, sgd=sgd, note="", training=type(wanted.training)())
        key = _digest(same.as_dict(), data.name)
        if key not in self._plans:
            try:
                self._plans[key] = session.plan_for(data, suggest=False)
            except McusimError as error:
                self._plans[key] = error
        found = self._plans[key]
        if isinstance(found, McusimError):
            raise found
        return replace(found, settings=replace(found.settings, seed=wanted.seed, sgd=wanted.sgd))

    def _unfit(self, plan: Plan, figures: Mapping[str, Any]) -> str:
        try:
            plan.require()
        except McusimError as error:
            return str(error)
        for name, most in self._limits.model_dump().items():
            if most is None:
                continue
            found = figures[name]
            if found is None:
                return f"{name} is not known for {plan.board.name}, and the study limits it"
            if found < most if name in LARGER_IS_BETTER else found > most:
                word = "below" if name in LARGER_IS_BETTER else "above"
                return f"{name} {found:,.6g} is {word} the limit {most:,.6g}"
        return ""


def _figures(plan: Plan) -> dict[str, Any]:
    cost = costed(plan).as_dict()
    return {
        "peak_bytes": plan.peak_bytes, "flash_bytes": plan.flash.total_bytes,
        "step_ms": None if cost["step_ms"] is None else cost["step_ms"]["value"],
        "step_mj": None if cost["step_mj"] is None else cost["step_mj"]["value"],
        "write_backs": cost["write_backs"],
        "weights": cost["weights_updated"],
        "ratio": plan.as_dict()["weights"]["ratio"],
    }  # fmt: skip


def _digest(*things: Any) -> str:
    text = json.dumps(things, sort_keys=True, default=str, allow_nan=False)
    return sha256(text.encode()).hexdigest()[:16]
