"""The accuracy report from made-up results: means, gaps, unfinished and missing runs."""

from __future__ import annotations

import csv
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "accuracy"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"accuracy_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


run, report = module("run"), module("report")

ROW = {
    "epoch": 1, "steps": 10, "loss": 1.5, "train_accuracy": 0.4, "test_accuracy": 0.5, "learning_rate": 0.1,
    "saturations": 3, "coverage": 0.25, "peak_bytes": 200_000, "activation_bytes": 90_000,
    "feature_bytes": 2_000, "mask_bytes": 0, "residency": "sram", "patches": "", "step_ms": 321.5,
    "ratio": 0.0199, "feature_reduction": 0.9876, "wall_s": 9,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of two runs, one with two seeds and one half done, and a study never run."""
    (tmp_path / "mbv2.toml").write_text(
        'note = "Table: two runs"\n[base]\nmodel = "mbv2-w0.35"\nboard = "nrf52840"\n'
        "[base.training]\nepochs = 2\n[axes]\nseed = [0, 1]\n"
        '[[axes.run]]\nlabel = "mbv2-a"\nupdate = "dynamic:stage=9,blocks=2"\n'
        '[[axes.run]]\nlabel = "mbv2-b"\nupdate = "head"\nweight = "int8"\n'
    )
    (tmp_path / "mcunet.toml").write_text(
        'note = "Table: one more"\n[base]\nmodel = "mcunet-5fps"\nboard = "nrf52840"\n'
        '[[axes.run]]\nlabel = "mcunet-c"\nupdate = "bias-9"\n'
    )
    for seed, accuracy in ((0, 0.80), (1, 0.84)):
        rows = [
            {"run": "mbv2-a", "seed": seed, **ROW, "epoch": e, "test_accuracy": accuracy - 0.1 * (2 - e)}
            for e in (1, 2)
        ]
        run.merge(tmp_path / "mbv2.csv", rows)
    half = {"run": "mbv2-b", "seed": 0, **ROW, "step_ms": "", "peak_bytes": 1_800_000}
    run.merge(tmp_path / "mbv2.csv", [half])
    return tmp_path


def test_the_last_epoch_of_each_seed_counts(folder):
    results = {r.name: r for r in report.read(folder)}
    assert results["mbv2-a"].accuracy == "82.00 ± 2.83"
    assert results["mbv2-b"].accuracy == "50.00 (epoch 1 of 2)"
    assert results["mcunet-c"].accuracy == "-"
    assert [r.group for r in report.read(folder)] == ["Table", "Table", "Table"]


def test_headlines_come_first_and_say_which_network_they_are_of(folder):
    (folder / "pruned.toml").write_text(
        'note = "Headline: smaller"\n[base]\nmodel = "runs/models/big.npz"\nresolution = 160\n'
        'board = "nrf52840"\n[[axes.run]]\nlabel = "small"\nupdate = "head"\n'
    )
    first = report.read(folder)[0]
    assert first.name == "small"
    assert first.network == "big (160 px)"


def test_the_table_in_markdown_and_csv(folder):
    results = report.read(folder)
    text = report.markdown(results)
    line = next(line for line in text.splitlines() if line.startswith("| mbv2-a"))
    assert line == (
        "| mbv2-a | mbv2-w0.35 | `dynamic:stage=9,blocks=2` | default | 2 | 82.00 ± 2.83 | 2 | 200,000 "
        "| 90,000 | 2,000 | 1.99 | 98.76 | 322 | 25.0 | 3 |"
    )
    assert "mask" not in text
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {line.count("|")}
    missing = next(line for line in text.splitlines() if line.startswith("| mcunet-c"))
    assert missing.count(" - ") == 10
    rows = list(csv.DictReader(report.table(results).splitlines()))
    assert rows[0]["peak B"] == "200000"
    assert rows[0]["scheme"] == "dynamic:stage=9;blocks=2"
    assert {len(row) for row in rows} == {len(rows[0])}


def test_the_command_writes_all_three(folder, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(sys, "argv", ["report.py", "--folder", str(folder), "--out", str(out)])
    report.main()
    assert "82.00" in capsys.readouterr().out
    assert {p.name for p in out.iterdir()} == {"comparison.md", "comparison.csv", "comparison.png"}
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_a_real_study_has_every_column(tmp_path, monkeypatch):
    from mcusim.data.synthetic import synthetic

    monkeypatch.setattr(run, "RUNS", tmp_path / "runs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "mcusim.data.named.open_data", lambda *_, **__: synthetic("target", train=60, test=20)
    )
    path = tmp_path / "tiny.toml"
    path.write_text(
        f'[base]\nmodel = "synthetic-mbv2"\nsram = "512KiB"\nboard = "{FOLDER}/boards/unlimited.toml"\n'
        "[base.sgd]\nlr = 0.002\n[base.training]\nepochs = 2\nwarmup = 0.5\n"
        "[base.training.augmentation]\nflip = true\ncount = 2\n"
        '[[axes.run]]\nlabel = "all"\nupdate = "dense"\n[[axes.run]]\nlabel = "end"\nupdate = "head"\n'
    )
    run.main([str(path), "--only", "all"])
    assert [len(rows) for rows in run.by_run(path.with_suffix(".csv")).values()] == [2]
    result, missing = report.read(tmp_path)
    row = report.cells(result, report.roles([result]))
    assert "-" not in row.values()
    assert row["learns %"] == "100.00"
    assert missing.accuracy == "-"
    assert result.mean("peak_bytes") == pytest.approx(
        sum(result.numbers(f"{role}_bytes")[0] for role in report.roles([result])), rel=0.05
    )

    whole = path.with_suffix(".csv").read_text("utf-8")
    peak = str(round(result.mean("peak_bytes")))
    path.with_suffix(".csv").write_text(whole.replace(f",{peak},", ",1,"), "utf-8")
    run.recount(path)
    assert path.with_suffix(".csv").read_text("utf-8") == whole
    with pytest.raises(run.mcusim.UnknownName, match="all"):
        run.main([str(path), "--only", "al"])


def test_a_folder_without_results(tmp_path):
    assert report.read(tmp_path) == []
    assert "| " not in report.markdown([])
    assert report.table([]) == "group\n"


STUDIES = sorted(FOLDER.glob("*.toml"))


@pytest.fixture(scope="module")
def root():
    """The root of the repository, from which the studies here are carried out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FOLDER.parents[1])
        yield


