"""The accuracy report from made-up results: means, gaps, unfinished and missing runs."""

from __future__ import annotations

import csv
import importlib.util
import sys
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
    """Two seeds of one run, half of another, and one never run."""
    model, two = 'model = "mbv2-w0.35"\n', "[training]\nepochs = 2\n"
    (tmp_path / "mbv2-a.toml").write_text(
        f'note = "Table: one"\n{model}update = "dynamic:stage=9,blocks=2"\n{two}'
    )
    (tmp_path / "mbv2-b.toml").write_text(f'{model}update = "head"\n[formats]\nweight = "int8"\n{two}')
    (tmp_path / "mcunet-c.toml").write_text('note = "Table: two"\nmodel = "mcunet-5fps"\nupdate = "bias-9"\n')
    for seed, accuracy in ((0, 0.80), (1, 0.84)):
        rows = [{"seed": seed, **ROW, "epoch": e, "test_accuracy": accuracy - 0.1 * (2 - e)} for e in (1, 2)]
        run.merge(tmp_path / "mbv2-a.csv", rows)
    run.merge(tmp_path / "mbv2-b.csv", [{"seed": 0, **ROW, "step_ms": "", "peak_bytes": 1_800_000}])
    return tmp_path


def test_the_last_epoch_of_each_seed_counts(folder):
    results = {r.name: r for r in report.read(folder)}
    assert results["mbv2-a"].accuracy == "82.00 ± 2.83"
    assert results["mbv2-b"].accuracy == "50.00 (epoch 1 of 2)"
    assert results["mcunet-c"].accuracy == "-"
    assert [r.group for r in report.read(folder)] == ["Runs", "Table", "Table"]


def test_headlines_come_first_and_say_how_the_network_was_changed(folder):
    path = folder / "pruned.toml"
    path.write_text(
        'note = "Headline: smaller"\nmodel = "big"\nresolution = 160\nupdate = "head"\n'
        "[tool.accuracy.prune]\nratio = 0.3\n"
    )
    first = report.read(folder)[0]
    assert first.name == "pruned"
    assert first.network == "big (30 % pruned, 160 px)"


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
    assert rows[1]["peak B"] == "200000"
    assert rows[1]["scheme"] == "dynamic:stage=9;blocks=2"
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


def test_a_real_run_has_every_column(tmp_path, monkeypatch):
    from mcusim.data.synthetic import synthetic

    monkeypatch.setattr(run, "RUNS", tmp_path / "runs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "mcusim.data.named.open_data", lambda *_, **__: synthetic("target", train=60, test=20)
    )
    path = tmp_path / "tiny.toml"
    path.write_text(
        'model = "synthetic-mbv2"\nboard = "nrf52840"\nsram = "512KiB"\nupdate = "dense"\n'
        "[sgd]\nlr = 0.002\n[training]\nepochs = 2\nwarmup = 0.5\n"
        "[training.augmentation]\nflip = true\ncount = 2\n[tool.accuracy]\nunconstrained = true\n"
    )
    run.merge(path.with_suffix(".csv"), run.run(path, 0, quiet=True))
    (result,) = report.read(tmp_path)
    row = report.cells(result, report.roles([result]))
    assert "-" not in row.values()
    assert row["learns %"] == "100.00"
    assert result.mean("peak_bytes") == pytest.approx(
        sum(result.numbers(f"{role}_bytes")[0] for role in report.roles([result])), rel=0.05
    )

    whole = path.with_suffix(".csv").read_text("utf-8")
    peak = str(round(result.mean("peak_bytes")))
    path.with_suffix(".csv").write_text(whole.replace(f",{peak},", ",1,"), "utf-8")
    run.recount(path)
    assert path.with_suffix(".csv").read_text("utf-8") == whole


def test_a_folder_without_results(tmp_path):
    assert report.read(tmp_path) == []
    assert "| " not in report.markdown([])
    assert report.table([]) == "group\n"


def test_every_committed_run_is_well_formed():
    import mcusim

    paths = sorted(FOLDER.glob("*.toml"))
    assert len(paths) > 30
    for path in paths:
        wanted, own = run.read(path)
        assert mcusim.scheme(wanted.update)
        assert wanted.target().sram_bytes > 0
        assert wanted.classes == 10
        assert own.seeds


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Where pruned networks are made, once for all runs that share one."""
    return tmp_path_factory.mktemp("models")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda p: p.stem)
def test_every_committed_run_fits(path, data_dir, models, monkeypatch):
    monkeypatch.setattr(run, "RUNS", models)
    wanted, own = run.read(path)
    own = own.model_copy(update={"after": ""})
    if own.prune:  # which weights are left, and how they round, does not change what a step needs
        few = own.prune.model_copy(update={"refit_images": 4, "calibration_images": 4})
        own = own.model_copy(update={"prune": few})
    plan = run.session(wanted, own, own.seeds[0]).plan()
    assert plan.fits, str(plan)
    assert own.unconstrained or plan.peak_bytes <= report.BUDGET_BYTES
