"""Fit every shipped profile, leave families, versions, cores and layers out, write tables and a figure.

    MCUSIM_DATA=... python benchmarks/calibration/run.py

Writes ``mcusim/mcu/profiles/*.toml`` and, beside this file, ``rows.csv`` (every row, predicted without its
family), ``summary.csv`` (every profile, by what was left out), ``evidence.csv`` (how form and spreads were
chosen), ``energy.csv``, ``training.csv``, ``shares.csv`` (a training step of others by op family),
``executed.csv`` (the kernels we ship, by the instructions they execute), ``both_models.csv`` (those beside a
library's profile) and ``predicted.png``. Deterministic: running it again changes nothing.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import product
from math import exp
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small solves: threads only get in the way
import numpy as np
from both_models import both_models
from energies import energies
from esp_nn import esp32s3
from executed import executed_profiles
from figure import draw
from layers import BOARD, CHIP, CORE, FORMS, OTHER_KERNEL, fit_layers, layers
from lines import Line, Pair, entry, held, summed
from sets import Measured, measured, stall_per_byte
from shares import shares
from training import training_steps

from mcusim.core import Work
from mcusim.mcu.core import core
from mcusim.mcu.cycles.band import Band
from mcusim.mcu.cycles.form import FLASH, KERNELS, Constant, weigh
from mcusim.mcu.cycles.hierarchy import Constants, Observation, Posterior, Spreads, fit
from mcusim.mcu.cycles.profile import Chip, Fitted, Profile
from mcusim.mcu.cycles.profile_writer import write_profile
from mcusim.mcu.cycles.score import Score, score, widening

HERE = Path(__file__).parent
PROFILES = HERE.parents[1] / "mcusim" / "mcu" / "profiles"
COMMAND = "python benchmarks/calibration/run.py"
SPREADS = Spreads()
BY: dict[str, Callable[[Measured], str]] = {
    "family": lambda m: m.family,
    "version": lambda m: f"{m.library.name} {m.version}",
    "core": lambda m: m.core,
    "chip": lambda m: m.chip,
}
"""What is left out in turn, in every library at once."""


def main() -> None:
    rows = measured()
    whole = fit([row_of(m) for m in rows], KERNELS, SPREADS)
    lefts = {by: left_out(rows, key) for by, key in BY.items()}
    names = sorted({m.profile for m in rows})
    wide = widenings(rows, lefts["family"])
    lefts = {
        by: [(r, wide[m.library.name] * deviation) for m, (r, deviation) in zip(rows, found, strict=True)]
        for by, found in lefts.items()
    }
    errors = map(float, whole.residuals)
    lines = [line(m, r, left) for m, r, left in zip(rows, errors, lefts["family"], strict=True)]
    summary: list[Line] = []
    PROFILES.mkdir(exist_ok=True)
    for name in names:
        own = [i for i, m in enumerate(rows) if m.profile == name]
        scores = {by: score([found[i] for i in own]) for by, found in lefts.items()}
        made = profile(name, [rows[i] for i in own], rows, whole, whole.residuals[own], scores["family"])
        made = replace(made, band=replace(made.band, widened=wide[rows[own[0]].library.name]))
        write_profile(made, PROFILES / f"{name}.toml")
        summary += [summed(name, made, by, found) for by, found in scores.items()]
    new, of_rp2040 = rp2040()
    of_kernels, of_esp32s3 = esp32s3(PROFILES, COMMAND)
    new += of_kernels
    summary += [*of_rp2040, *of_esp32s3]
    for by, found in lefts.items():
        summary.append(summed("all whole networks", None, by, score(found)))
    save("rows.csv", [*lines, *new])
    save("summary.csv", summary)
    save("evidence.csv", evidence(rows))
    save("energy.csv", energies(rows, [r for r, _ in lefts["family"]]))
    save("executed.csv", executed_profiles(PROFILES))
    save("training.csv", training_steps())
    save("shares.csv", shares())
    save("both_models.csv", both_models())
    draw([*lines, *new], HERE / "predicted.png")
    for found in summary:
        print("  ".join(f"{v}" for v in found.values()))


def widenings(rows: Sequence[Measured], lefts: Sequence[Pair]) -> dict[str, float]:
    """Return by how much each library's rows left out lay further off than expected, all versions together.

    Four networks of one version cannot tell; those of all versions can, and err alike.
    """
    by_library: dict[str, list[Pair]] = {}
    for m, pair in zip(rows, lefts, strict=True):
        by_library.setdefault(m.library.name, []).append(pair)
    return {name: widening(pairs) for name, pairs in by_library.items()}


def row_of(m: Measured, form: tuple[Constant, ...] = KERNELS) -> Observation:
    return Observation(m.origin, weigh(m.works, form, stall_per_byte(m.chip)), m.cycles)


def left_out(rows: Sequence[Measured], key: Callable[[Measured], str]) -> list[Pair]:
    """Return each row's ln(predicted / measured) and deviation, fitted without all rows of its group."""
    found: dict[int, Pair] = {}
    for group in sorted({key(m) for m in rows}):
        without = fit([row_of(m) for m in rows if key(m) != group], KERNELS, SPREADS)
        for i, m in enumerate(rows):
            if key(m) == group:
                row, constants = row_of(m), without.constants(m.origin)
                error = float(np.log(constants.predict(row.counts) / row.cycles))
                found[i] = error, float(np.hypot(constants.deviation(row.counts), SPREADS.noise))
    return [found[i] for i in range(len(rows))]


