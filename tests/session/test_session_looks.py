"""An answer from several looks at a picture: each look, their mean, and what has no mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tasks_networks import case

import mcusim
from mcusim.core import BadArgument, BadData
from mcusim.data import Dataset, Preprocessor, from_arrays, synthetic
from mcusim.data.looks import LOOKS
from mcusim.graph import Attributes, Op, OpKind, Tensor
from mcusim.session.run import read_run
from mcusim.tasks.task import TASKS


def session(update: str = "head") -> mcusim.Session:
    return mcusim.Session(mcusim.load("synthetic-mbv2"), "nrf52840", update)


def data() -> Dataset:
    return synthetic("target", train=60, test=40)


def shown(picture: np.ndarray, look: int, shift: int) -> np.ndarray:
    """Return what a look shows: the slow twin."""
    y, x = [(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)][look // 2]
    height, width = picture.shape[:2]
    seen = np.empty_like(picture)
    for row in range(height):
        for column in range(width):
            at = min(max(row + y * shift, 0), height - 1), min(max(column + x * shift, 0), width - 1)
            seen[row, width - 1 - column if look % 2 else column] = picture[at]
    return seen


@pytest.mark.parametrize("shift", [1, 3])
def test_each_look_shows_its_part_of_the_picture(shift: int) -> None:
    model, pictures = mcusim.load("synthetic-mbv2"), data().test.images[:3]
    looks = mcusim.Looks(10, shift)
    prepare = Preprocessor(model, pictures.shape[1:], augmentation=looks)
    for look in range(looks.count):
        found = prepare(pictures, np.arange(3), variant=np.full(3, look))
        wanted = prepare(np.stack([shown(picture, look, shift) for picture in pictures]))
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("kind", LOOKS)
def test_an_answer_is_the_mean_of_its_looks_and_training_is_the_same(kind: str, tmp_path: Path) -> None:
    run = session().train(
        data(), 1, validation=0.2, looks=kind, look_shift=3, evaluate="end", out=tmp_path / "run"
    )
    looks = mcusim.Looks(LOOKS[kind], 3)
    usual = session().train(data(), 1, validation=0.2, evaluate="end")
    for name, tensor in usual.model.tensors.items():
        assert np.array_equal(tensor.data, run.model.tensors[name].data)
    test = data().test
    scores = sum(
        mcusim.predict(run.model, np.stack([shown(p, look, 3) for p in test.images]))
        for look in range(looks.count)
    )
    assert run.metric_after == float((scores.reshape(40, -1).argmax(axis=1) == test.labels).mean())
    assert run.metric_after == mcusim.evaluate(run.model, test, looks=looks)
    assert ("looks at each" in " ".join(str(run).split())) == (looks.count > 1)
    assert read_run(tmp_path / "run")["examples"].get("looks", 1) == looks.count


@pytest.mark.parametrize("wrong", [(0, 2), (5, 2), (11, 2), (10, 0), (10, -1)])
def test_looks_of_no_kind_are_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(BadArgument, match=r"known: 1 \(one\), 2 \(mirrored\), 10 \(ten-crop\)|moves nothing"):
        mcusim.Looks(*wrong)


def test_another_number_of_looks_is_another_run(tmp_path: Path) -> None:
    session().train(data(), 1, looks="mirrored", out=tmp_path)
    with pytest.raises(mcusim.BadRun, match="looks"):
        session().train(data(), 1, out=tmp_path, resume=True)


@pytest.mark.parametrize("name", list(TASKS))
def test_what_lies_where_the_picture_does_has_no_mean(name: str) -> None:
    task, (model, examples, targets) = TASKS[name](), case(name)
    answer = model.output.shape
    assert task.has_places == (len(answer) == 4 and answer[1:3] == model.input.shape[1:3] != (1, 1))
    split = from_arrays(examples, targets, examples, targets).test
    with pytest.raises(BadArgument if task.has_places else BadData, match="answer from one look"):
        mcusim.evaluate(model, split, task, looks=mcusim.Looks(2))


def test_classes_without_scores_have_no_mean() -> None:
    model = mcusim.load("synthetic-mbv2")
    op = Op("class", OpKind.ARG_MAX, model.outputs, "class", Attributes(clamp=None, axes=(1,)))
    tensors = {**model.tensors, "class": Tensor("class", (1,), "int32")}
    named = replace(model, ops=(*model.ops, op), tensors=tensors, outputs=("class",))
    assert mcusim.evaluate(named, data().test) == mcusim.evaluate(model, data().test)
    with pytest.raises(BadArgument, match=r"give classes of .*, not scores \(answer from one look\)"):
        mcusim.evaluate(named, data().test, looks=mcusim.Looks(10, 2))
