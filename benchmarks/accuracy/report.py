"""Make the table and the figure of all accuracy runs: ``python benchmarks/accuracy/report.py``.

Reads every study in a folder and the CSV that ``run.py`` wrote beside it, and writes ``comparison.md``,
``comparison.csv`` and ``comparison.png``. A run without a result is listed with dashes; one with fewer epochs
than its study asks for says so. What stands before the colon of a study's note is its heading.
"""

from __future__ import annotations

import argparse
import csv
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import mcusim
from mcusim.core import SRAM_ROLES
from mcusim.core.files import replacing
from mcusim.session.experiment import Experiment
from mcusim.studies.axes import Combination, Space

HERE = Path(__file__).parent
DASH = "-"
BUDGET_BYTES = 262_144
LONG = 5
"""Epochs from which a run is more than a comparison of schemes."""
AXIS = "run"
HEADLINE = "Headline"
PAPER = (("Li and Chang, 2 % an iteration", 85.77), ("tiny-training, 23 %", 86.99))
"""Published accuracies of MobileNetV2-w0.35 or MobileNetV2 on CIFAR-10, for the figure."""


@dataclass(frozen=True)
class Result:
    """One run of a study and the rows of the last epoch of each seed, empty if it has not been run."""

    name: str
    group: str
    """The heading that the note of its study gives."""
    wanted: Experiment
    said: dict[str, str]
    """Formats that the study names."""
    last: list[dict[str, str]]

    def numbers(self, column: str) -> list[float]:
        """Return the values of a column, one a seed; none where a cell is empty or absent."""
        return [float(row[column]) for row in self.last if row.get(column)]

    def mean(self, column: str) -> float | None:
        """Return the mean over seeds."""
        values = self.numbers(column)
        return fmean(values) if values else None

    def spread(self, column: str) -> float | None:
        """Return the standard deviation over seeds; ``None`` for fewer than two."""
        values = self.numbers(column)
        return stdev(values) if len(values) > 1 else None

    @property
    def epochs(self) -> int:
        """Epochs that the file asks for."""
        return self.wanted.training.epochs

    @property
    def network(self) -> str:
        """The network, or the file that it is in, and the size of its pictures if that is another."""
        side = f" ({self.wanted.resolution} px)" if self.wanted.resolution else ""
        return f"{Path(str(self.wanted.model)).name.removesuffix('.npz')}{side}"

    @property
    def accuracy(self) -> str:
        """Test accuracy in percent after the last epoch: mean ± standard deviation over seeds."""
        mean, spread = self.mean("test_accuracy"), self.spread("test_accuracy")
        if mean is None:
            return DASH
        text = f"{100 * mean:.2f}" + ("" if spread is None else f" ± {100 * spread:.2f}")
        done = min(int(row["epoch"]) for row in self.last)
        return text if done >= self.epochs else f"{text} (epoch {done} of {self.epochs})"


