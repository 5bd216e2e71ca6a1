from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import replace
from math import hypot
from pathlib import Path

import numpy as np
import pytest

from mcusim.core import BadData, Work
from mcusim.mcu import board, estimate, load_profile, profile, profile_names
from mcusim.mcu.cycles.calibration import calibration
from mcusim.mcu.cycles.form import Constant
from mcusim.mcu.cycles.hierarchy import Constants, Observation, Origin, Spreads, fit
from mcusim.mcu.cycles.measurement import Measurement, read_measurements
from mcusim.mcu.cycles.nearest import SPREADS, nearest

CALIBRATION = Path(__file__).parents[2] / "benchmarks" / "calibration"


def layers(count=12, noise=0.0, seed=0) -> list[Measurement]:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        macs, outputs, weights = (int(v) for v in rng.integers(1_000, 100_000, 3))
        work = Work("pointwise", macs=macs, outputs=outputs, weight_bytes=weights)
        cycles = (7.5 * macs + 100 * outputs + 20 * weights) * (1 + noise * rng.standard_normal())
        rows.append(Measurement(f"layer {i}", f"layer {i}", "chip", "cortex-m0plus", (work,), cycles))
    return rows


def calibrated(rows, core="cortex-m0plus", **said):
    about = {"library": "mine", "version": "1", "option": "plain", "data": "d", "command": "c"}
    return calibration(rows, name="mine", core=core, **{**about, **said})


def test_known_constants_are_found_again():
    found = calibrated(layers())
    assert found.profile.terms["pointwise"] == pytest.approx(
        {"macs": 7.5, "outputs": 100, "weight_bytes": 20}, rel=0.01
    )
    assert found.profile.fitted.worst_error < 0.01
    assert found.profile.fitted.held_out_worst_error < 0.02
    assert found.profile.fitted.constants == pytest.approx(3, abs=0.1)


def test_what_the_board_waits_for_is_no_matter_of_the_kernels():
    stalled = [
        replace(r, cycles=r.cycles + 10_000 * i, sram_stalls=10_000.0 * i) for i, r in enumerate(layers())
    ]
    assert calibrated(stalled).profile.terms["pointwise"] == pytest.approx(
        {"macs": 7.5, "outputs": 100, "weight_bytes": 20}, rel=0.01
    )


def test_stalls_of_sram_are_a_column(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("kind,macs,cycles,sram_stalls\nconv,100,900,40\nconv,200,1700,\n")
    assert [r.sram_stalls for r in read_measurements(path, "cortex-m4")] == [40, 0]
    path.write_text("kind,macs,cycles,sram_stalls\nconv,100,900,-4\n")
    with pytest.raises(BadData, match=r"row 2.*sram_stalls = -4"):
        read_measurements(path, "cortex-m4")


def test_one_wild_row_does_not_spoil_the_fit():
    rows = layers(20, noise=0.002)
    rows[3] = replace(rows[3], cycles=3 * rows[3].cycles)
    terms = calibrated(rows).profile.terms["pointwise"]
    assert terms["outputs"] == pytest.approx(100, rel=0.1)
    assert terms["macs"] == pytest.approx(7.5, rel=0.1)


def test_few_rows_shrink_to_the_nearest_profile_and_many_do_not():
    """Networks that cost twice what the nearest profile says: five rows of one kind go part of the way."""
    start = profile("cortex-m4-cubeai-10.2-balanced")

    def rows(count):
        rng = np.random.default_rng(3)
        found = []
        for i in range(count):
            works = (Work("pointwise", macs=int(rng.integers(10**6, 10**7)), requants=10_000),)
            works += (Work("depthwise", macs=int(rng.integers(10**5, 10**6)), requants=5_000),)
            cost = sum(2 * start.terms[w.kind]["macs"] * w.macs for w in works)
            found.append(Measurement(f"n{i}", f"n{i}", "x", "cortex-m4", works, cost))
        return found

    about = {"core": "cortex-m4", "library": "X-CUBE-AI", "version": "11.0"}
    few, many = (calibrated(rows(n), **about).profile for n in (5, 40))
    doubled = 2 * start.terms["pointwise"]["macs"]
    for found in (few, many):
        assert found.terms["pointwise"]["macs"] == pytest.approx(doubled, rel=0.35)
        # Nothing was said of fully connected layers alone: only the speed of the version moves them.
        assert found.terms["fully_connected"]["macs"] < 2.2 * start.terms["fully_connected"]["macs"]
        assert any("began at cortex-m4-cubeai-10.2-balanced" in note for note in found.notes)
    assert many.band.noise < 0.1
    place = list(many.band.constants).index("fully_connected")
    assert many.band.covariance[place][place] > 4 * many.band.covariance[2][2]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (("cortex-m4", "X-CUBE-AI", "8.0"), "cortex-m4-cubeai-8.0-balanced"),
        (("cortex-m7", "X-CUBE-AI", "8.3"), "cortex-m7-cubeai-8.1-balanced"),
        (("cortex-m4", "x-cube-ai", "11"), "cortex-m4-cubeai-10.2-balanced"),
        (("cortex-m7", "X-CUBE-AI", ""), "cortex-m7-cubeai-10.0-balanced"),
    ],
)
def test_the_nearest_version_of_the_same_library_is_where_a_fit_begins(asked, name):
    assert nearest(*asked).profile.name == name


