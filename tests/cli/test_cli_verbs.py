"""What each verb prints: for people compared with tests/golden, for machines key by key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mcusim.core import FLASH_ROLES, SRAM_ROLES

BOARD = ("--board", "nrf52840")
SHIPPED = ("--model", "synthetic-mbv2", *BOARD)


@pytest.mark.smoke
def test_plan_says_what_it_must(answer):
    found = answer("plan", *SHIPPED, "--sram", "256KiB")
    sram = found["sram"]
    assert found["fits"] is True
    assert sram["budget_bytes"] == 262_144
    assert set(sram["by_role"]) == {str(r) for r in SRAM_ROLES}
    assert sum(sram["by_role"].values()) == sram["live_bytes"] <= sram["lower_bound_bytes"]
    assert sram["lower_bound_bytes"] <= sram["peak_bytes"] <= sram["budget_bytes"]
    assert sram["by_role"]["runtime"] > 0
    assert sram["peak_op"]
    assert set(found["flash"]["by_role"]) == {str(r) for r in FLASH_ROLES}
    assert found["flash"]["total_bytes"] >= sum(found["flash"]["by_role"].values())
    assert found["features"]["reduction"] == pytest.approx(
        1 - found["features"]["saved_bytes"] / found["features"]["dense_bytes"]
    )
    weights = found["weights"]
    assert weights["ratio"] == weights["updated"] / weights["conv_total"] <= 0.02
    assert found["macs"]["forward"] > found["macs"]["backward"] > 0
    time = found["time"]["step_ms"]
    assert time["low"] < time["value"] < time["high"]
    assert sum(found["time"]["breakdown"].values()) == found["time"]["cycles"]
    assert found["time"]["unknown"] == ["flash_stalls", "sram_stalls"]
    assert [region["region"] for region in found["time"]["regions"]] == ["RAM"]
    assert "wait_states of sram RAM" in found["time"]["notes"][1]


def test_plan_of_a_whole_session(run, answer):
    options = ("plan", *SHIPPED, "--steps", "5000", "--no-suggest")
    found = answer(*options)
    session = found["session"]
    assert session["steps"] == 5000
    assert session["compute_s"]["value"] == pytest.approx(5 * found["time"]["step_ms"]["value"])
    assert session["energy_mj"]["provenance"] == "modelled"
    assert session["sessions_until_worn"] * session["write_backs"] == 20_000
    said = run(*options).stdout
    assert "5,000 steps; evaluation" in said
    assert "such sessions" in said
    assert "session" not in answer(*options[:-3], "--no-suggest")


def test_plan_for_people(run, golden):
    golden("plan.txt", run("plan", *SHIPPED, "--sram", "256KiB", "--no-suggest").stdout)


def test_plan_that_does_not_fit_is_an_answer(run, answer, golden):
    found = answer("plan", *SHIPPED, "--update", "dense", "--sram", "64KiB", exits=3)
    assert found["fits"] is False
    assert found["suggestions"]
    result = run("plan", *SHIPPED, "--update", "dense", "--sram", "64KiB", "--no-suggest")
    assert result.exit_code == 3
    golden("plan-too-small.txt", result.stdout)


def test_a_pattern_prunes_saved_features(run, answer):
    options = ("plan", *SHIPPED, "--update", "last-6", "--no-suggest")
    whole, pruned = (answer(*options, *more)["features"] for more in ((), ("--feature", "checker")))
    assert (whole["pattern"], whole["pruned"]) == ("whole", {})
    assert pruned["pattern"] == "checker"
    assert 0 < pruned["saved_bytes"] == whole["saved_bytes"] // 2
    assert len(pruned["pruned"]) == 6
    assert set(pruned["pruned"].values()) == {8}
    found = run(*options, "--feature", "checker").stdout
    assert "checker pixels of 6 layers" in found
    assert "feature checker" in found


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        (("--error", "int8", "--weight", "int8+res8"), "error", "int8"),
        (("--weight", "float32"), "weight", "float32"),
        (("--head", "int8"), "head", "int8"),
        (("--classes", "7"), "head", "float32"),
        (("--feature", "grid-2"), "feature", "grid-2"),
        (("--bias", "int32+res8"), "bias", "int32+res8"),
    ],
)
def test_formats(answer, options, key, value):
    assert answer("plan", *SHIPPED, *options, "--no-suggest")["formats"][key] == value


def test_residency_patches_and_planner(answer):
    plain = ("plan", *SHIPPED, "--no-suggest")
    assert answer(*plain, "--residency", "flash")["sram"]["residency"] == "flash"
    assert answer(*plain, "--patches", "off")["sram"]["patches"] is None
    found = answer(*plain, "--planner", "greedy_by_size")
    assert found["sram"]["planner"] == "greedy_by_size"


def test_train_and_resume(answer, model: Path, images: Path, tmp_path: Path):
    out = tmp_path / "run"
    arguments = ("train", "--model", model, *BOARD, "--data", images, "--epochs", "3", "--out", out)
    options = ("--lr", "0.02", "--flip", "--shift", "1", "--zoom", "0.1", "--variants", "6", "--warmup", ".5")
    found = answer(*arguments, *options)
    assert found["metric"]["after"] > found["metric"]["before"]
    assert found["steps"] == 120
    assert found["images_per_s"] > 0
    assert found["out"] == str(out)
    assert found["fits"] is True
    names = {p.name for p in out.iterdir()}
    assert {"run.json", "history.csv", "trace.parquet", "checkpoint.npz", "model.npz"} <= names
    again = answer(*arguments, *options, "--resume")
    assert again["metric"] == found["metric"]


def test_a_trained_network_keeps_its_head(answer, model: Path, images: Path, tmp_path: Path):
    first = answer("train", "--model", model, *BOARD, "--data", images, "--epochs", "3", "--out", tmp_path)
    more = ("train", "--model", tmp_path / "model.npz", *BOARD, "--data", images, "--limit", "4")
    assert answer(*more)["metric"]["before"] == first["metric"]["after"]
    assert answer(*more, "--head", "float32")["metric"]["before"] < first["metric"]["after"]


def test_train_for_people(run, golden, model: Path, images: Path):
    result = run("train", "--model", model, *BOARD, "--data", images, "--lr", "0.02")
    assert result.stderr.startswith("epoch 1 of 1, step 40, loss ")
    assert result.stderr.count("\n") == 1
    text = re.sub(r"[\d,]+ images/s", "N images/s", result.stdout)
    golden("train.txt", re.sub(r"[\d,]+ times faster", "N times faster", text))


def test_train_refuses_what_does_not_fit(refused, images: Path, model: Path):
    said = refused(
        "train", "--model", model, *BOARD, "--update", "dense", "--data", images, "--sram", "16KiB", exits=3
    )
    assert "B are missing" in said
    assert "largest live blocks" in said
    assert "--error int8" in said


def test_demo_for_machines(answer, images: Path, monkeypatch):
    monkeypatch.setattr("mcusim.cli.demo.DATA", str(images))
    found = answer("demo")
    assert found["sram"]["budget_bytes"] == 262_144
    assert found["steps"] == 40


def test_compare(run, answer, golden):
    boards = ("--boards", "nrf52840,stm32u585,rp2040", "--updates", "head,dynamic:ratio=0.05,stage=20,dense")
    found = answer("compare", "--model", "synthetic-mbv2", *boards)
    assert [r["update"] for r in found["rows"]] == ["head", "dynamic:ratio=0.05,stage=20", "dense"] * 3
    for row in found["rows"]:
        assert row["fits"] == (row["peak_bytes"] <= row["budget_bytes"])
        assert row["step_ms"]["low"] < row["step_ms"]["high"]
        assert row["step_mj"] is not None or any("power.active_mw" in m for m in row["missing"])
    golden("compare.txt", run("compare", "--model", "synthetic-mbv2", *boards).stdout)
    larger = answer("compare", "--model", "synthetic-mbv2", *boards, "--resolution", "64")
    for large, row in zip(larger["rows"], found["rows"], strict=True):
        assert large["step_ms"]["value"] > row["step_ms"]["value"]
    formats = answer("compare", "--model", "synthetic-mbv2", *boards, "--bias", "int32+res8")
    peaks = [(a["peak_bytes"], b["peak_bytes"]) for a, b in zip(formats["rows"], found["rows"], strict=True)]
    assert all(more >= less for more, less in peaks)
    assert any(more > less for more, less in peaks)


def test_models(answer, run):
    found = answer("models")
    assert "synthetic-mbv2" in {row["name"] for row in found["models"]}
    assert "mbv2-w0.35" in {row["name"] for row in found["public"]}
    assert "mbv2-w0.35" in run("models").stdout


def test_show_lists_the_layers(answer, run, refused, golden):
    found = answer("show", "synthetic-mbv2")
    assert found["head"] == "classifier"
    assert found["macs"] == sum(layer["macs"] for layer in found["layers"])
    last = found["layers"][-1]
    assert (last["name"], last["learns"]) == ("classifier", ["weights", "bias"])
    assert last["cost"]["own_macs"] == 1280 // 4
    golden("show.txt", run("show", "synthetic-mbv2").stdout)
    assert "nothing_like_it" in refused("show", "nothing_like_it")


def test_version_and_help(run):
    from mcusim import __version__
    from mcusim.cli.main import VERBS

    assert run("--version").stdout == f"mcusim {__version__}\n"
    text = run("--help").stdout
    assert all(verb in text for verb in VERBS)
    for verb in VERBS:
        assert run(verb, "--help").exit_code == 0
