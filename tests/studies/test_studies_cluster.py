"""A Dask cluster makes the same runs; who does not answer or has other code is named."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import mcusim
from mcusim.core import BadArgument

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")  # distributed's own


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    ) as found:
        yield found


def study(base: dict[str, Any]) -> dict[str, Any]:
    return {"name": "mine", "base": base, "axes": {"lr": [0.01, 0.1], "seed": [0, 1]}}


def test_a_cluster_gives_the_same_results_and_data_reach_it_once(cluster, base, tmp_path: Path) -> None:
    here = mcusim.sweep(study(base), tmp_path / "here")
    there = mcusim.sweep(study(base), tmp_path / "there", scheduler=cluster.scheduler_address)
    assert [p.result for p in here.points] == [p.result for p in there.points]
    assert all((tmp_path / "there" / "runs" / p.key / "run.json").is_file() for p in there.points)


def test_the_runs_of_a_worker_share_fronts_until_the_study_ends(cluster, base, tmp_path: Path) -> None:
    mcusim.sweep(study(base), tmp_path, scheduler=cluster.scheduler_address)

    def left() -> list[int]:
        from mcusim.studies import cluster

        def same(job, data, fronts):
            return id(fronts)

        cluster.train_point, kept = same, cluster.train_point
        before = len(cluster._THERE)
        try:
            return [before, cluster._train_there(None, None), cluster._train_there(None, None)]
        finally:
            cluster.train_point = kept
            cluster._forget()

    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        before, first, second = client.submit(left, pure=False).result()
    assert before == 0
    assert first == second


def test_a_worker_is_not_sampled_while_it_trains(cluster) -> None:
    def sampled() -> bool:
        worker = distributed.get_worker()
        time.sleep(0.2)  # what is to be done comes to the worker's own thread
        return worker.periodic_callbacks["profile"].is_running()

    def unsampled() -> bool:
        from mcusim.studies.cluster import _unsampled

        with _unsampled():
            return sampled()

    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        found = [client.submit(run, pure=False).result() for run in (sampled, unsampled, sampled)]
    assert found == [True, False, True]


def test_workers_without_the_folder_send_their_files(base, tmp_path: Path) -> None:
    from mcusim.studies.axes import Space
    from mcusim.studies.point import Points
    from mcusim.studies.study import Constraints, Study
    from mcusim.studies.work import Job, train_point

    space = Space(Study.read(study(base)))
    planner = Points(Constraints())
    point = planner.point(next(space.grid()), 0)
    data, _ = planner.data(point.experiment)
    assert point.plan is not None
    assert point.model is not None
    away = tmp_path / "nowhere" / "runs" / point.key
    job = Job(point.key, point.experiment, point.plan, point.model, away, "a-mark", 2)
    outcome = train_point(job, data)
    assert outcome.status == "done"
    assert not away.exists()
    outcome.enter(point, tmp_path / "mine")
    assert (tmp_path / "mine" / "model.npz").is_file()
    assert (tmp_path / "mine" / "point.json").is_file()


def test_a_worker_that_dies_loses_nothing(cluster, base, tmp_path: Path) -> None:
    base["training"]["epochs"] = 3
    out = tmp_path / "out"
    killed: list[int] = []

    def watch() -> None:
        import json

        while not killed:
            for path in out.glob("runs/*/.lock"):
                said = path.read_text() if path.exists() else ""
                if said and (path.parent / "checkpoint.npz").exists():
                    killed.append(json.loads(said)["process"])
                    os.kill(killed[0], signal.SIGKILL)
                    return
            time.sleep(0.01)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    found = mcusim.sweep(study(base), out, scheduler=cluster.scheduler_address)
    thread.join()
    assert found.count("done") == 4
    alone = mcusim.sweep(study(base), tmp_path / "alone")
    assert [p.result for p in found.points] == [p.result for p in alone.points]


def test_a_scheduler_that_does_not_answer_is_named(base, tmp_path: Path) -> None:
    from mcusim.studies.cluster import Cluster

    with pytest.raises(BadArgument, match=r"scheduler tcp://127\.0\.0\.1:9: does not answer"):
        Cluster("tcp://127.0.0.1:9", seconds=0.5)
    with pytest.raises(BadArgument, match="does not answer"):
        Cluster("no address", seconds=0.5)


def test_a_worker_with_other_code_is_named(cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from mcusim.session import identity
    from mcusim.studies.cluster import Cluster

    monkeypatch.setattr(identity, "program", lambda: {"version": "9.9", "arithmetic": "x"})
    with pytest.raises(BadArgument, match=r"worker tcp://.*: runs 0\.1\.0 with other code, this study 9\.9"):
        Cluster(cluster.scheduler_address)