@pytest.mark.parametrize("core", sorted({profile(name).core for name in profile_names()}))
def test_versions_of_different_libraries_are_not_compared(core):
    """A library called 2023.05 is not newer than 10.2: what was measured most counts."""
    found = nearest(core, "unheard-of", "99").profile
    others = [p for p in map(profile, profile_names()) if p.core == core]
    measured = [p for p in others if p.calibrated] or others
    assert found in measured
    assert found.fitted.families == max(p.fitted.families for p in measured)


def test_what_differs_widens_where_a_fit_begins():
    """From the same version over another version and another library to another core."""
    counts = np.ones(len(nearest("cortex-m4", "X-CUBE-AI", "8.1").form))
    same = nearest("cortex-m4", "X-CUBE-AI", "8.1").constants
    version = nearest("cortex-m4", "X-CUBE-AI", "8.15").constants
    library = nearest("cortex-m4", "unheard-of", "1")
    own = Constants(library.constants.logs, np.array(library.profile.band.covariance))
    own_counts = np.ones(len(own.logs))
    assert same.deviation(counts) < version.deviation(counts)
    assert library.constants.deviation(own_counts) > hypot(own.deviation(own_counts), SPREADS.library_speed)
    assert "another library" in library.why


def test_backward_ops_that_were_measured_are_fitted_by_their_float_work():
    rng = np.random.default_rng(5)
    rows = []
    for i in range(12):
        macs, outputs = (int(v) for v in rng.integers(1_000, 100_000, 2))
        work = Work("grad_weight.conv", float_macs=macs, outputs=outputs)
        rows.append(Measurement(f"{i}", f"{i}", "", "cortex-m4", (work,), 6.5 * macs + 20 * outputs))
    made = calibrated(rows, core="cortex-m4").profile
    assert made.terms["grad_weight.conv"] == pytest.approx({"float_macs": 6.5, "outputs": 20}, rel=0.02)
    alone = estimate([rows[0].works[0]], board("stm32l4r5"), made)
    assert alone.total_cycles == pytest.approx(rows[0].cycles, rel=0.02)
    assert alone.deviation < 0.2 < estimate([rows[0].works[0]], board("stm32l4r5")).deviation


def test_rows_left_out_lie_in_the_band_as_often_as_it_says():
    found = calibrated(layers(60, noise=0.05))
    assert 0.8 <= found.profile.fitted.coverage <= 1


def test_rows_that_lie_further_off_than_expected_widen_the_band():
    """Every fourth row takes a third more, which no count of its work tells."""
    rows = [replace(r, cycles=r.cycles * (1 + (i % 4 == 0) / 3)) for i, r in enumerate(layers(40))]
    found = calibrated(rows).profile
    assert found.band.widened > 1.2
    assert calibrated(layers(40)).profile.band.widened == 1.0


