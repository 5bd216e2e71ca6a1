from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcusim.core import BadData, Work
from mcusim.mcu.cycles.calibrate import fit, held_out
from mcusim.mcu.cycles.form import network_form, op_form
from mcusim.mcu.cycles.measurement import Measurement, read_measurements

pytest.importorskip("scipy")
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


def test_known_constants_are_found_again():
    found = fit(layers(), op_form("pointwise"))
    assert found.constants == pytest.approx({"macs": 7.5, "outputs": 100, "weight_bytes": 20}, rel=1e-4)
    assert max(map(abs, found.errors)) < 1e-4
    left = held_out(layers(), op_form("pointwise"), lambda m: m.group)
    assert max(abs(e) for e in left if e is not None) < 1e-4


def test_what_the_board_waits_for_is_no_matter_of_the_kernels():
    stalled = [
        replace(r, cycles=r.cycles + 10_000 * i, sram_stalls=10_000.0 * i) for i, r in enumerate(layers())
    ]
    found = fit(stalled, op_form("pointwise"))
    assert found.constants == pytest.approx({"macs": 7.5, "outputs": 100, "weight_bytes": 20}, rel=1e-4)


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
    found = fit(rows, op_form("pointwise"))
    assert found.constants["outputs"] == pytest.approx(100, rel=0.05)
    assert found.constants["macs"] == pytest.approx(7.5, rel=0.05)


def test_constants_are_never_negative():
    rows = [replace(r, cycles=100.0 * r.works[0].outputs) for r in layers()]
    assert min(fit(rows, op_form("pointwise")).constants.values()) >= 0


def test_several_cores_share_constants_and_differ_in_speed():
    form = network_form(1.3)
    rng = np.random.default_rng(1)
    rows = []
    for i in range(16):
        works = (
            Work("conv", macs=int(rng.integers(10**5, 10**6)), requants=1000, flash_read=500),
            Work("depthwise", macs=int(rng.integers(10**4, 10**6)), requants=3000),
            Work("fully_connected", macs=int(rng.integers(10**3, 10**5))),
        )
        speed = (1.0, 0.5)[i % 2]
        cost = 1.5 * (works[0].macs + 1.3 * works[2].macs) + 6 * works[1].macs + 30 * 4000
        core = ("cortex-m4", "cortex-m7")[i % 2]
        rows.append(Measurement(f"n{i}", f"n{i // 2}", core, core, works, speed * cost + 0.5 * 500, 0.5))
    found = fit(rows, form, "cortex-m4")
    assert found.constants == pytest.approx({"gemm": 1.5, "depthwise": 6.0}, rel=1e-3)
    assert found.speeds == pytest.approx({"cortex-m4": 1.0, "cortex-m7": 0.5}, rel=1e-3)
    assert found.free == 3
    assert found.terms("cortex-m7")["fully_connected"]["macs"] == pytest.approx(0.5 * 1.3 * 1.5, rel=1e-3)
    chips = held_out(rows, form, lambda m: m.chip, "cortex-m4")
    assert chips == [None] * 16  # a chip that is its core's only one leaves no speed behind


def test_too_few_rows_are_refused():
    with pytest.raises(BadData, match=r"9 rows are too few for 3 free constants.*at least 10"):
        fit(layers(9), op_form("pointwise"))


def test_collinear_columns_are_named():
    rows = [replace(r, works=(replace(r.works[0], weight_bytes=2 * r.works[0].macs),)) for r in layers()]
    with pytest.raises(BadData, match=r"macs and weight_bytes are collinear"):
        fit(rows, op_form("pointwise"))


def test_a_constant_nobody_measured_is_named():
    with pytest.raises(BadData, match="no row says anything about depthwise"):
        fit([replace(r, works=(replace(r.works[0], kind="conv"),)) for r in layers(20)], network_form(1.0))


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


def test_the_published_training_step_is_near():
    for line in committed("training.csv"):
        assert abs(float(line["error"])) < 0.25


def test_committed_tables_reach_the_targets():
    lines = {line["profile"]: line for line in committed("summary.csv")}
    for name, line in lines.items():
        assert float(line["held_out_mean"]) <= 0.10, name
        assert float(line["held_out_worst"]) <= 0.25, name
    assert float(lines["cortex-m0plus-cmsis-nn pointwise"]["held_out_worst"]) <= 0.01
    assert float(lines["cortex-m0plus-cmsis-nn depthwise"]["held_out_mean"]) <= 0.02
    assert float(lines["cortex-m0plus-cmsis-nn depthwise"]["held_out_worst"]) <= 0.07
    assert {line["predicted"] for line in committed("carried.csv")} >= {
        "STM32F746NG", "STM32H7A3ZI", "STM32U385RG", "STM32U575ZI",
    }  # fmt: skip


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:.*tensor:UserWarning")
def test_committed_tables_come_from_the_data(data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("MCUSIM_DATA", str(data_dir))
    monkeypatch.setattr(sys, "path", [str(CALIBRATION), *sys.path])
    import run  # the benchmark's own modules, found through the path above

    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "PROFILES", tmp_path / "profiles")
    monkeypatch.setattr(run, "draw", lambda rows, path: None)
    run.main()
    for name in ("rows.csv", "summary.csv", "carried.csv", "energy.csv", "ratio.csv"):
        with (tmp_path / name).open(newline="") as file:
            again = list(csv.DictReader(file))
        for old, new in zip(committed(name), again, strict=True):
            assert old.keys() == new.keys()
            for key, value in old.items():
                assert near(value, new[key]), f"{name}: {key} was {value}, is {new[key]}"


def near(a: str, b: str) -> bool:
    try:
        return abs(float(a) - float(b)) <= 2e-3 * max(1.0, abs(float(a)))
    except ValueError:
        return a == b
