"""A population trains as its members would alone, and computes what is frozen in all of them once."""

from __future__ import annotations

import re

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.data.inputs import Inputs
from mcusim.engine.front import Fronts
from mcusim.session import features

UPDATES, SEEDS = ["last-2", "head", "dense"], [0, 3]


def pictures(count: int = 24) -> mcusim.data.Dataset:
    rng = np.random.default_rng(0)
    x, labels = rng.integers(0, 256, (count, 16, 16, 3), np.uint8), np.arange(count) % 4
    return mcusim.data.from_arrays(x, labels, x[:8], labels[:8])


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Nothing is kept on disk; how many pictures are prepared, call by call."""
    counts: list[int] = []
    really = Inputs.__call__

    def counting(self, images, *rest, **options):
        counts.append(len(images))
        return really(self, images, *rest, **options)

    monkeypatch.setattr(Inputs, "__call__", counting)
    monkeypatch.setattr(features, "cache_dir", lambda: None)
    return counts


def learned(run: mcusim.Run) -> tuple[object, ...]:
    tensors = {name: t.data.tobytes() for name, t in run.model.tensors.items() if t.data is not None}
    return tensors, run.history["loss"].tolist(), run.metric_before, run.metric_after, run.trace


def test_members_are_what_they_would_be_alone(prepared, tmp_path):
    model, data = small_network(2), pictures()
    together = mcusim.population(
        model, "stm32h743", data, 2, updates=UPDATES, seeds=SEEDS, out=tmp_path, sram="256KiB"
    )
    shared, prepared[:] = sum(prepared), []
    names = [f"{update}-{seed}" for update in UPDATES for seed in SEEDS]
    assert [run.out.name for run in together] == names
    singles = [
        mcusim.train(model, "stm32h743", data, 2, update, seed=seed, sram="256KiB")
        for update in UPDATES
        for seed in SEEDS
    ]
    for one, other in zip(together, singles, strict=True):
        assert learned(one) == learned(other)
    # Pictures of both parts once for all that learn a part, and once for `dense`, which has no front.
    assert shared == 2 * (24 + 8)
    assert sum(prepared) == len(names) * (2 * 24 + 3 * 8)  # each in both epochs, and before and after


def test_a_front_goes_on_from_a_shorter_one(prepared):
    model, data, fronts = small_network(2), pictures(), Fronts()
    for update in ("last-2", "head"):
        mcusim.Session(model, "stm32h743", update).train(data, fronts=fronts)
        assert sum(prepared) == 24 + 8
    alone = Fronts()
    mcusim.Session(model, "stm32h743", "head").train(data, fronts=alone)
    mcusim.Session(model, "stm32h743", "last-2").train(data, fronts=alone)
    assert sum(prepared) == 3 * (24 + 8)  # the longer one first: nothing to go on from


def test_features_make_room_and_then_come_from_disk_or_again(prepared):
    model, data = small_network(2), pictures()
    expected = learned(mcusim.Session(model, "stm32h743", "last-2").train(data, 2))
    before = sum(prepared)
    for most, times in ((0, 1), (10_000_000, 0)):
        prepared[:] = []
        fronts = Fronts(most)
        for _ in range(2):
            run = mcusim.Session(model, "stm32h743", "last-2").train(data, 2, fronts=fronts)
            assert learned(run) == expected
        assert sum(prepared) == (2 * before if times else 24 + 8)


def test_a_study_shares_fronts_within_a_process(prepared, tmp_path):
    model = tmp_path / "small.npz"
    mcusim.save(small_network(2), model)
    data = pictures()
    np.savez(
        tmp_path / "data.npz",
        x_train=data.train.images, y_train=data.train.labels,
        x_test=data.test.images, y_test=data.test.labels,
    )  # fmt: skip
    study = {
        "name": "shared",
        "base": {
            "model": str(model),
            "board": "stm32h743",
            "data": str(tmp_path / "data.npz"),
            "update": "head",
        },
        "axes": {"seed": [0, 1, 2]},
    }
    assert mcusim.sweep(study, tmp_path / "study").count("done") == 3
    assert sum(prepared) == 24 + 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"updates": []}, "population: has no members (give each scheme and each seed once)"),
        ({"seeds": [1, 1]}, "population: has a member twice (give each scheme and each seed once)"),
        ({"seed": 1}, "seed: differs in a population (give seeds)"),
        ({"update": "head"}, "update: differs in a population (give updates)"),
    ],
)
def test_what_makes_no_population_is_refused(options, message):
    with pytest.raises(mcusim.BadArgument, match=re.escape(message)):
        mcusim.population(small_network(0), "stm32h743", pictures(), **{"updates": ["head"], **options})
