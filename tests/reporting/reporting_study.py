"""A study that nobody had to train: two schemes, three rates, two seeds; one scheme does not fit."""

from __future__ import annotations

from pathlib import Path

from mcusim.session.experiment import Experiment
from mcusim.studies.point import DONE, UNFIT, Point
from mcusim.studies.result import StudyResult
from mcusim.studies.study import Study


def some_study(folder: Path) -> StudyResult:
    """Return twelve points: two schemes, three rates, two seeds, those of ``dense`` not fitting."""
    study = Study(name="some", axes={"update": ["head", "dense"], "sgd.lr": [1, 2, 3], "seed": [0, 1]})
    points = []
    for number in range(12):
        update, lr, seed = ("head", "dense")[number // 6], 1 + number // 2 % 3, number % 2
        wanted = Experiment(model="net", board="nrf52840", seed=seed)
        point = Point(f"k{number}", number // 2, seed, {"update": update, "sgd.lr": lr}, wanted)
        point.figures = {"peak_bytes": 1000 * (number + 1), "flash_bytes": 5000, "step_ms": 2.0 + lr,
                         "step_mj": None, "write_backs": 10, "weights": 3, "ratio": 0.1}  # fmt: skip
        point.status, point.reason = (UNFIT, "too large") if update == "dense" else (DONE, "")
        if point.status == DONE:
            row = {"epoch": 1.0, "test_accuracy": 0.5 + lr / 10 + seed / 50}
            examples = {"train": 2, "validation": 0, "test": 2, "validation_seed": None, "evaluate": "epoch",
                        "reported": "test"}  # fmt: skip
            about = {"name": "accuracy", "unit": "%", "higher_is_better": True}
            point.result = {"rows": [row], "examples": examples,
                            "metric": {**about, "before": 0.1, "after": row["test_accuracy"]}}  # fmt: skip
        points.append(point)
    return StudyResult(study, folder, tuple(points))
