"""Predicted against measured energy: time without its family, times the power of other networks."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from statistics import median

from sets import Measured


def energies(rows: Sequence[Measured], residuals: Sequence[float]) -> list[dict[str, object]]:
    """Return each row's energy: its predicted time x the median power of the *other* networks there.

    Args:
        rows: of one or more libraries.
        residuals: ln(predicted / measured cycles) of each, its family left out.
    """
    found: list[dict[str, object]] = []
    for m, error in zip(rows, residuals, strict=True):
        if not m.row.get("energy_uJ") or (m.row["use"] == "no" and "Krai" not in m.row["note"]):
            continue
        powers = [
            (o.row["submitter"], o.network, float(o.row["power_mW"]))
            for o in rows
            if o.profile == m.profile and o.chip == m.chip and o.row.get("power_mW")
        ]
        laboratory = m.row["submitter"]
        same = [mw for who, network, mw in powers if who == laboratory and network != m.network]
        elsewhere = [mw for who, _, mw in powers if who != laboratory]
        if not same:
            continue
        seconds = m.cycles * exp(error) / (float(m.row["mhz"]) * 1e6)
        actual = float(m.row["energy_uJ"])
        found.append({
            "profile": m.profile, "chip": m.chip, "network": m.network, "laboratory": laboratory,
            "measured_uJ": actual, "predicted_uJ": round(seconds * median(same) * 1000, 1),
            "error": round(seconds * median(same) * 1000 / actual - 1, 4),
            "other_laboratory_error": round(seconds * median(elsewhere) * 1000 / actual - 1, 4)
            if elsewhere else "",
        })  # fmt: skip
    return found
