"""A run that lies in a folder, as sections: what ``Run.sections`` says, as far as ``run.json`` knows it."""

from __future__ import annotations

from pathlib import Path

from mcusim.core import BadRun
from mcusim.core.boundary import reads
from mcusim.sections.kinds import Curve, Facts, Headline, Section, Series, duration
from mcusim.session.protocol import Protocol
from mcusim.session.run import read_run
from mcusim.tasks.metric import Metric


@reads(BadRun, "resume the run, which writes it anew")
def saved_run(folder: str | Path) -> list[Section]:
    """Return the outcome, the sizes and the history of a saved run.

    Raises:
        BadRun: if the folder is no run, is damaged, or was written by another version.
    """
    data = read_run(folder)
    about = dict(data["metric"])
    before, after = about.pop("before"), about.pop("after")
    metric = Metric(**about)
    sram, flash, weights = data["sram"], data["flash"], data["weights"]
    said = f"{metric.name} {metric.text(before)} before, {metric.text(after)} after {data['steps']:,} steps"
    rows = [
        ("examples", str(Protocol.from_dict(data["examples"]))),
        ("SRAM", f"{sram['peak_bytes']:,} of {sram['budget_bytes']:,} B"),
        ("flash", f"{flash['total_bytes']:,} of {flash['capacity_bytes']:,} B"),
        ("learning", f"{weights['updated']:,} of {weights['conv_total']:,} convolution weights")
        if weights["conv_total"]
        else ("learning", f"{weights['updated']:,} weights"),
        ("formats", ", ".join(f"{part} {chosen}" for part, chosen in data["formats"].items())),
    ]
    if data["session"]["compute_s"] is not None:
        rows.append(("time on the device", duration(data["session"]["compute_s"]["value"])))
    found: list[Section] = [
        Headline(
            f"{data['model']} on {data['board']}, {data['task']}, update {data['update']}",
            said,
            metric.improved(before, after),
        ),
        Facts(rows),
    ]
    history = data["history"]
    if len(history) > 1:
        names = [name for name in history[0] if name != "epoch"]
        curves = [Curve(name.replace("_", " "), [float(row[name]) for row in history]) for name in names]
        found.append(Series("history", "epochs", curves))
    return found
