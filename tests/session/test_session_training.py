"""Sessions from end to end: same seed same bits, resume after a kill, results that save and print."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import small_network
from scheme_examples import LEARNING

import mcusim
from mcusim.core import BadArgument, BadData, BadRun, OutOfSram, SaveFailed, UnknownName
from mcusim.data.dataset import Dataset, Split
from mcusim.session.checkpoint import read_checkpoint
from mcusim.session.run import read_run
from mcusim.traces.store import read_trace


def tiny_data(images: int = 60, side: int = 16, classes: int = 4, seed: int = 0) -> Dataset:
    """Colours that tell the class, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    base = rng.integers(40, 216, (classes, 1, 1, 3))
    pictures = np.clip(base[labels] + rng.normal(0, 30, (images, side, side, 3)), 0, 255).astype(np.uint8)
    split = Split(pictures, labels.astype(np.int64))
    return Dataset(split, split, tuple("abcd")[:classes], "tiny")


def session(update="dynamic:ratio=0.1,blocks=2,stage=7", **options):
    options.setdefault("sgd", mcusim.Sgd(lr=0.002))
    return mcusim.Session(small_network(), mcusim.board("stm32f746"), update=update, sram="64KiB", **options)


def test_a_session_learns_and_its_results_are_what_a_user_expects(tmp_path):
    run = session().train(tiny_data(), epochs=3, out=tmp_path / "run")
    assert run.metric_after > run.metric_before
    assert run.steps == 180
    assert list(run.history["steps"]) == [60, 120, 180]
    assert sum(run.memory.by_role.values()) <= run.memory.peak_bytes <= 65_536
    assert {"op", "phase", "macs", "live_bytes"} <= set(run.operations.columns)
    assert len(run.trace) > 100
    assert "accuracy" in str(run)
    files = {p.name for p in (tmp_path / "run").iterdir()}
    assert files == {
        "run.json", "history.csv", "operations.csv", "trace.parquet", "model.npz", "checkpoint.npz",
    }  # fmt: skip
    saved = read_run(tmp_path / "run")
    assert saved["metric"]["after"] == run.metric_after
    again = mcusim.load(str(tmp_path / "run" / "model.npz"))
    assert session().evaluate(tiny_data().test, again) == run.metric_after


@pytest.mark.parametrize("update", LEARNING)
def test_every_scheme_trains_in_what_it_planned(update):
    wanted = session(update)
    plan, run = wanted.plan(), wanted.train(tiny_data(12))
    assert run.steps == 12
    assert np.isfinite(run.rows[-1]["loss"])
    assert sum(run.memory.by_role.values()) <= run.memory.peak_bytes <= 65_536
    if plan.step.scope.fixed:
        assert run.memory.peak_bytes == plan.peak_bytes
    changed = {n for n, t in run.model.tensors.items() if t.data is not wanted.model.tensors[n].data}
    assert len(changed) > (0 if update == "head" else 2)


def test_same_seed_same_files(tmp_path):
    for name in ("a", "b"):
        session().train(tiny_data(), epochs=2, out=tmp_path / name, trace="all")
    for path in sorted((tmp_path / "a").iterdir()):
        if path.suffix != ".npz":
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    one, two = (read_checkpoint(tmp_path / n / "checkpoint.npz") for n in "ab")
    assert one[1] == two[1]
    assert all(np.array_equal(one[0][k], two[0][k]) for k in one[0])


def test_another_seed_gives_another_result():
    runs = [session(seed=s).train(tiny_data(), epochs=1) for s in (0, 1)]
    assert runs[0].rows[0]["loss"] != runs[1].rows[0]["loss"]


