"""A study is planned first, trains what fits once, goes on after a kill, and says what it found."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mcusim
from mcusim.core import BadArgument, BadRun, OutOfSram
from mcusim.session.experiment import Experiment
from mcusim.studies.point import Points
from mcusim.studies.study import Constraints
from mcusim.studies.sweep import Standing


def study(base: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "mine", "base": base, "axes": {"lr": [0.01, 0.1], "seed": [0, 1]}, **more}


def stamps(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in sorted(folder.rglob("run.json"))}


def test_a_study_leaves_a_run_a_point_a_table_and_means_over_seeds(base, tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen: list[Standing] = []
    found = mcusim.sweep(study(base), out, progress=seen.append)
    assert found.count("done") == 4
    table = pd.read_parquet(out / "table.parquet")
    assert table["key"].tolist() == [p.key for p in found.points]
    assert sorted(p.name for p in (out / "runs").iterdir()) == sorted(table["key"])
    first = found.means[0]
    assert len(first.points) == 2
    assert first.reported == pytest.approx(sum(p.result["metric"]["after"] for p in first.points) / 2)
    assert first.spread == pytest.approx(
        table.set_index("key").loc[[p.key for p in first.points], "after"].std()
    )
    assert {name for point in found.points for name in point.rows[0] if "test" in name} == set()
    assert seen[-1].left_s == 0
    assert "to choose by (seed 0), 20 to test, once, at the end" in str(found)


def test_an_axis_of_named_runs_keeps_its_names_in_the_table(base, tmp_path: Path) -> None:
    named = [{"label": "slow", "lr": 0.01}, {"label": "fast", "lr": 0.1}]
    found = mcusim.sweep(study(base, axes={"run": named}), tmp_path / "out")
    assert found.table["run"].tolist() == ["slow", "fast"]
    assert [(tmp_path / "out" / folder / "run.json").exists() for folder in found.table["folder"]] == [
        True,
        True,
    ]


def test_every_run_can_be_had_again_by_its_line(base, tmp_path: Path) -> None:
    found = mcusim.sweep(study(base, axes={"lr": [0.1]}), tmp_path / "out")
    _, verb, run_file, *_ = found.command(found.points[0]).split()
    assert verb == "train"
    from mcusim.session.experiment import Experiment

    wanted = Experiment.from_dict(Experiment.read(Path(run_file)))
    run = wanted.session().train(wanted.dataset(wanted.network().model), recipe=wanted.training)
    assert run.metric_after == found.points[0].result["metric"]["after"]


def test_finished_runs_are_never_repeated(base, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = mcusim.sweep(study(base), out)
    before = stamps(out)
    again = mcusim.sweep(study(base), out)
    assert stamps(out) == before
    assert again.table.equals(first.table)
    more = mcusim.sweep(study(base, axes={"lr": [0.01, 0.1, 0.2], "seed": [0, 1]}), out, extend=True)
    assert more.count("done") == 6
    assert {path: stamp for path, stamp in stamps(out).items() if path in before} == before


def test_a_run_that_was_lost_is_trained_again(base, tmp_path: Path) -> None:
    found = mcusim.sweep(study(base), tmp_path / "out")
    folder = tmp_path / "out" / "runs" / found.points[1].key
    for path in folder.glob("*.*"):
        if path.name != "point.json":
            path.unlink()
    again = mcusim.sweep(study(base), tmp_path / "out")
    assert (folder / "run.json").is_file()
    assert again.points[1].result == found.points[1].result


def test_another_study_of_the_name_is_refused(base, tmp_path: Path) -> None:
    mcusim.sweep(study(base), tmp_path / "out", plan_only=True)
    with pytest.raises(BadRun, match="holds another study of this name: other axes"):
        mcusim.sweep(study(base, axes={"lr": [0.5]}), tmp_path / "out")


def test_what_does_not_fit_is_recorded_and_not_trained(base, tmp_path: Path) -> None:
    axes = {"update": ["head", "dense"]}
    small = mcusim.sweep(study(base, axes=axes), tmp_path / "free", plan_only=True).points[0]
    limits = {"peak_bytes": small.figures["peak_bytes"]}
    found = mcusim.sweep(study(base, axes=axes, limits=limits), tmp_path / "out")
    assert [p.status for p in found.points] == ["done", "does not fit"]
    assert "is above the limit" in found.points[1].reason
    kept = json.loads((tmp_path / "out" / "runs" / found.points[1].key / "point.json").read_text())
    assert kept["reason"] == found.points[1].reason
    assert "update=dense: does not fit" in str(found)


@pytest.mark.parametrize("how", ["sram", "limit"])
def test_a_study_of_which_nothing_fits_is_refused(base, tmp_path: Path, how: str) -> None:
    more = {"sram": "7KiB"} if how == "sram" else {}
    limits = {} if how == "sram" else {"step_ms": 0.001}
    kind = OutOfSram if how == "sram" else BadArgument
    with pytest.raises(kind, match="all 4 points of study mine" if how == "sram" else "widen the limits"):
        mcusim.sweep(study({**base, **more}, limits=limits), tmp_path / "out")


def test_what_fails_is_recorded_and_the_rest_goes_on(base, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wrong = {"sgd.lr": [0.05, 3e38], "update": ["head"]}
    found = mcusim.sweep(study(base, axes=wrong), out)
    assert [p.status for p in found.points] == ["done", "failed"]
    assert "diverged" in found.points[1].reason
    before = found.points[1].wall_s
    assert mcusim.sweep(study(base, axes=wrong), out).points[1].wall_s == before
    assert mcusim.sweep(study(base, axes=wrong), out, retry=True).points[1].wall_s != before


def test_a_scheme_that_suits_no_network_fails_in_planning(base, tmp_path: Path) -> None:
    found = mcusim.sweep(study(base, axes={"update": ["head", "static:mbv2-99kb"]}), tmp_path / "out")
    assert [p.status for p in found.points] == ["done", "failed"]


def test_halving_stops_the_worse_early_and_chooses_on_validation(base, tmp_path: Path) -> None:
    base["training"]["epochs"] = 4
    axes = {"lr": [0.0, 0.02, 0.05, 0.1], "seed": [0, 1]}
    found = mcusim.sweep(study(base, axes=axes, halving={"epochs": [1, 2], "keep": 0.5}), tmp_path / "out")
    epochs = {p.values["lr"]: len(p.rows) for p in found.points}
    assert sorted(epochs.values()) == [1, 1, 2, 4]
    rows = {p.values["lr"]: [] for p in found.points}
    for point in found.points:
        rows[point.values["lr"]].append(point.rows[0]["validation_accuracy"])
    ranked = sorted(rows, key=lambda lr: -sum(rows[lr]))
    assert {lr for lr, count in epochs.items() if count > 1} <= {
        lr for lr in rows if sum(rows[lr]) >= sum(rows[ranked[1]])
    }
    assert [p.status for p in found.points].count("stopped") == 6
    whole = mcusim.sweep(study(base, axes=axes), tmp_path / "whole")
    same = {p.key: p.result for p in whole.points}
    assert all(same[p.key] == p.result for p in found.points if p.status == "done")


def test_what_was_trained_to_the_end_is_not_called_stopped_when_more_is_compared(
    base, tmp_path: Path
) -> None:
    base = {**base, "training": {**base["training"], "validation": 0.2, "evaluate": "never", "epochs": 3}}
    halving = {"epochs": [1], "keep": 0.4}
    before = mcusim.sweep(study(base, axes={"lr": [0.0, 0.001]}, halving=halving), tmp_path / "out")
    assert before.best is not None
    (first,) = before.best.points
    assert [point.status for point in before.points].count("done") == 1
    axes = {"lr": [0.0, 0.001, 0.05, 0.06]}
    after = mcusim.sweep(study(base, axes=axes, halving=halving), tmp_path / "out", extend=True)
    (same,) = (point for point in after.points if point.key == first.key)
    assert (same.status, same.score()) == ("done", first.score())
    whole = [point for point in after.points if point.status == "done"]
    assert len(whole) > 1
    assert after.best is not None
    assert after.best.chosen == max(point.score() for point in whole)


def test_halving_beyond_the_training_is_refused(base, tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="compares after epoch 5, and the training has 2"):
        mcusim.sweep(study(base, halving={"epochs": [5]}), tmp_path / "out")


def test_the_front_holds_what_nobody_beats(base, tmp_path: Path) -> None:
    found = mcusim.sweep(study(base, axes={"update": ["head", "dense"], "lr": [0.0, 0.1]}), tmp_path / "out")
    front = found.pareto("peak_bytes", "step_ms")
    for row in found.means:
        beaten = any(
            other.chosen >= row.chosen
            and other.figure("peak_bytes") <= row.figure("peak_bytes")
            and other.figure("step_ms") <= row.figure("step_ms")
            and (other.chosen, other.figure("peak_bytes")) != (row.chosen, row.figure("peak_bytes"))
            for other in found.means
        )
        assert (row in front) != beaten


def test_a_sampler_of_optuna_goes_on_where_it_was(base, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    out = tmp_path / "out"
    asked = {"axes": {"lr": {"low": 0.001, "high": 0.2, "log": True}, "update": ["head", "dense"]}}
    asked |= {"sampler": "tpe", "objectives": ["metric", "peak_bytes"]}
    first = mcusim.sweep(study(base, points=3, **asked), out)
    assert first.count("done") == 3
    assert (out / "optuna.sqlite3").is_file()
    before = stamps(out)
    more = mcusim.sweep(study(base, points=5, **asked), out, extend=True)
    assert more.count("done") == 5
    assert {p: s for p, s in stamps(out).items() if p in before} == before
    assert [p.key for p in more.points[:3]] == [p.key for p in first.points]


def test_a_sampler_prunes_and_skips_what_does_not_fit(base, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    base["training"]["epochs"] = 3
    free = mcusim.sweep(study(base, axes={"update": ["head"]}), tmp_path / "free", plan_only=True)
    found = mcusim.sweep(
        study(
            base, axes={"lr": {"low": 1e-6, "high": 9, "log": True}, "update": ["head", "dense"]},
            sampler="tpe", points=14, halving={"epochs": [1], "keep": 0.5},
            limits={"peak_bytes": free.points[0].figures["peak_bytes"]},
        ),
        tmp_path / "out",
    )  # fmt: skip
    counts = {s: found.count(s) for s in ("done", "stopped", "does not fit")}
    assert sum(counts.values()) == 14
    assert min(counts.values()) > 0
    assert all(p.values["update"] == "head" for p in found.points if p.status != "does not fit")


def test_processes_give_the_same_results(base, tmp_path: Path) -> None:
    here = mcusim.sweep(study(base), tmp_path / "here")
    there = mcusim.sweep(study(base), tmp_path / "there", workers=2)
    assert [p.result for p in here.points] == [p.result for p in there.points]


def test_a_process_that_dies_loses_nothing(base, tmp_path: Path) -> None:
    base["training"]["epochs"] = 3
    out = tmp_path / "out"
    plan = mcusim.sweep(study(base), out, plan_only=True)
    killed: list[int] = []

    def watch() -> None:
        """Kill the first worker that has a checkpoint."""
        while not killed:
            for path in out.glob("runs/*/.lock"):
                said = path.read_text()
                if (path.parent / "checkpoint.npz").exists() and said:
                    killed.append(json.loads(said)["process"])
                    os.kill(killed[0], signal.SIGKILL)
                    return
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    found = mcusim.sweep(study(base), out, workers=2)
    thread.join()
    assert killed
    assert killed[0] != os.getpid()
    assert found.count("done") == len(plan.points)
    alone = mcusim.sweep(study(base), tmp_path / "alone")
    assert [p.result for p in found.points] == [p.result for p in alone.points]


def test_a_study_that_is_interrupted_goes_on(base, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def enough(standing: Standing) -> None:
        if sum(p.status == "done" for p in standing.points) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mcusim.sweep(study(base), out, progress=enough)
    before = stamps(out)
    assert len(before) == 2
    found = mcusim.sweep(study(base), out)
    assert found.count("done") == 4
    assert {p: s for p, s in stamps(out).items() if p in before} == before


def test_a_study_is_carried_out_by_one_process_at_a_time(base, tmp_path: Path) -> None:
    from mcusim.session.folder import held

    with held(tmp_path / "out"), pytest.raises(BadRun, match="is in use by process"):
        mcusim.sweep(study(base), tmp_path / "out")


def test_the_picture(base, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from mcusim.reporting.pictures.front import plot_front

    found = mcusim.sweep(study(base), tmp_path / "out")
    mcusim.plot(found, tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert len(plot_front(found).axes) == 4
    shutil.rmtree(tmp_path / "out")
    planned = mcusim.sweep(study(base), tmp_path / "out", plan_only=True)
    with pytest.raises(BadArgument, match="no candidate that is done"):
        plot_front(planned)


def test_a_difference_is_claimed_with_its_probability(base, tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    found = mcusim.sweep(study(base, axes={"lr": [0.0, 0.1], "seed": [0, 1, 2]}), tmp_path / "out")
    one, other = found.means
    one_sided = found.difference(one, other)
    assert one_sided is not None
    assert one_sided == found.difference(other, one)
    assert 0 <= one_sided < 1
    assert found.difference(one, one) in (None, pytest.approx(1))


def test_networks_and_data_are_made_once_and_anew_where_they_differ(base, monkeypatch) -> None:
    loaded, opened = [], []
    network, dataset = Experiment.network, Experiment.dataset
    monkeypatch.setattr(Experiment, "network", lambda self: loaded.append(self.seed) or network(self))

    def recorded(self, model):
        opened.append(self.front_end)
        return dataset(replace(self, front_end=None), model)

    monkeypatch.setattr(Experiment, "dataset", recorded)
    points = Points(Constraints())
    one = Experiment.from_dict(base)
    given = [one, replace(one, update="head"), replace(one, seed=1), replace(one, front_end="mfcc:rate=8000")]
    for wanted in (*given, *given):
        points.data(wanted)
    assert loaded == [one.seed, 1]
    assert opened == [None, "mfcc:rate=8000"]
