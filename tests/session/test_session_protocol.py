"""What is chosen is chosen on validation examples; the test examples have the last word, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mcusim
from mcusim.core import BadArgument, BadData
from mcusim.data import Dataset, Split, synthetic
from mcusim.data.validation import held_out_groups, leave_out, with_validation
from mcusim.session.protocol import Protocol
from mcusim.session.run import read_run
from mcusim.session.training import Training


def session(seed: int = 0) -> mcusim.Session:
    return mcusim.Session(mcusim.load("synthetic-mbv2"), "nrf52840", "head", seed=seed)


def data() -> Dataset:
    return synthetic("target", train=120, test=60)


@pytest.fixture(scope="module")
def usual() -> mcusim.Run:
    return session().train(data(), 2)


def test_the_test_examples_are_measured_after_every_epoch_unless_said_otherwise(usual: mcusim.Run) -> None:
    assert [row["test_accuracy"] for row in usual.rows][-1] == usual.metric_after
    assert "validation_accuracy" not in usual.rows[0]
    assert usual.protocol == Protocol(120, 0, 60, None, "epoch")


def test_looking_once_at_the_end_gives_the_same_result_and_no_glance_before(usual: mcusim.Run) -> None:
    run = session().train(data(), 2, evaluate="end")
    assert all("test_accuracy" not in row for row in run.rows)
    assert (run.metric_before, run.metric_after) == (usual.metric_before, usual.metric_after)


def test_the_held_out_part_is_neither_trained_on_nor_tested(tmp_path: Path) -> None:
    seen: list[object] = []
    run = session().train(
        data(), 2, validation=0.25, evaluate="end", out=tmp_path, progress=lambda c: seen.append(c["part"])
    )
    assert (run.protocol.train, run.protocol.validation) == (90, 30)
    assert run.steps == 180
    assert set(seen) == {"validation"}
    assert "30 to choose by (seed 0), 60 to test, once, at the end" in str(run)
    kept = with_validation(data(), 0.25)
    assert run.metric_after == session().evaluate(data().test, run.model)
    assert kept.validation is not None
    assert run.rows[-1]["validation_accuracy"] == session().evaluate(kept.validation, run.model)
    assert read_run(tmp_path)["examples"] == run.protocol.as_dict()


def test_a_run_that_never_looks_reports_the_validation_examples() -> None:
    run = session().train(data(), 1, validation=0.25, evaluate="never")
    assert run.protocol.reported == "validation"
    assert run.metric_after == run.rows[-1]["validation_accuracy"]
    assert "(validation examples)" in run.outcome


def test_never_without_a_part_to_choose_by_is_refused() -> None:
    with pytest.raises(BadArgument, match="evaluate never: leaves nothing to measure on"):
        session().train(data(), 1, evaluate="never")


def test_the_part_depends_on_its_own_seed_alone() -> None:
    one, again, other = (with_validation(data(), 0.2, seed=seed).validation for seed in (0, 0, 1))
    assert one is not None
    assert again is not None
    assert other is not None
    assert one.digest() == again.digest() != other.digest()
    assert sorted(np.bincount(one.class_numbers).tolist())[0] >= 1
    first, second = (
        session(seed).train(data(), 1, validation=0.2, evaluate="never", limit=20) for seed in (0, 1)
    )
    assert first.identity["protocol"] == second.identity["protocol"]


def test_a_run_that_is_held_on_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    recipe = mcusim.Recipe(epochs=3, validation=0.2, evaluate="end", trace="off")
    whole = session().train(data(), recipe=recipe)

    def training() -> Training:
        current, held = session(), with_validation(data(), 0.2)
        return Training(current.plan_for(held), current.scheme, held, recipe, whole=current.model)

    assert len(training().advance(tmp_path, 1)) == 1
    assert not (tmp_path / "run.json").exists()
    assert len(training().advance(tmp_path, 2)) == 2
    assert training().advance(tmp_path, 3) == whole.rows
    assert read_run(tmp_path)["metric"]["after"] == whole.metric_after


def grouped(groups: list[int]) -> Split:
    count = len(groups)
    return Split(np.zeros((count, 4), np.float32), np.arange(count) % 2, np.array(groups))


def test_a_group_on_both_sides_is_refused() -> None:
    with pytest.raises(BadData, match="group 3 of waves: is in the train and the test examples"):
        Dataset(grouped([1, 2, 3]), grouped([3, 4]), ("a", "b"), "waves")


def test_groups_are_held_out_whole() -> None:
    groups = np.repeat(np.arange(10), 7)
    held = held_out_groups(groups, 0.3, seed=4)
    assert held.sum() == 21
    assert not {*groups[held]} & {*groups[~held]}
    parted = with_validation(Dataset(grouped([1, 1, 2, 2]), grouped([5]), ("a", "b"), "waves"), 0.5)
    assert len(parted.train) == 2
    with pytest.raises(BadData, match="has 2 validation examples already"):
        with_validation(parted, 0.5)


def test_one_group_can_be_left_out() -> None:
    kept, out = leave_out(grouped([1, 1, 2, 5]), [2, 5])
    assert (len(kept), len(out)) == (2, 2)
    with pytest.raises(BadArgument, match="known: 1, 2"):
        leave_out(grouped([1, 2]), [9])


def test_groups_are_one_whole_number_each() -> None:
    with pytest.raises(BadData, match="groups: are float64"):
        Split(np.zeros((2, 3), np.float32), np.array([0, 1]), np.array([0.5, 1]))  # type: ignore[arg-type]