def profile(
    name: str, own: list[Measured], rows: list[Measured], whole: Posterior, residuals: np.ndarray,
    left: Score | None,
) -> Profile:  # fmt: skip
    """Return the profile of one core, version and option, with what the rows told of chips of its core."""
    first = own[0]
    chips = [m.chip for m in own]
    most = max(dict.fromkeys(chips), key=chips.count)
    base = whole.constants(replace(first.origin, chip="another"))
    here = whole.constants(replace(first.origin, chip=most))
    flash = [constant.name for constant in KERNELS].index(FLASH)
    seen = {}
    for chip in sorted({m.chip for m in rows if m.core == first.core}):
        found = whole.constants(replace(first.origin, chip=chip))
        waits = stall_per_byte(chip) * exp(found.logs[flash])
        seen[chip] = Chip(speed=exp(found.logs[0] - base.logs[0]), flash_cycles_per_byte=waits)
    library, default = first.library, core(first.core)
    macs = [sum(work.macs for work in m.works) for m in rows if m.library is library]
    kinds = sorted({w.kind for m in rows if m.library is library for w in m.works})
    terms = terms_of(base)
    notes = [f"fitted together with {len(rows)} rows of five libraries, which share constants as far as "
             "they agree: benchmarks/calibration/README.md"]  # fmt: skip
    if library.drops(first.version):
        notes.append("this version removes output channels without weights, and so were they not counted")
    if library.option != "unstated":
        notes.append("MLPerf Tiny rows do not state the option; where the zoo measured the same network, "
                     "core and version built as balanced, they agree within 1.5 %")  # fmt: skip
    return Profile(
        name=name, core=first.core, library=library.name, version=first.version, option=library.option,
        terms=terms, default=default.default, default_source=default.default_source,
        fitted=Fitted(
            data=f"mlperf_tiny.csv, zoo_measured.csv: {library.name} {first.version} on "
            f"{', '.join(sorted(set(chips)))}", command=COMMAND, rows=len(own),
            families=len({m.family for m in own}), constants=determined(whole, first, here),
            mean_error=float(np.abs(np.expm1(residuals)).mean()),
            worst_error=float(np.abs(np.expm1(residuals)).max()), **held("family", left),
        ),
        band=Band(
            constants={c.name: tuple(f"{k}.{n}" for k, names in c.weighs.items() for n in names)
                       for c in KERNELS},
            covariance=tuple(map(tuple, here.covariance.tolist())), noise=SPREADS.noise,
            chip=SPREADS.chip_speed, flash=SPREADS.chip_flash, least_macs=float(min(macs)),
            most_macs=float(max(macs)),
        ),
        calibrated=tuple(kind for kind in kinds if kind in terms), chips=seen,
        flash_stall=exp(base.logs[flash]),
        notes=tuple(notes),
    )  # fmt: skip


