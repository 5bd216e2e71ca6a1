"""Predicted against measured cycles, every family left out of the fit that predicts it, with its band."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MARKERS = {"cortex-m4": "o", "cortex-m33": "s", "cortex-m7": "^", "cortex-m0plus": "D", "xtensa-lx7": "P"}


def draw(rows: Sequence[dict[str, object]], path: Path) -> None:
    """Draw measured cycles against predictions with their 90 % bands, one panel a library and core kind."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [r for r in rows if r["left_out_error"] != ""]
    panels: dict[str, list[dict[str, object]]] = {}
    for row in shown:
        panels.setdefault(_library(row), []).append(row)
    columns = 3
    figure, axes = plt.subplots(
        -(-len(panels) // columns), columns, figsize=(4.6 * columns, 4.5 * -(-len(panels) // columns)),
        layout="constrained",
    )  # fmt: skip
    colours = plt.get_cmap("tab10")
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (name, own) in zip(axes.flat, panels.items(), strict=False):
        families = list(dict.fromkeys(str(r["left_out_as"]) for r in own))
        measured = [float(str(r["measured_cycles"])) for r in own]
        limits = [min(measured) * 0.5, max(measured) * 2]
        axis.plot(limits, limits, color="0.5", lw=0.8)
        seen = set()
        for row, cycles in zip(own, measured, strict=True):
            predicted = cycles * (1 + float(str(row["left_out_error"])))
            low, high = float(str(row["band_low"])), float(str(row["band_high"]))
            group = str(row["left_out_as"])
            colour = colours(families.index(group) % 10)
            axis.plot([cycles, cycles], [low, high], color=colour, lw=1.2, alpha=0.45, solid_capstyle="butt")
            label = (group, str(row["core"]).removeprefix("cortex-"))
            axis.plot(
                cycles, predicted, MARKERS[str(row["core"])], color=colour, ms=4.5, mec="white", mew=0.4,
                label=None if label in seen else ", ".join(label),
            )  # fmt: skip
            seen.add(label)
        errors = [abs(float(str(r["left_out_error"]))) for r in own]
        inside = sum(int(str(r["inside"])) for r in own) / len(own)
        axis.set(
            xscale="log", yscale="log", xlim=limits, ylim=limits, xlabel="measured cycles",
            title=f"{name}: {len(own)} rows\nmean {sum(errors) / len(errors):.1%}, worst {max(errors):.0%}, "
            f"{inside:.0%} in the band",
        )  # fmt: skip
        axis.legend(fontsize=6, loc="upper left", frameon=False, ncols=2)
    for axis in axes[:, 0]:
        axis.set_ylabel("predicted cycles, family left out; bars: 90 % band")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _library(row: dict[str, object]) -> str:
    name = str(row["profile"]).removeprefix(f"{row['core']}-")
    for key, title in (
        ("cubeai-10", "X-CUBE-AI 9.0 to 10.2"), ("cubeai-9", "X-CUBE-AI 9.0 to 10.2"),
        ("cubeai-8", "X-CUBE-AI 8.0 and 8.1"), ("cubeai-7", "X-CUBE-AI 7.1 and 7.3"),
        ("bosch", "Bosch HALE"), ("plumerai", "Plumerai"), ("cmsis-nn-microtvm", "CMSIS-NN (microTVM), TFLM"),
        ("tflm", "CMSIS-NN (microTVM), TFLM"), ("esp-nn", "ESP-NN on ESP32-S3, kernels left out"),
    ):  # fmt: skip
        if name.startswith(key):
            return title
    return "CMSIS-NN on M0+, layers left out"