def test_a_single_row_is_refused():
    with pytest.raises(BadData, match=r"has 1 row.*give two at least"):
        calibrated(layers(1))
    with pytest.raises(BadData, match=r"mixes single ops and whole networks"):
        calibrated([*layers(3), Measurement("n", "n", "", "cortex-m0plus", layers(2)[0].works * 2, 1e6)])
    with pytest.raises(BadData, match=r"has rows of cortex-m0plus"):
        calibrated(layers(3), core="cortex-m4")


def test_effects_are_shared_as_far_as_rows_agree():
    """Two libraries on two cores; a third library's one row tells of its own speed, not of the cores."""
    form = (Constant("pointwise", {"pointwise": ("macs",)}, 2.0), Constant("pool", {"pool": ("ops",)}, 100.0))
    spreads = Spreads()
    speed = {"a": 1.0, "b": 1.5, "c": 2.0}
    rows = [
        Observation(
            Origin(lib, ("1",), core, core), np.array([n * 1e4, 1.0]), speed[lib] * k * (n * 2e4 + 100)
        )
        for lib in "ab" for core, k in (("m4", 1.0), ("m7", 0.5)) for n in (1, 3, 9)
    ]  # fmt: skip
    found = fit(
        [*rows, Observation(Origin("c", ("1",), "m4", "m4"), np.array([1e4, 1.0]), 2 * 20_100)], form, spreads
    )
    here = found.constants(Origin("c", ("1",), "m7", "m7"))
    assert here.predict(np.array([2e4, 1.0])) == pytest.approx(2 * 0.5 * 40_100, rel=0.1)
    new = found.constants(Origin("d", ("1",), "m7", "m7"))
    counts = np.array([2e4, 1.0])
    assert new.deviation(counts) > here.deviation(counts) > found.constants(rows[5].origin).deviation(counts)
    assert max(abs(found.residuals)) < 0.05


HEADER = "name,kind,macs,outputs,weight_bytes,cycles,us,mhz\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("name,kind,macs\na,conv,1\n", "neither a column cycles"),
        ("name,cycles\na,1\n", "neither a column kind"),
        (HEADER + "a,conv,10,1,1,1000,10,100000000\n", r"row 2: mhz = 100000000 is not within 0 and 5000"),
        (HEADER + "a,conv,10,1,1,1000,10,125\n", r"cycles is 1,000 but us x mhz is 1,250"),
        (HEADER + "a,conv,-10,1,1,1000,,\n", r"row 2: macs = -10"),
        (HEADER + "a,conv,ten,1,1,1000,,\n", r"macs = 'ten' is not a number"),
        (HEADER + "a,conv,10,1,1,nan,,\n", r"cycles = nan"),
        (HEADER + "a,conv,10,1,1,0,,\n", r"no positive cycles"),
        (HEADER + "a,conv,,,,1000,,\n", r"counts no work"),
        (HEADER + "a,conv,10,1\n", r"another number of fields"),
        ("name,model,cycles\na,net.tflite,1000\n", r"model 'net.tflite' was not counted"),
    ],
)
def test_wrong_measurements_are_refused_by_row(tmp_path, text, message):
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(BadData, match=message):
        read_measurements(path, "cortex-m4")


