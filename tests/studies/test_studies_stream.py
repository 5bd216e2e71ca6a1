"""Streams: tasks come one after the other, a buffer is counted, and what is forgotten is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadArgument, BadData, McusimError, Role, UnknownName
from mcusim.data import Dataset, Split
from mcusim.data.replay import Rehearsal, ReplayBuffer, composed
from mcusim.data.streams import by_class, by_domain, by_group
from mcusim.studies.stream import StreamResult

COUNTS_BYTES = 4 * 4
"""What a device counts: examples and draws, blocks and records in flash."""


def data(count: int = 64, *, groups: bool = False) -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 4
    pictures = rng.integers(0, 100, (count, 16, 16, 3), dtype=np.uint8)
    pictures[np.arange(count), :, :, labels % 3] += (labels * 35).astype(np.uint8)[:, None, None]
    who = np.arange(count) // (count // 4) if groups else None
    half = np.arange(count) < count * 3 // 4
    return Dataset(
        *(Split(pictures[p], labels[p], None if who is None else who[p]) for p in (half, ~half)),
        tuple("abcd"), "tones",
    )  # fmt: skip


def session(replay: str | None = None, update: str = "dense", board: str = "stm32f746") -> mcusim.Session:
    return mcusim.Session(
        small_network(), board, update, replay=replay, sgd=mcusim.Sgd(lr=0.02), patches=None,
        formats=mcusim.Formats(weight="int8+res8"),
    )  # fmt: skip


def test_classes_come_in_turn_and_are_tested_alone() -> None:
    first, second = by_class(data(), 2)
    assert {*first.train.class_numbers} == {*first.test.class_numbers} == {0, 1}
    assert {*second.test.class_numbers} == {2, 3}
    assert first.labels == second.labels == tuple("abcd")
    assert first.name == "a+b"
    shuffled = by_class(data(), 3, seed=1)
    assert sorted(c for task in shuffled for c in {*task.train.class_numbers}) == [0, 1, 2, 3]


def test_groups_come_in_turn_and_are_tested_on_their_own_other_examples() -> None:
    tasks = by_group(data(groups=True))
    assert len(tasks) == 4
    assert sum(len(t.train) + len(t.test) for t in tasks) == 64
    for task in tasks:
        train = {x.tobytes() for x in task.train.images}
        assert not train & {x.tobytes() for x in task.test.images}


BAD = [
    (lambda: by_class(data(), 4), BadArgument, "make no stream of 4"),
    (lambda: by_group(data()), BadData, "examples without groups"),
    (lambda: by_domain([data()]), BadArgument, "has no change in it"),
    (lambda: by_domain([data(), by_other()]), BadData, "other classes or examples"),
    (lambda: mcusim.stream(session(), [data()]), BadArgument, "has nothing to forget"),
    (lambda: Rehearsal.read("raw"), BadArgument, "capacity="),
    (lambda: Rehearsal.read("raw:0"), BadArgument, "capacity=0"),
    (lambda: Rehearsal.read("row:4"), UnknownName, "did you mean raw"),
    (lambda: Rehearsal.read("raw:4,polcy=fifo"), UnknownName, "did you mean policy"),
    (lambda: Rehearsal.read("raw:4,policy=lifo"), UnknownName, "did you mean fifo"),
    (lambda: mcusim.Settings(replay="raw:x"), BadArgument, "is no whole number"),
    (lambda: session("latent:4").plan(), BadArgument, "has no latents"),
]


def by_other() -> Dataset:
    plain = data()
    return Dataset(plain.train, plain.test, tuple("abcx"), "others")


@pytest.mark.parametrize(("call", "kind", "said"), BAD, ids=[said for *_, said in BAD])
def test_what_makes_no_sense_is_named(call, kind: type[McusimError], said: str) -> None:
    with pytest.raises(kind, match=said):
        call()


def filled(policy: str, labels: np.ndarray, capacity: int = 20) -> ReplayBuffer:
    buffer = ReplayBuffer(Rehearsal("raw", capacity, policy), seed=0)
    for number, label in enumerate(labels.tolist()):
        buffer.offer(number, label)
    return buffer


def test_a_reservoir_keeps_every_example_with_the_same_probability() -> None:
    counts = np.zeros(200)
    for seed in range(300):
        buffer = ReplayBuffer(Rehearsal("raw", 20), seed)
        for number in range(200):
            buffer.offer(number, 0)
        counts[buffer.kept] += 1
    assert counts.sum() == 300 * 20
    # Each is there with p = 0.1: thirds of the stream do not differ by more than four deviations.
    thirds = counts.reshape(4, 50).sum(axis=1)
    assert np.abs(thirds - 1500).max() < 4 * np.sqrt(1500)


def test_a_balanced_buffer_keeps_rare_classes_and_fifo_the_last() -> None:
    labels = np.array([0] * 300 + [1] * 10 + [2] * 300)
    balanced = labels[filled("balanced", labels).kept]
    assert np.bincount(balanced).min() >= 5
    assert np.bincount(labels[filled("reservoir", labels).kept], minlength=3)[1] < 5
    assert sorted(filled("fifo", labels).kept) == list(range(590, 610))


def test_before_new_examples_come_kept_ones() -> None:
    labels, buffer = np.arange(30) % 2, ReplayBuffer(Rehearsal("raw", 5), 0)
    order = composed(labels, np.arange(30), buffer, 2)
    assert len(order) == 1 + 29 * 3
    assert sorted({*order.tolist()}) == list(range(30))
    seen = set()
    for place, number in enumerate(order.tolist()):
        new = place % 3 == 0
        assert new or number in seen
        seen.add(number)
    assert composed(labels, np.arange(3), None, 1).tolist() == [0, 1, 2]


def test_a_buffer_in_sram_is_a_tensor_with_a_role() -> None:
    free, plan = session().plan(), session("raw:10").plan()
    size = 10 * (16 * 16 * 3 + 1) + COUNTS_BYTES
    assert plan.by_role[Role.REPLAY] == size
    assert plan.peak_bytes >= free.peak_bytes + size
    assert plan.estimate.total_cycles > free.estimate.total_cycles
    assert plan.flash.by_role.get(Role.REPLAY, 0) == 0


def test_latents_are_smaller_and_a_buffer_in_flash_takes_whole_erase_units() -> None:
    plan = session("latent:10,place=flash", "last-1").plan()
    boundary = plan.step.tensors[plan.step.boundary].bytes
    assert plan.step.kept == (boundary + 1, 10)
    item = next(i for i in plan.flash.items if i.name == "replay")
    unit = plan.board.flash.sectors[-1].bytes
    assert item.bytes % unit == item.offset % unit == 0
    assert item.bytes >= 10 * (boundary + 1) + unit  # one block stays erased
    assert plan.by_role[Role.REPLAY] == 10 * 2 + COUNTS_BYTES  # where each of them is


def test_a_buffer_that_does_not_fit_is_said(tmp_path: Path) -> None:
    with pytest.raises(mcusim.OutOfSram):
        mcusim.stream(session("raw:500"), by_class(data(), 2))
    with pytest.raises(mcusim.OutOfFlash):  # in erase units of 256 KiB
        mcusim.stream(session("raw:20000,place=flash"), by_class(data(), 2))


@pytest.fixture(scope="module")
def plain() -> StreamResult:
    return mcusim.stream(session(), by_class(data(), 2), epochs=3)


def test_metrics_are_what_the_papers_say(plain: StreamResult) -> None:
    rows, start = np.array(plain.scores), np.array(plain.before)
    assert rows.shape == (2, 2)
    assert plain.average == pytest.approx(rows[1].mean())
    assert plain.forgetting == pytest.approx(rows[0, 0] - rows[1, 0])
    assert plain.backward_transfer == pytest.approx(rows[1, 0] - rows[0, 0])
    assert plain.forward_transfer == pytest.approx(rows[0, 1] - start[1])
    assert plain.table.shape == (3, 2)
    assert plain.seen == pytest.approx((rows[0, 0], rows[1].mean()))
    assert plain.over_time == pytest.approx((rows[0, 0] + rows[1].mean()) / 2)
    assert plain.replay_bytes == plain.replayed == 0
    assert "forgetting" in str(plain)


def test_replay_forgets_less_and_counts_its_steps(plain: StreamResult) -> None:
    kept = mcusim.stream(session("raw:20,policy=balanced"), by_class(data(), 2), epochs=3)
    assert kept.forgetting < plain.forgetting
    assert kept.steps == 2 * 3 * 24 + kept.replayed
    assert kept.replayed == 2 * 3 * 24 - 1
    assert kept.stored >= 20
    assert kept.done == (2 * 72 - 1, 4 * 72 - 1)  # the very first example has none before it
    curve = kept.curve
    assert curve["steps"].tolist() == list(kept.done)
    step_s = kept.as_dict()["step_ms"] / 1000
    assert curve["device_s"].tolist() == pytest.approx([steps * step_s for steps in kept.done])
    assert set(curve["replay_bytes"]) == {kept.replay_bytes}
    assert plain.curve["steps"].tolist() == [72, 144]


def test_a_buffer_in_flash_is_worn_and_timed(tmp_path: Path) -> None:
    replay = "raw:4,policy=fifo,place=flash"
    found = mcusim.stream(session(replay, board="nrf52840"), by_class(data(), 2))
    wear = found.wear
    assert found.stored == found.steps - found.replayed
    assert wear["erased"] > 0
    assert wear["writing_s"] > 0
    assert 0 < wear["streams_until_worn"] < found.plan.board.flash.endurance_cycles * 10
    assert "blocks erased" in str(found)
    assert mcusim.stream(session("raw:4"), by_class(data(), 2)).wear["erased"] is None


def test_a_stream_goes_on_where_it_was_to_the_same_bits(tmp_path: Path) -> None:
    tasks = by_class(data(), 2)
    whole = mcusim.stream(session("raw:8"), tasks)
    calls = 0

    def stop(counts: object) -> None:
        nonlocal calls
        calls += 1
        if len([*tmp_path.glob("task-1/run.json")]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mcusim.stream(session("raw:8"), tasks, out=tmp_path, progress=stop)
    again = mcusim.stream(session("raw:8"), tasks, out=tmp_path)
    assert again.as_dict() == whole.as_dict()
    assert calls


def test_examples_are_taken_as_they_are_stored() -> None:
    plain, recipe = data(), mcusim.Recipe(order="stored", trace="off")
    order = plain.train.order(0, 0)
    sorted_by_hand = Dataset(plain.train.subset(order), plain.test, plain.labels, plain.name)
    stored = session().train(sorted_by_hand, recipe=recipe)
    assert stored.model.same_as(session().train(plain, trace="off").model)