UPDATES = (
    "dynamic:ratio=0.1,blocks=2,stage=7",
    "medyate:blocks=2,stage=9",
    "tinyprop:blocks=2,stage=9",
    "last-2",
)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize(("error", "feature"), [("float32", "whole"), ("int8", "grid-2")])
def test_a_stopped_run_resumes_to_the_same_bits(tmp_path, monkeypatch, update, error, feature):
    options = {"update": update, "formats": mcusim.Formats(error=error, feature=feature)}
    whole = session(**options).train(tiny_data(), epochs=2, out=tmp_path / "whole", trace="all")
    monkeypatch.setattr("mcusim.session.training.CHECKPOINT_STEPS", 20)
    monkeypatch.setattr("mcusim.session.training.BLOCK", 10)

    class Stop(Exception):
        pass

    def stop_at(limit):
        def progress(counts):
            if counts["step"] >= limit:
                raise Stop

        return progress

    for limit in (33, 75):
        with pytest.raises(Stop):
            session(**options).train(
                tiny_data(), epochs=2, out=tmp_path / "parts", trace="all", progress=stop_at(limit),
                resume=(tmp_path / "parts").exists(),
            )  # fmt: skip
    parts = session(**options).train(tiny_data(), epochs=2, out=tmp_path / "parts", trace="all", resume=True)
    assert parts.rows == whole.rows
    one, two = (read_checkpoint(tmp_path / n / "checkpoint.npz") for n in ("whole", "parts"))
    assert one[0].keys() == two[0].keys()
    assert all(np.array_equal(one[0][k], two[0][k], equal_nan=True) for k in one[0])
    assert (tmp_path / "whole" / "trace.parquet").read_bytes() == (
        tmp_path / "parts" / "trace.parquet"
    ).read_bytes()


KILLED = """
import sys
sys.path[:0] = [{tests!r}, {here!r}]
import mcusim.session.training as t
t.CHECKPOINT_STEPS, t.BLOCK = 10, 5
from test_session_training import session, tiny_data
tell = lambda c: print(c["step"], flush=True)
session().train(tiny_data(), epochs=40, out={out!r}, resume={resume}, progress=tell)
"""


def test_kill_dash_nine_and_resume_gives_the_same_bits(tmp_path):
    here = Path(__file__).parent

    def start(out, resume):
        code = KILLED.format(tests=str(here.parent), here=str(here), out=str(out), resume=resume)
        return subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "COLUMNS": "80"}
        )

    victim = start(tmp_path / "killed", False)
    for line in victim.stdout:
        if int(line) >= 300:
            break
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    assert not (tmp_path / "killed" / "run.json").exists()
    for out, resume in ((tmp_path / "killed", True), (tmp_path / "whole", False)):
        done = start(out, resume)
        done.communicate()
        assert done.returncode == 0
    for name in ("run.json", "history.csv", "trace.parquet"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_steps_do_not_grow_the_process():
    import gc
    import tracemalloc

    current = session()
    current.train(tiny_data(), epochs=1)
    held = []
    tracemalloc.start()
    for epochs in (5, 25):
        current.train(tiny_data(), epochs=epochs)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[1] - held[0] < 100_000  # twelve hundred steps later


def test_the_trace_of_a_run_replays_to_the_planned_peak(tmp_path):
    from mcusim.traces.replay import replay

    run = session().train(tiny_data(), epochs=1, out=tmp_path / "r", trace="all")
    trace = read_trace(tmp_path / "r" / "trace.parquet")
    assert trace.header.scheme == run.plan.settings.update
    assert replay(trace).peak_bytes == run.peak_bytes


def test_what_does_not_fit_is_refused_with_what_would_help():
    small = mcusim.Session(small_network(side=32), mcusim.board("stm32f746"), update="dense", sram="24KiB")
    plan = small.plan()
    assert not plan.fits
    assert plan.as_dict()["fits"] is False
    with pytest.raises(OutOfSram) as caught:
        small.train(tiny_data(side=32), epochs=1)
    error = caught.value
    assert error.missing_bytes == plan.peak_bytes - 24 * 1024
    assert error.live[0].bytes >= error.live[-1].bytes
    assert any("less" in s for s in error.suggestions)


def test_bad_input_names_the_thing(tmp_path):
    with pytest.raises(UnknownName, match="dynamic"):
        session(update="dynamik")
    with pytest.raises(BadArgument, match="stm32f746"):
        mcusim.Session(small_network(), mcusim.board("stm32f746"), sram="64MiB")
    with pytest.raises(BadData, match="classes=4"):
        mcusim.Session(small_network(classes=2), mcusim.board("stm32f746"), update="head").train(tiny_data())
    with pytest.raises(BadRun, match="no checkpoint"):
        session().train(tiny_data(), out=tmp_path / "none", resume=True)
    session().train(tiny_data(), epochs=1, out=tmp_path / "run")
    with pytest.raises(BadRun, match="settings"):
        session(seed=9).train(tiny_data(), epochs=1, out=tmp_path / "run", resume=True)
    checkpoint = tmp_path / "run" / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(BadRun, match="cannot be read"):
        session().train(tiny_data(), epochs=1, out=tmp_path / "run", resume=True)
    (tmp_path / "run" / "run.json").write_text(json.dumps({"version": 99}))
    with pytest.raises(BadRun, match="another version"):
        read_run(tmp_path / "run")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaveFailed):
        session().train(tiny_data(), epochs=1, out=tmp_path / "file" / "run")


