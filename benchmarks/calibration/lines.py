"""Rows of the tables that calibration writes."""

from __future__ import annotations

from math import exp, expm1

from mcusim.mcu.cycles.band import QUANTILE
from mcusim.mcu.cycles.profile import Profile
from mcusim.mcu.cycles.score import Score

Pair = tuple[float, float]
"""ln(predicted / measured) of a row that was left out, and its standard deviation."""
Line = dict[str, object]


def entry(
    name: str, core_name: str, chip: str, network: str, group: str, cycles: float, fitted: float,
    left: Pair | None,
) -> Line:  # fmt: skip
    """Return a measured row: what was fitted, and what was predicted without its group."""
    out: Line = {
        "profile": name, "core": core_name, "chip": chip, "network": network, "left_out_as": group,
        "measured_cycles": round(cycles), "fitted_error": round(expm1(fitted), 4), "left_out_error": "",
        "band_low": "", "band_high": "", "inside": "",
    }  # fmt: skip
    if left is not None:
        error, deviation = left
        predicted = cycles * exp(error)
        low, high = (predicted * exp(sign * QUANTILE * deviation) for sign in (-1, 1))
        out |= {"left_out_error": round(expm1(error), 4), "band_low": round(low), "band_high": round(high),
                "inside": int(low <= cycles <= high)}  # fmt: skip
    return out


def summed(name: str, made: Profile | None, by: str, found: Score | None) -> Line:
    """Return how good the predictions of one profile were, something left out."""
    if found is None:
        return {}
    return {
        "profile": name, "left_out": by, "rows": found.rows,
        "families": "" if made is None else made.fitted.families,
        "constants": "" if made is None else round(made.fitted.constants, 1),
        "mean": round(found.mean, 4), "ninety": round(found.ninety, 4), "worst": round(found.worst, 4),
        "coverage": round(found.coverage, 3),
    }  # fmt: skip


def held(by: str, found: Score | None) -> dict[str, object]:
    """Return the fields of ``Fitted`` that say what was left out, and how good that was."""
    if found is None:
        return {}
    return {"held_out": by, "held_out_mean_error": found.mean, "held_out_90_error": found.ninety,
            "held_out_worst_error": found.worst, "coverage": found.coverage}  # fmt: skip
