"""Predicted against measured cycles, every row left out of the fit that predicts it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def draw(rows: Sequence[dict[str, object]], path: Path) -> None:
    """Draw measured cycles against held-out predictions, one panel a set, with a band of 10 %."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [r for r in rows if r["held_out_error"] != ""]
    sets = list(dict.fromkeys(str(r["set"]) for r in shown))
    figure, axes = plt.subplots(1, len(sets), figsize=(4.2 * len(sets), 4.4), layout="constrained")
    markers = {"cortex-m4": "o", "cortex-m33": "s", "cortex-m7": "^", "cortex-m0plus": "D"}
    for axis, name in zip(axes, sets, strict=True):
        own = [r for r in shown if r["set"] == name]
        groups = list(dict.fromkeys(_label(r) for r in own))
        colours = plt.get_cmap("tab10")
        limits = [min(float(str(r["measured_cycles"])) for r in own) * 0.6]
        limits.append(max(float(str(r["measured_cycles"])) for r in own) * 1.6)
        axis.fill_between(limits, [0.9 * v for v in limits], [1.1 * v for v in limits], color="0.9", lw=0)
        axis.plot(limits, limits, color="0.5", lw=0.8)
        seen = set()
        for row in own:
            measured, error = float(str(row["measured_cycles"])), float(str(row["held_out_error"]))
            key = (_label(row), row["core"])
            axis.plot(
                measured, measured * (1 + error), markers[str(row["core"])],
                color=colours(groups.index(_label(row)) % 10), ms=6, mec="white", mew=0.5,
                label=None if key in seen else f"{key[0]}, {str(key[1]).removeprefix('cortex-')}",
            )  # fmt: skip
            seen.add(key)
        errors = [abs(float(str(r["held_out_error"]))) for r in own]
        axis.set(
            xscale="log", yscale="log", xlim=limits, ylim=limits, xlabel="measured cycles",
            title=f"{name}\nmean {sum(errors) / len(errors):.1%}, worst {max(errors):.1%}, {len(own)} rows",
        )  # fmt: skip
        axis.legend(fontsize=6.5, loc="upper left", frameon=False, ncols=1)
    axes[0].set_ylabel("predicted, network (layer) left out; grey: ±10 %")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _label(row: dict[str, object]) -> str:
    text = str(row["left_out_as"])
    return text.split()[1] if ":" in text else text
