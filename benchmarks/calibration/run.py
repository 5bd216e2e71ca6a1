"""Fit every shipped profile, leave every network, chip and layer out once, write tables and a figure.

    MCUSIM_DATA=... python benchmarks/calibration/run.py

Writes ``mcusim/mcu/profiles/*.toml`` and, beside this file, ``rows.csv`` (every row with its errors),
``summary.csv``, ``carried.csv`` (one chip's constants on a sibling), ``ratio.csv`` (how the cost of a
fully connected MAC was chosen), ``sram.csv`` (what supposed wait states of SRAM would change),
``energy.csv``, ``training.csv`` (the one published training step) and ``predicted.png``. Deterministic:
running it again changes nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, median

from figure import draw
from layers import CHIP, CORE, FORMS, OTHER_KERNEL, layers
from sets import PROBES, SETS, MeasuredSet, measurements, network_works
from training import training_step

from mcusim.core import Work
from mcusim.mcu.cycles.calibrate import Fit, fit, held_out
from mcusim.mcu.cycles.form import network_form
from mcusim.mcu.cycles.measurement import Measurement
from mcusim.mcu.cycles.profile import Fitted, Profile
from mcusim.mcu.cycles.profile_writer import write_profile
from mcusim.mcu.default_terms import default_terms

HERE = Path(__file__).parent
PROFILES = HERE.parents[1] / "mcusim" / "mcu" / "profiles"
COMMAND = "python benchmarks/calibration/run.py"
CARRIED = (
    ("Bosch HALE 1.0.175", ("STM32F746NG", "STM32H7A3ZI"), SETS[1]),
    ("Bosch HALE 1.0.175", ("STM32L4R5ZI", "PSoC62"), SETS[1]),
    ("X-CUBE-AI 10.2", ("STM32U385RG", "STM32U575ZI"), SETS[0]),
)
REFERENCE = "cortex-m4"
RATIOS = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
SUPPOSED = (0, 2, 4, 8, 16, 32)
"""Wait states tried for the regions of SRAM nobody has a figure of."""

Row = dict[str, object]


def main() -> None:
    works = network_works()
    rows: list[Row] = []
    summary: list[Row] = []
    energy: list[Row] = []
    PROFILES.mkdir(exist_ok=True)
    for measured in SETS:
        new, lines, power = network_set(measured, works)
        rows += new
        summary += lines
        energy += power
    new, lines = rp2040()
    rows += new
    summary += lines
    save("rows.csv", rows)
    save("summary.csv", summary)
    save("carried.csv", carried(works))
    save("energy.csv", energy)
    save("ratio.csv", [ratio(probe, works, r) for probe in PROBES for r in RATIOS])
    save("sram.csv", [supposed(measured, works, w) for measured in SETS[:2] for w in SUPPOSED])
    save("training.csv", training_step())
    draw(rows, HERE / "predicted.png")
    for line in summary:
        print("  ".join(f"{v}" for v in line.values()))


def network_set(
    measured: MeasuredSet, works: dict[str, tuple[Work, ...]]
) -> tuple[list[Row], list[Row], list[Row]]:
    """Fit one library version on all its chips; return its rows, its summary and its energies."""
    found, sources = measurements(measured.framework, measured.chips, works)
    whole = fit(found, measured.form, REFERENCE)
    networks = held_out(found, measured.form, lambda m: m.group, REFERENCE)
    chips = held_out(found, measured.form, lambda m: m.chip, REFERENCE)
    rows = [
        line(measured.key, m, e, n, c)
        for m, e, n, c in zip(found, whole.errors, networks, chips, strict=True)
    ]
    summary = []
    for core in whole.speeds:
        index = [i for i, m in enumerate(found) if m.core == core]
        fitted = Fitted(
            data=f"mlperf_tiny.csv: {measured.framework} on {', '.join(sorted({m.chip for m in found}))}, "
            f"fitted together; fully connected MAC = {measured.ratio_from}",
            command=COMMAND, rows=len(found), constants=whole.free,
            mean_error=mean(whole.errors[i] for i in index),
            worst_error=worst(whole.errors[i] for i in index),
            held_out="network", held_out_mean_error=mean(networks[i] for i in index),
            held_out_worst_error=worst(networks[i] for i in index),
        )  # fmt: skip
        name = f"{core}-{measured.key}"
        write_profile(profile(name, core, measured, whole, fitted), PROFILES / f"{name}.toml")
        summary.append(summed(name, len(index), fitted, [chips[i] for i in index]))
    return rows, summary, energies(measured, found, sources, networks)


def profile(name: str, core: str, measured: MeasuredSet, whole: Fit, fitted: Fitted) -> Profile:
    default, source = default_terms(core)
    return Profile(
        name=name, core=core, library=measured.library, version=measured.version, terms=whole.terms(core),
        default=default, default_source=source, fitted=fitted, calibrated=tuple(whole.terms(core)),
        flash_stall=measured.form.flash_stall,
        notes=("kinds other than the matrix products and depthwise have stated, not fitted, terms; "
               "they were part of every network measured",),
    )  # fmt: skip


def rp2040() -> tuple[list[Row], list[Row]]:
    """Fit the RP2040's layers kind by kind, write its profile, return rows and summary."""
    measured, others = layers()
    rows: list[Row] = []
    summary: list[Row] = []
    terms: dict[str, dict[str, float]] = {}
    errors: list[float] = []
    lefts: list[float] = []
    for kind, form in FORMS.items():
        whole = fit(measured[kind], form)
        left = [e for e in held_out(measured[kind], form, lambda m: m.group) if e is not None]
        rows += [
            line("cmsis-nn rp2040", m, e, n, None)
            for m, e, n in zip(measured[kind], whole.errors, left, strict=True)
        ]
        terms |= whole.terms(CORE)
        errors += whole.errors
        lefts += left
        fitted = layer_fit([kind], len(measured[kind]), whole.errors, left)
        summary.append(summed(f"{CORE}-cmsis-nn {kind}", len(left), fitted, []))
    terms |= unmeasured(terms)
    for other in others:
        cost = sum(
            factor * (1 if count == "ops" else getattr(w, count))
            for w in other.works
            for count, factor in terms.get(w.kind, {}).items()
        )
        rows.append(line("cmsis-nn rp2040, not fitted", other, cost / other.cycles - 1, None, None))
    default, source = default_terms(CORE)
    write_profile(
        Profile(
            name=f"{CORE}-cmsis-nn", core=CORE, library="CMSIS-NN (TensorFlow Lite Micro)",
            version="pico-tflmicro@dfea53b", terms=terms, default=default, default_source=source,
            fitted=layer_fit(list(FORMS), len(errors), errors, lefts), calibrated=tuple(FORMS),
            notes=("conv, fully_connected and add were not measured on this core: modelled on pointwise",
                   "pool and softmax are set to the one row there is of each",
                   *(f"layer {i}: {why}" for i, why in OTHER_KERNEL.items())),
        ),
        PROFILES / f"{CORE}-cmsis-nn.toml",
    )  # fmt: skip
    return rows, summary