def terms_of(constants: Constants) -> dict[str, dict[str, float]]:
    terms: dict[str, dict[str, float]] = {}
    for constant, value in zip(KERNELS, np.exp(constants.logs), strict=True):
        for kind, counts in constant.weighs.items():
            for count in counts:
                terms.setdefault(kind, {})[count] = float(value)
    return terms


def determined(whole: Posterior, first: Measured, here: Constants) -> float:
    """Return how many constants of an origin the rows determined, each as far as they narrowed it."""
    supposed = [sum(spread**2 for _, spread in SPREADS.effects(c, first.origin)) for c in KERNELS]
    return float((1 - np.diag(here.covariance) / supposed).clip(0, 1).sum())


def rp2040() -> tuple[list[Line], list[Line]]:
    """Fit the RP2040's layers kind by kind, write its profile, return rows and summary."""
    by_kind, others = layers()
    lines: list[Line] = []
    summary: list[Line] = []
    terms: dict[str, dict[str, float]] = {}
    pairs: list[Pair] = []
    residuals: list[float] = []
    blocks, noises, free = [], [], 0.0
    name = f"{CORE}-cmsis-nn-tflm-dfea53b-unstated"
    for kind, rows in by_kind.items():
        found, lefts = fit_layers(kind, rows)
        for (layer, _, cycles), r, left in zip(rows, found.residuals, lefts, strict=True):
            lines.append(entry(name, CORE, BOARD, layer, "layer", cycles, float(r), left))
        counts = [count for constant in FORMS[kind] for count in constant.weighs[kind]]
        terms[kind] = dict(zip(counts, map(float, np.exp(found.constants.logs)), strict=True))
        blocks.append(found.constants.covariance)
        noises.append(found.noise)
        free += found.determined
        pairs += lefts
        residuals += list(found.residuals)
        summary.append(summed(f"{name}, {kind}", None, "layer", score(lefts)))
    terms |= unmeasured(terms)
    for layer, work, cycles in others:
        cost = sum(
            factor * (1 if count == "ops" else getattr(work, count))
            for count, factor in terms.get(work.kind, {}).items()
        )
        if cost:
            error = float(np.log(cost / cycles))
            lines.append(entry(f"{name}, not fitted", CORE, BOARD, layer, "layer", cycles, error, None))
    size = sum(len(block) for block in blocks)
    covariance = np.zeros((size, size))
    at = 0
    for block in blocks:
        covariance[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    default, left, errors = core(CORE), score(pairs), np.abs(np.expm1(residuals))
    write_profile(
        Profile(
            name=name, core=CORE, library="CMSIS-NN (TensorFlow Lite Micro)",
            version="pico-tflmicro@dfea53b", option="unstated", terms=terms, default=default.default,
            default_source=default.default_source,
            fitted=Fitted(
                data=f"per_layer_measured.csv: {CHIP}, {' and '.join(FORMS)} layers of person_detect",
                command=COMMAND, rows=len(pairs), families=len(pairs), constants=free,
                mean_error=float(errors.mean()), worst_error=float(errors.max()), **held("layer", left),
            ),
            band=Band(
                constants={c.name: (c.name,) for form in FORMS.values() for c in form},
                covariance=tuple(map(tuple, covariance.tolist())), noise=max(noises),
                chip=SPREADS.chip_speed, least_macs=10_000, most_macs=8_000_000,
            ),
            calibrated=tuple(FORMS), chips={BOARD: Chip(flash_cycles_per_byte=0.0)},
            notes=("conv, stem, fully_connected and add were not measured here: modelled on pointwise",
                   "pool and softmax are set to the one row there is of each",
                   *(f"layer {i}: {why}" for i, why in OTHER_KERNEL.items())),
        ),
        PROFILES / f"{name}.toml",
    )  # fmt: skip
    return lines, summary


def unmeasured(terms: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return terms of kinds the RP2040 rows lack: matrix products cost what pointwise costs.

    Pool and softmax are set to the one row there is of each.
    """
    pointwise = terms["pointwise"]
    per_output = pointwise["outputs"]
    return {
        "conv": {**pointwise, "im2col_bytes": 4.0},
        "stem": {**pointwise, "im2col_bytes": 4.0},
        "fully_connected": dict(pointwise),
        "add": {"outputs": per_output},
        "elementwise": {"outputs": per_output},
        "pool": {"int_ops": 30.0, "outputs": per_output},
        "softmax": {"ops": 40_000.0, "outputs": 1000.0},
        "copy": {"outputs": 4.0},
    }


def line(m: Measured, fitted: float, left: Pair) -> Line:
    return entry(m.profile, m.core, m.chip, m.network, m.family, m.cycles, fitted, left)


def evidence(rows: Sequence[Measured]) -> list[Line]:
    """Return the evidence of all rows as shipped, with other forms, and with each spread a third off."""
    found = [row_of(m) for m in rows]

    def tried(what: str, value: object, evidence: float) -> Line:
        return {"tried": what, "value": value, "log_evidence": round(evidence, 2)}

    out = [tried("as shipped", "", fit(found, KERNELS, SPREADS).evidence)]
    for group in (1, 4, 8, 32):
        regrouped = [row_of(m) for m in measured(group)]
        out.append(tried("dead channels go in groups of", group, fit(regrouped, KERNELS, SPREADS).evidence))
    for what, form, works_of in FORMS_TRIED:
        other = [row_of(replace(m, works=works_of(m)), form) for m in rows]
        out.append(tried(what, "", fit(other, form, SPREADS).evidence))
    for field, factor in product(fields(Spreads), (0.67, 1.5)):
        value = getattr(SPREADS, field.name) * factor
        spreads = replace(SPREADS, **{field.name: value})
        out.append(tried(field.name, round(value, 4), fit(found, KERNELS, spreads).evidence))
    return out


def one_channel_apart(m: Measured) -> tuple[Work, ...]:
    """Return its work, the first convolution a kind of its own where the input has one channel."""
    if not any(name in m.network for name in ONE_CHANNEL):
        return m.works
    return tuple(replace(work, kind="stem1") if work.kind == "stem" else work for work in m.works)


def save(name: str, rows: Sequence[Line]) -> None:
    with (HERE / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def with_stem1(form: tuple[Constant, ...]) -> tuple[Constant, ...]:
    """Return a form in which a first convolution over one channel has a constant for its MACs alone."""
    others = (
        replace(c, weighs={**c.weighs, "stem1": c.weighs["stem"]})
        if "stem" in c.weighs and c.name != "stem" else c
        for c in form
    )  # fmt: skip
    return *others, Constant("stem1", {"stem1": ("macs",)}, 2.5)


ONE_CHANNEL = ("kws", "grayscale", "miniresnet")
FORMS_TRIED: tuple[tuple[str, tuple[Constant, ...], Callable[[Measured], tuple[Work, ...]]], ...] = (
    ("no constant for weights", tuple(c for c in KERNELS if c.name != "weights"), lambda m: m.works),
    ("inputs of one channel apart", with_stem1(KERNELS), one_channel_apart),
    (
        "columns of k x k convolutions apart",
        (*KERNELS, Constant("columns", dict.fromkeys(("conv", "stem"), ("im2col_bytes",)), 1.5, 0.7)),
        lambda m: m.works,
    ),
    (
        "inputs of pointwise apart",
        (*KERNELS, Constant("gathered", {"pointwise": ("input_bytes",)}, 1.5, 0.7)), lambda m: m.works,
    ),
)  # fmt: skip
"""Terms that one would think of; none that is not shipped makes the rows more probable."""


if __name__ == "__main__":
    main()
