"""Examples that are kept and learned again: in the firmware as in the engine, and as a stream orders them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from emulation_networks import session
from networks import small_network
from stream_network import streaming

import mcusim
from mcusim.core import BadModel
from mcusim.data import Dataset, Split
from mcusim.data.replay import KINDS, PLACES, POLICIES, ReplayBuffer, composed
from mcusim.deployment.tables import tables
from mcusim.emulation.verb import examples, twin_of
from mcusim.engine.buffers import SeparateBuffers
from mcusim.engine.kept_examples import KeptExamples
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.update.formats import Formats


def small_sectors(board: str = "stm32u585", count: int = 512, size: int = 512) -> mcusim.Board:
    """Return a board on which a few examples fill an erase unit."""
    own = mcusim.board(board)
    sectors = (replace(own.flash.sectors[0], count=count, bytes=size),)
    return replace(own, flash=replace(own.flash, bytes=count * size, sectors=sectors))


def data(count: int = 60) -> Dataset:
    """Return examples of which one class is rare, and comes late."""
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(count) % 7 == 6, 3, np.arange(count) % 2)
    split = Split(rng.integers(0, 255, (count, 16, 16, 3), dtype=np.uint8), labels)
    return Dataset(split, split, tuple("abcd"), "noise")


def kept(kind: str, policy: str, place: str, *, ratio: int = 1, **choices) -> mcusim.Session:
    """Return a session that keeps four examples."""
    text = f"{kind}:4,policy={policy},place={place},ratio={ratio}"
    return session(small_network(), "last-2", small_sectors(), replay=text, patches=None, **choices)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_has_the_engines_bytes(kind: str, place: str, policy: str) -> None:
    own, steps = kept(kind, policy, place), 41
    found = twin_of(own, data(), steps, core="cortex-m4", selftest=policy == "balanced")
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0
    plan = own.plan()
    order = data().train.order(0, own.settings.seed)
    buffer = ReplayBuffer(plan.step.replay, own.settings.seed)
    for number in order[: steps // 2 + 1].tolist():
        buffer.offer(number, int(data().train.class_numbers[number]))
    assert len(buffer.written) > 4  # something was put out


@pytest.mark.parametrize(
    ("choices", "core"),
    [
        ({"formats": Formats(error="int16")}, "cortex-m7"),
        ({"ratio": 2, "sgd": {"accumulate": 2, "momentum": 0.5}}, "rv32imc"),
    ],
    ids=["integer errors", "two for one, accumulated"],
)
def test_formats_accumulation_and_ratio_change_nothing_of_it(choices: dict, core: str) -> None:
    found = twin_of(kept("latent", "balanced", "flash", **choices), data(), 12, core=core)
    assert found.equal, str(found.first_difference)


def test_a_stage_begins_at_a_step_that_is_learned_again() -> None:
    own = session(
        small_network(), "dynamic:ratio=0.5,stage=3,policy=gradient-norm", replay="raw:4", patches=None,
    )  # fmt: skip
    found = twin_of(own, data(), 10, core="cortex-m4")
    assert found.equal, str(found.first_difference)


def test_latents_of_a_network_with_states_are_kept() -> None:
    from mcusim.files.tflite.reader import parse_tflite

    model = parse_tflite(streaming(np.random.default_rng(3)).bytes(), "stream.tflite")
    rng = np.random.default_rng(1)
    shape = model.input.shape[1:]
    split = Split(rng.integers(-128, 128, (20, 3, *shape), dtype=np.int8), np.arange(20) % model.classes)
    own = session(model, "head", replay="latent:4")
    noise = Dataset(split, split, tuple(map(str, range(model.classes))), "noise")
    found = twin_of(own, noise, 9, core="cortex-m4")
    assert found.equal, str(found.first_difference)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_a_device_learns_what_a_stream_learns(kind: str, place: str) -> None:
    """A stream's order, learned from the data set, and the buffer of a device end in the same weights."""
    own = kept(kind, "reservoir", place)
    plan, settings = own.plan_for(data()), own.settings
    state = State.of(plan.step.model, plan.step.scope, settings.formats)
    keeps = KeptExamples(plan.step, plan.board, settings.seed)
    buffers = SeparateBuffers(plan.step)
    program = Program(plan.step, buffers, state, settings.sgd, seed=settings.seed, kept=keeps)
    program.load(own.scheme.select(plan.step.model, 0, settings.seed))
    for x, target, _ in examples(plan, data(), 60):
        list(program.run_again() if x is None else program.run_each(x, target))
    program.store()

    split = data().train
    buffer = ReplayBuffer(plan.step.replay, settings.seed)
    order = composed(split.class_numbers, split.order(0, settings.seed), buffer, 1)[:60]
    told = Dataset(Split(split.images[order], split.labels[order]), split, tuple("abcd"), "told")
    recipe = {"epochs": 1, "order": "stored", "schedule": "constant", "trace": "off", "evaluate": "end"}
    run = own.train(told, **recipe, validation=0.0)
    assert run.steps == 60
    assert state.trained().same_as(run.model)


def test_more_places_than_an_index_tells_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = kept("raw", "fifo", "flash")
    plan = own.plan()
    monkeypatch.setattr("mcusim.deployment.replay.PLACES", 4)
    with pytest.raises(BadModel, match=r"replay raw:4 in flash: has \d+ places"):
        tables(plan, own.scheme)