def test_measurements_are_read(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(HEADER + "a,conv,10,1,1,,10,100\nb,conv,20,1,1,1000,,\n")
    rows = read_measurements(path, "cortex-m4")
    assert [r.cycles for r in rows] == [1000, 1000]
    assert rows[0].works == (Work("conv", macs=10, outputs=1, weight_bytes=1),)
    with pytest.raises(BadData, match="cannot be read"):
        read_measurements(tmp_path / "absent.csv", "cortex-m4")
    path.write_text("model,cycles,wait_states,fetch_bytes\nx,5,4,8\n")
    models = {"x": (Work("conv", macs=1),)}
    assert read_measurements(path, "cortex-m4", models)[0].stall_per_byte == 0.5


def committed(name: str) -> list[dict[str, str]]:
    with (CALIBRATION / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_published_training_step_is_near_and_in_the_band():
    """The kernels that ran it were tuned for that network; ours, portable, take more."""
    for line in committed("training.csv"):
        assert abs(float(line["error"])) < (1.0 if "mcusim" in line["profile"] else 0.15)
        assert float(line["low_ms"]) < float(line["published_ms"]) < float(line["high_ms"])


def test_what_was_left_out_lies_in_the_band_also_of_other_versions_and_cores():
    """Families: tests/benchmarks/test_calibration.py, by profile."""
    lines = {line["left_out"]: line for line in committed("summary.csv") if "all whole" in line["profile"]}
    assert float(lines["version"]["coverage"]) >= 0.85
    assert float(lines["core"]["coverage"]) >= 0.85


def test_committed_tables_reach_what_the_readme_says():
    lines = {(line["profile"], line["left_out"]): line for line in committed("summary.csv")}
    op_by_op = ("tflm-dfea53b", "esp-nn")
    assert {name for name, by in lines if by == "family"} >= {
        name for name in profile_names()
        if not any(kernels in name for kernels in op_by_op) and profile(name).calibrated
    }  # fmt: skip
    assert float(lines["all whole networks", "family"]["mean"]) <= 0.07
    for core in ("cortex-m4", "cortex-m33", "cortex-m7"):
        for version in ("7.3", "8.1", "9.0", "10.0", "10.2"):
            line = lines.get((f"{core}-cubeai-{version}-balanced", "family"))
            assert line is None or float(line["mean"]) <= 0.09
            assert line is None or float(line["worst"]) <= 0.21
    layers_of = {name.rpartition(", ")[2]: line for (name, by), line in lines.items() if by == "layer"}
    assert float(layers_of["pointwise"]["worst"]) <= 0.01
    assert float(layers_of["depthwise"]["worst"]) <= 0.07


def test_a_whole_network_on_an_esp32s3_is_foretold_from_kernels_that_were_timed_alone():
    rows = {row["network"]: row for row in committed("rows.csv") if "esp-nn" in row["profile"]}
    assert len(rows) == 7
    assert abs(float(rows["tflm_person_detect"]["left_out_error"])) <= 0.05 + 1e-3
    for name, row in rows.items():
        if "filter(64x1" in name or "filter(16x1" in name or "1x3x3x16" in name:
            assert abs(float(row["left_out_error"])) <= 0.18


def test_the_spreads_are_those_of_most_evidence():
    """A third more or less of any spread does not raise the evidence by more than a factor of e."""
    shipped, *tried = committed("evidence.csv")
    assert max(float(row["log_evidence"]) for row in tried) < float(shipped["log_evidence"]) + 2


CHECK = """
import run
run.BY = {"family": run.BY["family"]}
run.evidence = lambda rows: [{"tried": ""}]
run.training_steps = lambda: [{"profile": ""}]
run.draw = lambda rows, path: None
run.HERE = run.Path(%r)
run.PROFILES = run.HERE / "profiles"
run.main()
"""


@pytest.mark.data
def test_committed_tables_and_profiles_come_from_the_data(data_dir, tmp_path):
    environment = {**os.environ, "MCUSIM_DATA": str(data_dir), "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", CHECK % str(tmp_path)], cwd=CALIBRATION, env=environment, check=True,
        capture_output=True, timeout=300,
    )  # fmt: skip
    for name in ("rows.csv", "energy.csv"):
        with (tmp_path / name).open(newline="") as file:
            again = list(csv.DictReader(file))
        for old, new in zip(committed(name), again, strict=True):
            assert old.keys() == new.keys()
            for key, value in old.items():
                assert near(value, new[key]), f"{name}: {key} was {value}, is {new[key]}"
    for name in profile_names():
        old, new = profile(name), load_profile(tmp_path / "profiles" / f"{name}.toml")
        assert old.fitted.rows == new.fitted.rows
        for kind, terms in old.terms.items():
            assert new.terms[kind] == pytest.approx(terms, rel=5e-3), (name, kind)


def near(a: str, b: str) -> bool:
    try:
        return abs(float(a) - float(b)) <= 2e-3 * max(1.0, abs(float(a)))
    except ValueError:
        return a == b
