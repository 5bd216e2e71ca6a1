from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from mcusim.emulation.instructions import CLASSES
from mcusim.mcu.core import core, core_names
from mcusim.mcu.instructions import EXACT, instruction_cycles

FIRMWARE = Path(__file__).parents[2] / "benchmarks" / "firmware"


def test_cycles_are_counts_times_what_the_manual_says():
    of = core("cortex-m4").instructions
    one = instruction_cycles({"load": 10, "divide": 2}, core("cortex-m4"))
    assert one.value == 10 * of.load + 2 * of.divide
    assert one.low < one.value < one.high
    assert one.source.startswith(EXACT)
    assert instruction_cycles({"load": 1}, replace(core("cortex-m4"), instructions=None)) is None


def test_every_core_that_has_cycles_has_them_for_every_class():
    known = [core(name).instructions for name in core_names() if core(name).instructions is not None]
    assert len(known) >= 8
    for each in known:
        assert all(getattr(each, name) >= 0 for name in CLASSES)
        assert each.source
        assert each.spread > 0


@pytest.mark.parametrize(
    ("twin", "name"),
    [("cortex-m0plus", "cortex-m0plus"), ("cortex-m4", "cortex-m4"), ("cortex-m33", "cortex-m33")],
)
def test_no_single_issue_core_needs_fewer_cycles_than_instructions(twin, name):
    with (FIRMWARE / f"synthetic-mbv2-dynamic-{twin}.csv").open(newline="") as file:
        rows = [{c: int(row[c]) for c in CLASSES} for row in csv.DictReader(file)]
    for row in rows:
        found = instruction_cycles(row, core(name))
        assert sum(row.values()) <= found.value <= 3 * sum(row.values())


def test_both_models_are_compared_on_every_kind_of_op(monkeypatch):
    monkeypatch.syspath_prepend(str(FIRMWARE.parent / "calibration"))
    from both_models import both_models

    with (FIRMWARE.parent / "calibration" / "both_models.csv").open(newline="") as file:
        committed = list(csv.DictReader(file))
    for old, new in zip(committed, both_models(), strict=True):
        assert (old["twin"], old["kind"]) == (new["twin"], new["kind"])
        assert float(old["instruction_model"]) == pytest.approx(new["instruction_model"], rel=1e-3)
        assert float(old["profile_model"]) == pytest.approx(new["profile_model"], rel=0.01, abs=2)
