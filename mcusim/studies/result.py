"""What a study found: a table of runs, means over seeds, and who is beaten by nobody."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Literal

from mcusim.core.files import replacing
from mcusim.sections.kinds import Cell, Column, Command, Facts, Headline, Notes, Section, Table
from mcusim.sections.shown import Shown
from mcusim.session.experiment import FILE as RUN_FILE
from mcusim.studies.point import DONE, FAILED, STOPPED, UNFIT, WAITING, Point
from mcusim.studies.study import FIGURES, LARGER_IS_BETTER, Study
from mcusim.tasks.metric import Metric

if TYPE_CHECKING:
    import pandas as pd

RUNS = "runs"
STATES = (DONE, STOPPED, WAITING, FAILED, UNFIT)
SHOWN_REASONS = 5


@dataclass(frozen=True, slots=True)
class Mean:
    """A candidate over its seeds.

    Attributes:
        values: axis -> value.
        points: its points that are done.
        chosen: mean of what candidates are compared by.
        reported: mean of the metric on the reported examples, with ``spread``, the standard deviation over
            seeds (n - 1), ``None`` for one seed.
    """

    values: dict[str, Any]
    points: tuple[Point, ...]
    chosen: float
    reported: float
    spread: float | None

    def figure(self, name: str) -> float | None:
        """Return a figure of the plan; the seeds share it."""
        value = self.points[0].figures.get(name)
        return None if value is None else float(value)


@dataclass(frozen=True)
class StudyResult(Shown):
    """All points of a study.

    Attributes:
        study: what was asked.
        folder: where its runs lie.
        points: every point that was planned, in the order of the study.
    """

    study: Study
    folder: Path
    points: tuple[Point, ...]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a point: its values, its state, what the plan says, what training gave."""
        import pandas as pd

        return pd.DataFrame([self._row(point) for point in self.points])

    @cached_property
    def means(self) -> tuple[Mean, ...]:
        """Candidates of which every seed is done, the best by what they are compared by first."""
        found: dict[str, list[Point]] = {}
        for point in self.points:
            found.setdefault(json.dumps(dict(point.values), sort_keys=True, allow_nan=False), []).append(
                point
            )
        whole = [points for points in found.values() if all(point.status == DONE for point in points)]
        rows = []
        for points in whole:
            chosen = [point.score() for point in points]
            after = [float(point.result["metric"]["after"]) for point in points]
            known = [score for score in chosen if score is not None]
            spread = stdev(after) if len(after) > 1 else None
            rows.append(Mean(dict(points[0].values), tuple(points), fmean(known), fmean(after), spread))
        rising = self.metric is None or self.metric.higher_is_better
        return tuple(sorted(rows, key=lambda row: -row.chosen if rising else row.chosen))

    @property
    def best(self) -> Mean | None:
        """The best candidate by what they are compared by; ``None`` if none is done."""
        return self.means[0] if self.means else None

    @cached_property
    def metric(self) -> Metric | None:
        """What is measured; ``None`` before anything was trained."""
        for point in self.points:
            if point.result:
                about = point.result["metric"]
                return Metric(about["name"], about["unit"], about["higher_is_better"])
        return None

    def pareto(self, *figures: str) -> tuple[Mean, ...]:
        """Return the candidates that no other beats in the metric and in these figures at once.

        Args:
            figures: of ``peak_bytes``, ``flash_bytes``, ``step_ms``, ``step_mj``, ``write_backs``;
                ``peak_bytes`` if none is named.
        """
        names = figures or ("peak_bytes",)
        rows = [row for row in self.means if all(row.figure(name) is not None for name in names)]
        return tuple(row for row in rows if not any(self._beats(other, row, names) for other in rows))

    def _beats(self, one: Mean, other: Mean, names: Sequence[str]) -> bool:
        rising = self.metric is None or self.metric.higher_is_better
        pairs = [(one.chosen, other.chosen) if rising else (-one.chosen, -other.chosen)]
        for name in names:
            here, there = one.figure(name), other.figure(name)
            assert here is not None
            assert there is not None
            pairs.append((here, there) if name in LARGER_IS_BETTER else (-here, -there))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    def difference(self, one: Mean, other: Mean) -> float | None:
        """Return the p-value of Welch's t test that two candidates are equally good; ``None`` for few seeds.

        Raises:
            MissingPackage: without SciPy.
        """
        from mcusim.studies.optional import required

        first, second = (
            [float(point.result["metric"]["after"]) for point in mean.points] for mean in (one, other)
        )
        if min(len(first), len(second)) < 2:
            return None
        known = [number for each in (first, second) for number in (fmean(each), stdev(each), len(each))]
        if not known[1] and not known[4]:
            return None
        stats = required("scipy.stats", "a test of significance")
        return float(stats.ttest_ind_from_stats(*known, equal_var=False).pvalue)

    def count(self, status: str) -> int:
        """Return how many points have a state."""
        return sum(point.status == status for point in self.points)

    def command(self, point: Point) -> str:
        """Return the line that gives a run again."""
        return f"mcusim train {self.folder / RUNS / point.key / RUN_FILE} --out again"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "study": self.study.name, "folder": str(self.folder),
            "counts": {status: self.count(status) for status in STATES},
            "metric": None if self.metric is None else self.metric.as_dict(),
            "points": [{**self._row(point), "values": dict(point.values)} for point in self.points],
            "means": [
                {
                    "values": row.values, "seeds": len(row.points), "chosen": row.chosen,
                    "reported": row.reported, "spread": row.spread,
                    **{name: row.figure(name) for name in FIGURES},
                }
                for row in self.means
            ],
        }  # fmt: skip

    def save(self) -> None:
        """Write ``table.csv`` and ``table.parquet`` into the folder of the study.

        Raises:
            SaveFailed: if the folder cannot be written.
        """
        table = self.table
        with replacing(self.folder / "table.csv") as file:
            file.write(table.to_csv(index=False).encode())
        with replacing(self.folder / "table.parquet") as file:
            table.astype(dict.fromkeys(self._mixed(table), str)).to_parquet(file, index=False)

    def sections(self, most: int = 20) -> list[Section]:
        """Return the best candidates, what did not come to an end and why, and how to repeat the first."""
        counts = ", ".join(f"{self.count(s)} {s}" for s in STATES if self.count(s))
        found: list[Section] = [Headline(f"study {self.study.name}", f"{len(self.points)} points, {counts}")]
        if self.means:
            found += [self._means(most), *self._protocol()]
        reasons = [point for point in self.points if point.status in (FAILED, UNFIT)]
        if reasons:
            said = (f"{_said(point.values)}: {point.status}: {point.reason}" for point in reasons)
            lines = list(dict.fromkeys(said))  # once for all seeds
            rest = len(lines) - SHOWN_REASONS
            more = [f"and {rest} more, see table.csv"] if rest > 0 else []
            found.append(Notes([*lines[:SHOWN_REASONS], *more]))
        if self.best is not None:
            found.append(Command(self.command(self.best.points[0]), "the first one again:"))
        return found

    def _means(self, most: int) -> Table:
        metric = self.metric
        assert metric is not None
        kind: Literal["share", "number"] = "share" if metric.unit == "%" else "number"
        part = self.points_done[0].result["examples"]["reported"]
        names = list(self.means[0].values)
        held = any(point.result["examples"]["validation"] for point in self.points_done)
        chosen = held and part != "validation"
        front = {id(row) for row in self.pareto()}
        columns = [
            *(Column(name, kind="name") for name in names),
            *([Column("validation", kind=kind, digits=2)] if chosen else []),
            Column(f"{part} {metric.name}", kind=kind, digits=2), Column("±", kind=kind, digits=2),
            Column("seeds", kind="number", priority=2), Column("peak", "B", "number"),
            Column("time a step", "ms", "number", 1), Column("front", priority=3),
        ]  # fmt: skip
        rows: list[list[Cell]] = [
            [
                *(_cell(row.values[name]) for name in names), *([row.chosen] if chosen else []), row.reported,
                row.spread, len(row.points), row.points[0].figures["peak_bytes"], row.figure("step_ms"),
                "yes" if id(row) in front else "",
            ]
            for row in self.means[:most]
        ]  # fmt: skip
        return Table(columns, rows)

    def _protocol(self) -> list[Section]:
        from mcusim.session.protocol import Protocol

        said = {str(Protocol.from_dict(point.result["examples"])) for point in self.points_done}
        return [Facts([("examples", "; ".join(sorted(said)))])]

    @property
    def points_done(self) -> list[Point]:
        """The points that are done."""
        return [point for point in self.points if point.status == DONE]

    def _row(self, point: Point) -> dict[str, Any]:
        result = point.result
        metric = result.get("metric", {})
        session = result.get("session", {})
        return {
            "key": point.key, **{name: _cell(value) for name, value in point.values.items()},
            "seed": point.seed, "status": point.status, "reason": point.reason,
            "epochs": len(point.rows), "chosen": point.score(), "before": metric.get("before"),
            "after": metric.get("after"), "reported": result.get("examples", {}).get("reported"),
            **{name: point.figures.get(name) for name in (*FIGURES, "weights", "ratio")},
            "session_s": _value(session.get("compute_s")), "session_mj": _value(session.get("energy_mj")),
            "wall_s": point.wall_s, "folder": f"{RUNS}/{point.key}",
        }  # fmt: skip

    @staticmethod
    def _mixed(table: pd.DataFrame) -> list[str]:
        """Return the columns of values of several types, which no file of columns can hold."""
        return [
            name for name in table.columns if len({type(v) for v in table[name].dropna()} - {float, int}) > 1
        ]


def _said(values: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "the point"


def _cell(value: Any) -> Cell:
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _value(figure: Any) -> float | None:
    return None if not figure else float(figure["value"]) if isinstance(figure, dict) else float(figure)
