"""Profiles of the C kernels that ``mcusim export`` ships, backward too, from the instructions they execute.

The twins of ``benchmarks/firmware`` count the instructions of every op exactly; times the cycles that the
core's manual gives each, they are what the terms are fitted to. So these profiles are modelled, not measured:
no firmware of ours ran on silicon. ``executed.csv`` says how well the terms give single ops again, and ops of
a twin that was left out.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
from both_models import CLASSES
from scipy.optimize import nnls

import mcusim
from mcusim.mcu.core import core
from mcusim.mcu.cycles.band import MODELLED, Band
from mcusim.mcu.cycles.cycles import FLOAT_COUNTS
from mcusim.mcu.cycles.profile import Fitted, Profile
from mcusim.mcu.cycles.profile_writer import write_profile
from mcusim.mcu.cycles.score import score
from mcusim.mcu.instructions import instruction_cycles

FIRMWARE = Path(__file__).parents[1] / "firmware"
COUNTS = ("macs", "float_macs", "requants", "outputs", "int_ops", "float_ops", "im2col_bytes", "ops")
ROWS_A_TERM = 2
"""So many ops of different counts stand behind each term."""
SAME = 6
"""Digits in which errors are told apart; of equal ones the count that comes first grows with the work."""
BETTER = 0.8
"""Another term has to bring the error below so much of what it was."""
FORM_SPREAD = 0.1
"""What a term is uncertain by beside the manual's cycles, which all terms share."""
ARMV6_M = "taken to execute as many instructions as Armv6-M does: none was counted"
COUNTED_ON: Mapping[str, tuple[tuple[str, str], float, str]] = {
    "cortex-m55": (
        ("cortex-m33", "cortex-m33"), MODELLED, "runs the code that was counted on a Cortex-M33: no Helium",
    ),
    "hazard3": (("cortex-m0plus", "cortex-m0plus"), 0.6, ARMV6_M),
    "rv32imc": (("cortex-m0plus", "cortex-m0plus"), 0.6, ARMV6_M),
    "xtensa-lx7": (
        ("cortex-m0plus", "cortex-m4"), 0.6,
        "integer kernels are taken to execute as many instructions as Armv6-M does, those in float as many "
        "as a Cortex-M4 does, which has a float unit too: none was counted, and no vector instruction used",
    ),
}  # fmt: skip
"""Cores that nothing was emulated on -> whose instructions are taken in integers and in float, how wide that
makes the band (RV32IMC has twice the registers and no flags: code of one is within a factor of 1.6 of the
other's in both directions, supposed), and what is said of it."""
UNEXPLAINED = ("load", "")
"""Kinds that no count explains: the input is copied as it comes, scales of errors are found once."""

Terms = dict[str, float]
Line = dict[str, object]


@dataclass(frozen=True, slots=True)
class Executed:
    """An op of a twin: its counts in the order of ``COUNTS``, its multiply-accumulates, and its cycles."""

    twin: str
    counts: tuple[float, ...]
    cycles: float