def test_every_committed_run_has_every_epoch_of_every_seed(root):
    results = report.read(FOLDER)
    assert len(results) >= 75
    assert len({result.name for result in results}) == len(results)
    for result in results:
        assert result.wanted.target().sram_bytes > 0
        assert {int(row["epoch"]) for row in result.last} == {result.epochs}, result.name
    for path in STUDIES:
        seeds = set(map(str, run.Space(run.read(path)).seeds))
        runs = run.by_run(path.with_suffix(".csv"))
        assert {tuple(sorted({row["seed"] for row in rows})) for rows in runs.values()} == {
            tuple(sorted(seeds))
        }
        assert {len(rows) for rows in runs.values()} <= {
            wanted.training.epochs * len(seeds) for wanted in run.experiments(run.read(path)).values()
        }


@pytest.fixture(scope="module")
def pruned(tmp_path_factory, data_dir):
    """The pruned network, its weights fitted to a few pictures: what a step needs does not depend on them."""
    path = tmp_path_factory.mktemp("models") / run.PRUNED
    run.pruned(path, refit=4, calibration=4)
    return path


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_every_committed_run_fits(path, data_dir, root, request):
    for name, wanted in run.experiments(run.read(path)).items():
        if wanted.model.endswith(run.PRUNED):
            wanted = replace(wanted, model=str(request.getfixturevalue("pruned")))
        elif wanted.model.startswith("runs/"):  # what was learned before changes no plan
            wanted = replace(wanted, model="mbv2-w0.35", classes=10)
        plan = wanted.session().plan(suggest=False)
        assert plan.fits, f"{name}: {plan}"
        assert plan.board.name == "unlimited" or plan.peak_bytes <= report.BUDGET_BYTES, name
