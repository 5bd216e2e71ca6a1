from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadArgument, BadData
from mcusim.data import Dataset, Split, class_incremental, distribution_shift, shifted, synthetic


def dataset(count: int = 40, classes: int = 5, value: int = 0) -> Dataset:
    def split(n: int) -> Split:
        images = np.full((n, 2, 2, 3), value, np.uint8)
        images[:, 0, 0, 0] = np.arange(n)
        return Split(images, np.arange(n) % classes)

    return Dataset(split(count), split(count // 2), tuple("abcdefghij"[:classes]), f"v{value}")


@given(st.integers(1, 5), st.none() | st.integers(0, 99))
def test_every_class_comes_once(classes: int, seed: int | None) -> None:
    steps = class_incremental(dataset(), classes, seed=seed)
    new = [{*step.train.labels.tolist()} for step in steps]
    assert sorted(label for labels in new for label in labels) == list(range(5))
    assert max(map(len, new)) == classes
    seen: set[int] = set()
    for step, labels in zip(steps, new, strict=True):
        seen |= labels
        assert {*step.test.labels.tolist()} == seen
        assert step.labels == ("a", "b", "c", "d", "e")
    assert sum(len(step.train) for step in steps) == 40


def test_shift_goes_from_source_to_target() -> None:
    steps = distribution_shift(dataset(value=10), dataset(value=90), 5, seed=1)
    shares = [float((step.train.images[:, 1, 1, 1] == 90).mean()) for step in steps]
    assert shares == [0, 0.25, 0.5, 0.75, 1]
    for step in steps:
        assert len(step.train) == 40
        # Every example comes at most once.
        assert len({*step.train.images[:, 0, 0, 0].tolist()}) == 40


def test_bad_splits() -> None:
    with pytest.raises(BadArgument):
        class_incremental(dataset(), 6)
    with pytest.raises(BadArgument):
        distribution_shift(dataset(), dataset(), 1)
    with pytest.raises(BadData, match="other classes"):
        distribution_shift(dataset(), dataset(classes=4))
    other = Split(np.zeros((40, 3, 3, 3), np.uint8), np.arange(40) % 5)
    with pytest.raises(BadData, match="give examples of"):
        distribution_shift(dataset(), Dataset(other, other, dataset().labels, "x"))
    lonely = Dataset(dataset().train, dataset().test, tuple("abcdef"), "x")
    with pytest.raises(BadData, match="no examples of f"):
        class_incremental(lonely, 1)


def test_shifted_pictures() -> None:
    data = synthetic(train=20, test=10)
    same = shifted(data)
    assert same.train.digest() == data.train.digest()
    bright = shifted(data, brightness=0.5)
    want = np.clip(data.train.images.astype(np.float64) + 127.5, 0, 255)
    np.testing.assert_allclose(bright.train.images, want, atol=0.5)
    cast = shifted(data, cast=(1, 0.5, 0), noise=0.1, seed=4)
    assert cast.train.digest() == shifted(data, cast=(1, 0.5, 0), noise=0.1, seed=4).train.digest()
    assert cast.train.images[..., 2].max() <= 26
    split = Split(np.zeros((4, 3), np.float32), np.zeros(4, int))
    with pytest.raises(BadData, match="no pictures"):
        shifted(Dataset(split, split, ("a",), "x"))