def unmeasured(terms: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return terms of kinds the RP2040 rows lack: matrix products cost what pointwise costs.

    Pool and softmax are set to the one row there is of each.
    """
    pointwise = terms["pointwise"]
    per_output = pointwise["outputs"]
    return {
        "conv": {**pointwise, "im2col_bytes": 4.0},
        "fully_connected": dict(pointwise),
        "add": {"outputs": per_output},
        "elementwise": {"outputs": per_output},
        "pool": {"int_ops": 30.0, "outputs": per_output},
        "softmax": {"ops": 40_000.0, "outputs": 1000.0},
        "copy": {"outputs": 4.0},
        "reshape": {},
        "load": {},
    }


def layer_fit(kinds: list[str], rows: int, errors: Sequence[float], left: Sequence[float]) -> Fitted:
    return Fitted(
        data=f"per_layer_measured.csv: {CHIP}, {' and '.join(kinds)} layers of person_detect",
        command=COMMAND, rows=rows, constants=3 * len(kinds), mean_error=mean(errors),
        worst_error=worst(errors), held_out="layer", held_out_mean_error=mean(left),
        held_out_worst_error=worst(left),
    )  # fmt: skip


def carried(works: dict[str, tuple[Work, ...]]) -> list[Row]:
    """Fit one chip's rows, predict its sibling of the same core at another clock."""
    out: list[Row] = []
    for framework, chips, like in CARRIED:
        found, _ = measurements(framework, chips, works)
        errors = held_out(found, like.form, lambda m: m.chip)
        for home, away in (chips, chips[::-1]):
            there = [(m.group, e) for m, e in zip(found, errors, strict=True) if m.chip == away]
            out.append({
                "library": framework, "fitted_on": home, "predicted": away, "rows": len(there),
                "mean_error": mean(e for _, e in there), "worst_error": worst(e for _, e in there),
                **{task: next((f"{e:+.3f}" for g, e in there if g == task), "") for task in works},
            })  # fmt: skip
    return out


def ratio(probe: MeasuredSet, works: dict[str, tuple[Work, ...]], value: float) -> Row:
    """Leave networks of an older version out, with another cost of a fully connected MAC."""
    found, _ = measurements(probe.framework, probe.chips, works)
    errors = held_out(found, network_form(value), lambda m: m.group, REFERENCE)
    return {
        "set": probe.key,
        "fully_connected": value,
        "held_out_mean": mean(errors),
        "held_out_worst": worst(errors),
    }


def supposed(measured: MeasuredSet, works: dict[str, tuple[Work, ...]], wait_states: int) -> Row:
    """Leave networks out with wait states supposed for the SRAM behind the caches of both M7."""
    found, _ = measurements(measured.framework, measured.chips, works, wait_states)
    errors = held_out(found, measured.form, lambda m: m.group, REFERENCE)
    waiting = [m.sram_stalls / m.cycles for m in found if m.core == "cortex-m7"]
    return {
        "set": measured.key, "wait_states": wait_states, "share_of_m7_cycles": mean(waiting),
        "largest_share": worst(waiting), "held_out_mean": mean(errors), "held_out_worst": worst(errors),
    }  # fmt: skip


def energies(
    measured: MeasuredSet, found: list[Measurement], sources: list[dict[str, str]], left: list[float | None]
) -> list[Row]:
    """Predict each row's energy: its held-out time x the median power of the *other* networks there."""
    out: list[Row] = []
    for m, source, error in zip(found, sources, left, strict=True):
        same = [
            float(s["power_mW"])
            for s in sources
            if s["power_mW"] and (s["soc"], s["submitter"]) == (source["soc"], source["submitter"])
            and s["task"] != source["task"]
        ]  # fmt: skip
        elsewhere = [
            float(s["power_mW"])
            for s in sources
            if s["power_mW"] and s["soc"] == source["soc"] and s["submitter"] != source["submitter"]
        ]
        if not same or error is None or not source["energy_uJ"]:
            continue
        seconds = m.cycles * (1 + error) / (float(source["mhz"]) * 1e6)
        actual = float(source["energy_uJ"])
        out.append({
            "set": measured.key, "chip": m.chip, "network": m.group, "laboratory": source["submitter"],
            "measured_uJ": actual, "predicted_uJ": round(seconds * median(same) * 1000, 1),
            "error": round(seconds * median(same) * 1000 / actual - 1, 4),
            "other_laboratory_error": round(seconds * median(elsewhere) * 1000 / actual - 1, 4)
            if elsewhere else "",
        })  # fmt: skip
    return out


def line(key: str, m: Measurement, error: float, network: float | None, chip: float | None) -> Row:
    return {
        "set": key, "core": m.core, "chip": m.chip, "row": m.name, "left_out_as": m.group,
        "measured_cycles": round(m.cycles), "fitted_error": round(error, 4),
        "held_out_error": "" if network is None else round(network, 4),
        "chip_held_out_error": "" if chip is None else round(chip, 4),
    }  # fmt: skip


def summed(name: str, rows: int, fitted: Fitted, chips: list[float | None]) -> Row:
    return {
        "profile": name, "rows_of_core": rows, "rows_fitted": fitted.rows, "constants": fitted.constants,
        "fitted_mean": fitted.mean_error, "fitted_worst": fitted.worst_error, "held_out": fitted.held_out,
        "held_out_mean": fitted.held_out_mean_error, "held_out_worst": fitted.held_out_worst_error,
        "chip_held_out_mean": mean(chips) if any(c is not None for c in chips) else "",
        "chip_held_out_worst": worst(chips) if any(c is not None for c in chips) else "",
    }  # fmt: skip


def mean(errors: Iterable[float | None]) -> float:
    return round(fmean(abs(e) for e in errors if e is not None), 4)


def worst(errors: Iterable[float | None]) -> float:
    return round(max(abs(e) for e in errors if e is not None), 4)


def save(name: str, rows: list[Row]) -> None:
    with (HERE / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
