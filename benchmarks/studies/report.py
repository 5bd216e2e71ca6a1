"""The result of a study as a table of schemes by sets: ``python benchmarks/studies/report.py table.csv``.

A row a network and scheme, a column a set: mean ± standard deviation over seeds of what is reported, in
percent; bytes of SRAM and time of a step, as a range where they differ between the sets.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

HERE = Path(__file__).parent
Row = dict[str, str]


def read(paths: list[Path]) -> list[Row]:
    """Return the rows of result files, what varies of them under the names ``model`` and ``scheme``."""
    rows = []
    for path in paths:
        with (path if path.exists() else HERE / path).open(newline="") as file:
            rows += [{**row, "scheme": row.get("scheme") or row["update"]} for row in csv.DictReader(file)]
    return rows


def cell(rows: list[Row]) -> str:
    """Return mean ± standard deviation over the seeds of one scheme on one set."""
    values = [100 * float(row["after"]) for row in rows if row["status"] == "done"]
    if not values:
        return rows[0]["status"] if rows else ""
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{fmean(values):.1f}{spread}"


def span(values: list[float], digits: int) -> str:
    """Return one number, or the smallest and the largest."""
    low, high = (f"{end:,.{digits}f}" for end in (min(values), max(values)))
    return low if low == high else f"{low} – {high}"


def lines(rows: list[Row], group: str) -> list[str]:
    """Return the table, a column a value of ``group``."""
    sets = list(dict.fromkeys(row[group] for row in rows))
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["model"], row["scheme"]].append(row)
    head = ["network", "scheme", *sets, "mean", "peak SRAM, B", "ms a step"]
    text = [f"| {' | '.join(head)} |", f"|---|---|{'---:|' * (len(head) - 2)}"]
    for (model, name), mine in sorted(found.items(), key=lambda item: list(found).index(item[0])):
        done = [row for row in mine if row["status"] == "done"]
        cells = [cell([row for row in mine if row[group] == one]) for one in sets]
        mean = f"{100 * fmean(float(row['after']) for row in done):.1f}" if done else "–"
        peak = span([float(row["peak_bytes"]) for row in mine], 0)
        text.append(f"| {model} | `{name}` | {' | '.join([*cells, mean, peak])} "
                    f"| {span([float(row['step_ms']) for row in mine], 0)} |")  # fmt: skip
    return text


def main() -> None:
    """Print the table, and how long all runs took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--by", default="task", help="axis of the columns")
    arguments = parser.parse_args()
    rows = read(arguments.results)
    print("\n".join(lines(sorted(rows, key=lambda row: row["model"]), arguments.by)))
    print(f"\n{sum(float(row['wall_s']) for row in rows) / 60:.0f} minutes of runs")


if __name__ == "__main__":
    main()
