"""What a person holds goes to another process and comes back: process pools and Dask need it."""

from __future__ import annotations

import gc
import json
import multiprocessing
import pickle
import weakref
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from networks import small_network

import mcusim
import mcusim.update.schemes
from mcusim.core import UnknownName
from mcusim.core.frozen import FrozenDict
from mcusim.data.dataset import Dataset, Split
from mcusim.update.scheme import SCHEMES

NEEDY = {"last": "last-3", "static": "static:mbv2-99kb"}
"""Schemes that cannot be had by their bare name."""


def again(thing):
    return pickle.loads(pickle.dumps(thing))


def data() -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 4
    pictures = rng.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    return Dataset(Split(pictures, labels), Split(pictures, labels), tuple("abcd"), "noise")


def session(update="dynamic:ratio=0.1,blocks=2,stage=7") -> mcusim.Session:
    return mcusim.Session(
        small_network(), mcusim.board("stm32f746"), update, sram="64KiB", sgd=mcusim.Sgd(lr=0.002)
    )


def train(given: mcusim.Session) -> mcusim.Run:
    """What a worker does; it has imported nothing before."""
    return given.train(data(), trace="first")


def test_a_network_comes_back_bit_for_bit_and_read_only():
    model = small_network()
    copy = again(model)
    assert copy.same_as(model)
    assert model.same_as(copy)
    assert not copy.same_as(small_network(1))
    with pytest.raises(TypeError, match="does not change"):
        copy.tensors["input"] = model.input
    weight = copy.tensors[copy.ops[0].weight]
    with pytest.raises(ValueError, match="read-only"):
        weight.data[0] = 0
    with pytest.raises(UnknownName):
        copy.op("nothing like it")


def test_a_session_and_its_plan_come_back_equal():
    there = session()
    plan = there.plan(suggest=True)
    here = again(there)
    assert here.settings == there.settings
    assert here.scheme == there.scheme
    assert again(plan).as_dict() == plan.as_dict() == here.plan().as_dict()
    assert str(again(plan)) == str(plan)
    assert again(plan).solution == plan.solution
    assert again(plan.explain()).as_dict() == plan.explain().as_dict()


@pytest.mark.parametrize("name", list(SCHEMES))
def test_every_scheme_travels(name):
    scheme = mcusim.scheme(NEEDY.get(name, name))
    assert again(scheme) == scheme


def test_a_run_made_in_another_process_is_the_run_made_here():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(train, session()).result(timeout=300)
    here = train(session())
    assert there.model.same_as(here.model)
    assert there.rows == here.rows
    assert there.trace == here.trace
    assert not there.trace.seq.flags.writeable
    assert json.dumps(there.as_dict()) == json.dumps(here.as_dict())


@pytest.mark.parametrize("update", ["head", "dynamic:ratio=0.1,blocks=2", "last-2"])
def test_nothing_keeps_a_network_alive(update):
    model = small_network()
    mcusim.Session(model, mcusim.board("stm32f746"), update).plan()
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_a_frozen_dictionary_refuses_every_change():
    frozen = FrozenDict({"a": 1})
    for change in (
        lambda: frozen.__setitem__("b", 2), lambda: frozen.__delitem__("a"), lambda: frozen.__ior__({"b": 2}),
        frozen.clear, lambda: frozen.pop("a"), frozen.popitem, lambda: frozen.setdefault("b", 2),
        lambda: frozen.update(b=2),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="does not change"):
            change()
    assert again(frozen) == frozen == {"a": 1}
    assert type(again(frozen)) is FrozenDict
    assert json.dumps(frozen) == '{"a": 1}'
