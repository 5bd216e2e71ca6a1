"""A study that lies in a folder, read back: finished, or as far as it has come."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from mcusim.core import BadRun
from mcusim.session.experiment import Experiment
from mcusim.studies.point import RECORD, VERSION, Point
from mcusim.studies.result import RUNS, StudyResult
from mcusim.studies.study import Study
from mcusim.studies.sweep import FILE

TABLE = "table.csv"


def open_study(folder: str | Path) -> StudyResult:
    """Return the points of a study that lies in a folder.

    Args:
        folder: that ``mcusim sweep`` wrote, or is writing.

    Raises:
        BadRun: if it is no folder of a study, or a record in it is damaged or of another version.
    """
    folder = Path(folder)
    if not (folder / FILE).is_file():
        raise BadRun(str(folder), f"has no {FILE}", "give the folder that sweep wrote")
    study = Study.read(folder / FILE)
    records = {path.parent.name: path for path in sorted((folder / RUNS).glob(f"*/{RECORD}"))}
    keys = [key for key in _order(folder) if key in records]
    keys += [key for key in records if key not in keys]
    return StudyResult(study, folder, tuple(_point(number, records[key]) for number, key in enumerate(keys)))


def _order(folder: Path) -> list[str]:
    """Return the keys of the points in the order of the study, once it has come to its end."""
    try:
        with (folder / TABLE).open(encoding="utf-8", newline="") as file:
            return [row["key"] for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []
    except (OSError, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise BadRun(str(folder / TABLE), f"is damaged ({error})", "carry the study out again") from error


def _point(number: int, path: Path) -> Point:
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["version"] != VERSION:
            raise BadRun(str(path), "is of another version", "remove that folder")
        return Point(
            data["key"], number, data["seed"], data["values"], Experiment.from_dict(data["experiment"]),
            data["status"], data["reason"], data["figures"], data["result"], data["wall_s"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRun(str(path), f"is damaged ({error})", "remove that folder") from error