@pytest.mark.smoke
def test_planning_needs_no_data_and_no_compiled_code():
    code = (
        "import sys, mcusim; sys.path.insert(0, sys.argv[1]); from networks import small_network;"
        "mcusim.Session(small_network(), mcusim.board('stm32f746'), update='head').plan();"
        "assert 'numba' not in sys.modules and 'pandas' not in sys.modules"
    )
    tests = str(Path(__file__).parent.parent)
    subprocess.run([sys.executable, "-c", code, tests], check=True)


def test_the_trace_of_a_step_has_the_roles_of_the_plan():
    from mcusim.traces.replay import replay

    run = session("dense").train(tiny_data(), epochs=1, limit=2)
    step = run.plan.step
    profile = step.live_profile()
    fullest = profile.index(max(profile))
    found = replay(run.trace)
    assert found.live_bytes == profile[fullest]
    assert found.moment.by_role == {str(r): b for r, b in step.live_bytes(fullest).items() if b}


def test_a_run_has_a_timeline():
    run = session().train(tiny_data(), epochs=1)
    found = run.timeline(frames_per_s=2.0, hours=1 / 60).as_dict()
    assert found == run.timeline(frames_per_s=2.0, hours=1 / 60).as_dict()


def test_stages_show_in_the_trace(tmp_path):
    run = session(residency="flash").train(tiny_data(), epochs=1, out=tmp_path / "r", trace="all")
    events = read_trace(tmp_path / "r" / "trace.parquet").events.to_pandas()
    stages = -(-60 // 7)
    selected = events[events.event == "select"]
    assert len(selected) == stages * len(run.plan.step.scope.channels)
    written = events[events.event == "flash_write"]
    assert list(written.step) == [7 * k for k in range(1, stages)]
    assert set(written.tensor) == {"checkpoint A", "checkpoint B"}


def test_a_board_may_be_named():
    assert mcusim.Session(small_network(), "stm32f746").board.name == "stm32f746"
    with pytest.raises(mcusim.McusimError, match="did you mean stm32f746"):
        mcusim.Session(small_network(), "stm32f74")


def test_data_may_be_named_as_networks_and_boards_are():
    opened = mcusim.train("synthetic-mbv2", "nrf52840", mcusim.data.open_data("synthetic"), limit=3)
    named = mcusim.train("synthetic-mbv2", "nrf52840", "synthetic", limit=3)
    assert named.history.equals(opened.history)
    with pytest.raises(UnknownName, match="synthetic"):
        mcusim.train("synthetic-mbv2", "nrf52840", "synthetik")