def executed() -> dict[str, dict[str, list[Executed]]]:
    """Return the ops of all twins by core and kind."""
    found: defaultdict[str, defaultdict[str, list[Executed]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(FIRMWARE.glob("*-cortex-*.csv")):
        counted = "cortex-" + path.stem.rpartition("cortex-")[2]
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for name in (counted, *(name for name, (of, *_) in COUNTED_ON.items() if counted in of)):
            integers, floats = COUNTED_ON[name][0] if name in COUNTED_ON else (counted, counted)
            for row in rows:
                if (floats if float(row["float_macs"]) or float(row["float_ops"]) else integers) != counted:
                    continue
                cycles = instruction_cycles({c: int(row[c]) for c in CLASSES}, core(name))
                if row["kind"] in UNEXPLAINED or cycles is None or not cycles.value:
                    continue
                counts = tuple(float(row[c]) if c != "ops" else 1.0 for c in COUNTS)
                found[name][row["kind"]].append(Executed(path.stem, counts, cycles.value))
    return {name: dict(kinds) for name, kinds in found.items()}


def fit_terms(rows: Sequence[Executed]) -> Terms:
    """Return the terms of one kind, least squares of relative errors, as few as do."""
    most = max(1, len({row.counts for row in rows}) // ROWS_A_TERM)
    chosen: list[int] = []
    best, found = np.inf, {}
    while len(chosen) < most:
        trials = [(*_solve(rows, [*chosen, i]), i) for i in range(len(COUNTS)) if i not in chosen]
        error, values, place = min(trials, key=lambda trial: round(trial[0], SAME))
        if error > BETTER * best:
            break
        chosen.append(place)
        best = error
        found = {COUNTS[i]: float(v) for i, v in zip(chosen, values, strict=True) if v}
    return found


def _solve(rows: Sequence[Executed], places: list[int]) -> tuple[float, np.ndarray]:
    cycles = np.array([row.cycles for row in rows])
    counts = np.array([[row.counts[i] for i in places] for row in rows])
    values, error = nnls(counts / cycles[:, None], np.ones(len(rows)))
    return float(error), values


def errors(rows: Sequence[Executed], terms: Mapping[str, float]) -> list[float]:
    """Return the relative errors of terms."""
    values = np.array([terms.get(count, 0.0) for count in COUNTS])
    return [float(np.dot(row.counts, values) / row.cycles - 1) for row in rows]


def left_out(rows: Sequence[Executed]) -> list[float]:
    """Return the relative errors of rows whose twin was left out; none if there is but one."""
    found: list[float] = []
    for twin in sorted({row.twin for row in rows}):
        rest = [row for row in rows if row.twin != twin]
        if rest:
            found += errors([row for row in rows if row.twin == twin], fit_terms(rest))
    return found


def executed_profiles(folder: Path) -> list[Line]:
    """Write a profile of every core, and return how good the terms of each kind are."""
    lines: list[Line] = []
    for name, kinds in executed().items():
        terms = {kind: fit_terms(rows) for kind, rows in sorted(kinds.items())}
        fitted = {kind: errors(rows, terms[kind]) for kind, rows in sorted(kinds.items())}
        lefts = {kind: left_out(rows) for kind, rows in sorted(kinds.items())}
        for kind, found in fitted.items():
            lines.append({
                "core": name, "kind": kind, "ops": len(found), "terms": len(terms[kind]),
                **_summary("", found), **_summary("left_out_", lefts[kind]),
            })  # fmt: skip
        made = _profile(name, terms, [e for found in fitted.values() for e in found],
                        [e for found in lefts.values() for e in found])  # fmt: skip
        write_profile(made, folder / f"{made.name}.toml")
    return lines


def _summary(prefix: str, found: Sequence[float]) -> Line:
    size = np.abs(found)
    return {
        f"{prefix}mean": round(float(size.mean()), 4) if found else "",
        f"{prefix}worst": round(float(size.max()), 4) if found else "",
    }


def _profile(
    name: str, terms: Mapping[str, Terms], fitted: Sequence[float], left: Sequence[float]
) -> Profile:
    own, version = core(name), mcusim.__version__
    _, spread, said = COUNTED_ON.get(name, (name, MODELLED, ""))
    assert own.instructions is not None
    held = score((log(1 + error), MODELLED) for error in left)
    assert held is not None
    names = [f"{kind}.{count}" for kind, found in terms.items() for count in found]
    covariance = own.instructions.spread**2 + FORM_SPREAD**2 * np.eye(len(names))
    return Profile(
        name=f"{name}-mcusim-{version}-os", core=name, library="mcusim C kernels", version=version,
        option="os",
        terms={kind: {**dict.fromkeys(FLOAT_COUNTS, 0.0), **found} for kind, found in terms.items()},
        default=own.default, default_source=own.default_source,
        fitted=Fitted(
            data=f"benchmarks/firmware: executed instructions of every op, times {own.instructions.source}",
            command="python benchmarks/calibration/run.py", rows=len(fitted), families=len(terms),
            constants=sum(len(found) for found in terms.values()), mean_error=float(np.abs(fitted).mean()),
            worst_error=float(np.abs(fitted).max()), held_out="twin", held_out_mean_error=held.mean,
            held_out_90_error=held.ninety, held_out_worst_error=held.worst, coverage=held.coverage,
        ),
        band=Band({name: (name,) for name in names}, tuple(map(tuple, covariance.tolist())), noise=0.0,
                  modelled=spread),
        notes=("instruction-exact, cycle-modelled: errors are those against counted instructions; no "
               "firmware of these kernels ran on silicon, and memory is taken to have no wait states",
               *([said] if said else [])),
    )  # fmt: skip