def read(folder: Path) -> list[Result]:
    """Return every run of the studies of a folder, in the order of headings and names."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        study = mcusim.Study.read(path)
        head, _, _ = study.note.partition(": ")
        rows: list[dict[str, str]] = []
        if path.with_suffix(".csv").exists():
            with path.with_suffix(".csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
        with chdir(HERE.resolve().parents[1]):  # from where a study names its files
            found += [
                _result(head, each, [row for row in rows if row[AXIS] == each.values[AXIS]])
                for each in Space(study).grid()
            ]
    return sorted(found, key=lambda r: (not r.group.startswith(HEADLINE), r.group, r.network, r.name))


def _result(group: str, run: Combination, rows: list[dict[str, str]]) -> Result:
    last: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["seed"] not in last or int(row["epoch"]) > int(last[row["seed"]]["epoch"]):
            last[row["seed"]] = row
    said = {**run.data.get("formats", {}), **({"head": run.data["head"]} if "head" in run.data else {})}
    results = [last[seed] for seed in sorted(last, key=int)]
    return Result(run.values[AXIS], group, run.experiment(0), said, results)


def roles(results: list[Result]) -> list[str]:
    """Return the memory roles that any run has."""
    names = {
        column.removesuffix("_bytes")
        for result in results for row in result.last for column, value in row.items()
        if column.endswith("_bytes") and column != "peak_bytes" and value not in ("", "0", None)
    }  # fmt: skip
    known = [str(role) for role in SRAM_ROLES]
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def cells(result: Result, by_role: list[str]) -> dict[str, str]:
    """Return one line of the table, by column."""

    def text(column: str, form: str, scale: float = 1.0) -> str:
        value = result.mean(column)
        return DASH if value is None else form.format(value * scale)

    row = {
        "run": result.name,
        "network": result.network,
        "scheme": result.wanted.update,
        "formats": ", ".join(f"{k} {v}" for k, v in result.said.items()) or "default",
        "epochs": str(result.epochs),
        "accuracy %": result.accuracy,
        "seeds": str(len(result.last)) if result.last else DASH,
        "peak B": text("peak_bytes", "{:,.0f}"),
    }
    row |= {role: text(f"{role}_bytes", "{:,.0f}") for role in by_role}
    return row | {
        "learns %": text("ratio", "{:.2f}", 100),
        "features saved %": text("feature_reduction", "{:.2f}", 100),
        "ms a step": text("step_ms", "{:,.0f}"),
        "coverage %": text("coverage", "{:.1f}", 100),
        "saturations": text("saturations", "{:,.0f}"),
    }


def markdown(results: list[Result]) -> str:
    """Return the table, one part for each heading."""
    by_role = roles(results)
    lines = [
        "# Accuracy on CIFAR-10's 10,000 test images", "",
        "Made by `python benchmarks/accuracy/report.py`. Accuracy: after the last epoch, mean ± standard "
        "deviation over seeds. Bytes of each role: at the fullest moment of a step; with the holes of the "
        "placement they add up to the peak. Features saved: against dense training. A dash: not run yet, or "
        "not known.",
    ]  # fmt: skip
    group = None
    for result in results:
        row = cells(result, by_role)
        if result.group != group:
            group = result.group
            lines += [
                "",
                f"## {group}",
                "",
                f"| {' | '.join(row)} |",
                "|---" * 4 + "|---:" * (len(row) - 4) + "|",
            ]
        lines.append("| " + " | ".join(f"`{v}`" if k == "scheme" else v for k, v in row.items()) + " |")
    return "\n".join(lines) + "\n"


def table(results: list[Result]) -> str:
    """Return the table as CSV, with the heading as its first column."""
    by_role = roles(results)
    rows = [{"group": result.group, **cells(result, by_role)} for result in results]
    header = list(rows[0]) if rows else ["group"]
    plain = [
        [row[name].replace(",", "" if row[name][:1].isdigit() else ";") for name in header] for row in rows
    ]
    return "\n".join(",".join(line) for line in [header, *plain]) + "\n"


def draw(results: list[Result], path: Path) -> None:
    """Draw accuracy against peak SRAM of every run that has a result, formats studies left out.

    Runs too short to show more than how schemes compare have a panel of their own.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    shown = [r for r in results if r.mean("test_accuracy") and not r.group.startswith("Formats")]
    networks = sorted({r.network for r in shown})
    colours = {network: f"C{number}" for number, network in enumerate(networks)}
    panels = {
        f"{LONG} epochs and more": [r for r in shown if r.epochs >= LONG],
        f"fewer than {LONG} epochs": [r for r in shown if r.epochs < LONG],
    }
    filled = {title: runs for title, runs in panels.items() if runs} or {"no results yet": []}
    heights = [0.18 * max(len(runs), 24) + 0.8 for runs in filled.values()]
    figure = Figure(figsize=(8, sum(heights) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    labelled = []
    places = figure.subplots(len(filled), 2, squeeze=False, width_ratios=(3, 1), height_ratios=heights)
    for (axes, beside), (title, runs) in zip(places, filled.items(), strict=True):
        axes.set_title(title, fontsize=10)
        labelled.append((axes, beside, _panel(axes, runs, colours)))
    marks = [Line2D([], [], marker="o", linestyle="", color=c, label=n) for n, c in colours.items()]
    figure.legend(handles=marks, loc="outside upper center", ncols=2, fontsize=8)
    for axes, beside, labels in labelled:
        _label(axes, beside, labels)
    with replacing(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix("."), dpi=150)


def _panel(axes: Any, runs: list[Result], colours: dict[str, str]) -> list[tuple[float, float, str, str]]:
    """Draw runs as points, those far above the budget as lines; return what to write where."""
    labels = []
    for network, colour in colours.items():
        for run in (run for run in runs if run.network == network):
            x, y = (run.mean("peak_bytes") or 0) / 1024, 100 * (run.mean("test_accuracy") or 0)
            name = run.name.removeprefix("long-").removeprefix(f"{network.split('-')[0]}-")
            if x * 1024 > 2 * BUDGET_BYTES:
                axes.axhline(y, color=colour, linestyle=":", linewidth=1)
                labels.append((0.0, y, f"{name}: {x:,.0f} KiB", colour))
                continue
            error = 100 * (run.spread("test_accuracy") or 0)
            axes.errorbar(x, y, error or None, fmt="o", color=colour, markersize=6, capsize=3)
            labels.append((x, y, name, colour))
    for number, (name, value) in enumerate(PAPER):
        axes.axhline(value, color="0.6", linestyle="--", linewidth=1)
        axes.annotate(
            f"{name}: {value}", (0.01, value), (0, (-10, 3)[number]), xycoords=("axes fraction", "data"),
            textcoords="offset points", fontsize=8, color="0.4",
        )  # fmt: skip
    axes.axvline(BUDGET_BYTES / 1024, color="0.3", linewidth=1)
    axes.annotate(
        "256 KiB", (BUDGET_BYTES / 1024, 0.01), (-3, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", fontsize=8, ha="right",
    )  # fmt: skip
    axes.set_xlabel("peak SRAM of a training step, all roles counted (KiB)")
    axes.set_ylabel("accuracy on CIFAR-10's test images (%)")
    axes.margins(x=0.12)
    left, right = axes.get_xlim()
    axes.set_xlim(left - 0.16 * (right - left))  # room for the names of the published figures
    axes.grid(alpha=0.25)
    return labels


def _label(axes: Any, beside: Any, labels: list[tuple[float, float, str, str]]) -> None:
    """Number the points from the most accurate on, and list what the numbers mean beside the panel.

    A number that would cover another goes to the nearest free place; a run drawn as a line has a dash.
    """
    axes.figure.canvas.draw()
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    height, width, dot = (top - bottom) * 0.032, (right - left) * 0.017, (right - left) * 0.008
    points = [(x - dot, x + dot, y) for x, y, _, _ in labels if x]
    taken: list[tuple[float, float, float]] = []
    ranked = sorted(labels, key=lambda item: -item[1])
    beside.axis("off")
    for number, (x, y, name, colour) in enumerate(ranked, 1):
        beside.annotate(
            f"{number if x else '–'}  {name}  {y:.1f}", (0, 1 - (number - 0.5) / max(len(ranked), 24)),
            xycoords="axes fraction", fontsize=8, color=colour, va="center", annotation_clip=False,
        )  # fmt: skip
        if not x:
            continue
        long = width * len(str(number))

        def free(start: float, at: float, long: float = long) -> bool:
            return bottom < at < top and not any(
                abs(at - other) < height and start < end and begin < start + long
                for begin, end, other in (*taken, *points)
            )

        starts = (x + 1.5 * dot, x - 1.5 * dot - long)
        near = ((start, y + sign * step * height / 4) for step in range(160) for sign in (1, -1)
                for start in starts)  # fmt: skip
        start, at = next((place for place in near if free(*place)), (starts[0], y))
        taken.append((start, start + long, at))
        if abs(at - y) > height / 2:
            axes.plot([x, start + long / 2], [y, at], color=colour, linewidth=0.5, zorder=1)
        axes.annotate(str(number), (start + long / 2, at), fontsize=8, color=colour, va="center", ha="center")


def main() -> None:
    """Write table and figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=HERE, help="where the runs are")
    parser.add_argument("--out", type=Path, help="where to write; the same folder if not given")
    parser.add_argument("--no-figure", action="store_true")
    arguments = parser.parse_args()
    results = read(arguments.folder)
    out = arguments.out or arguments.folder
    text = markdown(results)
    for name, content in (("comparison.md", text), ("comparison.csv", table(results))):
        with replacing(out / name) as file:
            file.write(content.encode())
    if not arguments.no_figure:
        draw(results, out / "comparison.png")
    print(text)


if __name__ == "__main__":
    main()
