"""Data that comes over time: what learning on the device is for."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadData
from mcusim.core.wording import choice
from mcusim.data.counter import permutation, uniform
from mcusim.data.dataset import Dataset, Split


def held_out(labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Return which examples are held out to test on: the same fraction of every class, at least one.

    Raises:
        BadArgument: if the fraction is not between 0 and 1.
        BadData: if a class has only one example.
    """
    if not 0 < fraction < 1:
        raise BadArgument(f"test_fraction={fraction}", "is not between 0 and 1", "use 0.2, for example")
    held = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        if len(mine) < 2:
            raise BadData(f"class {label}", "has one example", "give at least two, to train and to test")
        count = min(len(mine) - 1, max(1, round(len(mine) * fraction)))
        held[mine[permutation(len(mine), seed, int(label))[:count]]] = True
    return held


def class_incremental(dataset: Dataset, classes: int, *, seed: int | None = None) -> tuple[Dataset, ...]:
    """Return the data set in steps, each of which brings so many new classes.

    Step ``i`` trains on its own classes alone and is tested on all classes seen so far. Every step keeps
    all class names, so one network with one head can go through all of them.

    Args:
        dataset: to be divided.
        classes: new classes a step; the last step may have fewer.
        seed: shuffles the order of the classes; without it they come by number.

    Raises:
        BadArgument: if ``classes`` is not between 1 and the number of classes.
        BadData: if a step would have no examples.
    """
    if not 1 <= classes <= dataset.classes:
        raise BadArgument(choice("classes", classes), f"is not between 1 and {dataset.classes}")
    order = np.arange(dataset.classes) if seed is None else permutation(dataset.classes, seed)
    steps: list[Dataset] = []
    for start in range(0, dataset.classes, classes):
        new, seen = order[start : start + classes], order[: start + classes]
        steps.append(
            Dataset(
                _of_classes(dataset.train, new, dataset),
                _of_classes(dataset.test, seen, dataset),
                dataset.labels,
                f"{dataset.name}-classes-{len(steps) + 1}",
            )
        )
    return tuple(steps)


def distribution_shift(
    source: Dataset, target: Dataset, steps: int = 2, *, seed: int = 0
) -> tuple[Dataset, ...]:
    """Return a stream that starts as ``source`` and ends as ``target``.

    Step ``i`` of ``n`` holds the fraction i / (n - 1) of target examples, in training and test alike; two
    steps are an abrupt change. Every step has as many examples as the smaller of the two data sets.

    Args:
        source: what it starts as.
        target: what it ends as.
        steps: data sets of the stream, at least 2.
        seed: of the examples that are drawn.

    Raises:
        BadArgument: for fewer than two steps.
        BadData: if the two have different classes or images.
    """
    if steps < 2:
        raise BadArgument(f"steps={steps}", "is less than 2", "a shift has a before and an after")
    if source.labels != target.labels:
        raise BadData(f"{target.name}", f"has other classes than {source.name}", "both need the same labels")
    return tuple(
        Dataset(
            _mixed(source.train, target.train, i, steps, seed),
            _mixed(source.test, target.test, i, steps, seed + 1),
            source.labels,
            f"{source.name}-to-{target.name}-{i + 1}",
        )
        for i in range(steps)
    )


def shifted(
    dataset: Dataset,
    *,
    brightness: float = 0.0,
    contrast: float = 1.0,
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0),
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Return the same pictures under other light and another sensor: a target domain for any data set.

    pixel' = clip(((pixel - 127.5) * contrast + 127.5) * cast + 255 * (brightness + noise * u)), with u
    uniform in [-1, 1) for each value; rounded half to even.

    Args:
        dataset: of uint8 pictures.
        brightness: added, as a part of full scale.
        contrast: multiplies the distance from middle grey.
        cast: factor of each colour channel.
        noise: amplitude, as a part of full scale.
        seed: of the noise.

    Raises:
        BadData: if the examples are no pictures.
    """
    if dataset.train.images.dtype != np.uint8:
        raise BadData(dataset.name, f"holds {dataset.train.images.dtype}, no pictures", "give uint8 images")

    def changed(split: Split, part: int) -> Split:
        images = np.empty((len(split), *split.image_shape), np.uint8)
        light = np.array(cast, np.float32)[: split.image_shape[-1]]
        place = np.arange(prod(split.image_shape))
        for i, image in enumerate(split.images):
            moved = (image.astype(np.float32) - np.float32(127.5)) * np.float32(contrast) + np.float32(127.5)
            moved = moved * light + np.float32(255 * brightness)
            if noise:
                drawn = uniform(seed, part, i, place).reshape(image.shape) * 2 - 1
                moved += drawn * np.float32(255 * noise)
            images[i] = np.rint(np.clip(moved, 0, 255))
        return Split(images, split.labels)

    return Dataset(
        changed(dataset.train, 0), changed(dataset.test, 1), dataset.labels, f"{dataset.name}-shifted"
    )


def _of_classes(split: Split, classes: NDArray[np.int64], dataset: Dataset) -> Split:
    chosen = np.flatnonzero(np.isin(split.class_numbers, classes))
    if not len(chosen):
        names = ", ".join(dataset.labels[c] for c in classes)
        raise BadData(dataset.name, f"has no examples of {names}", "leave these classes out")
    return split.subset(chosen)


def _mixed(source: Split, target: Split, step: int, steps: int, seed: int) -> Split:
    if source.image_shape != target.image_shape or source.images.dtype != target.images.dtype:
        raise BadData("the target", f"holds {target.image_shape}", f"give examples of {source.image_shape}")
    count = min(len(source), len(target))
    new = count * step // (steps - 1)
    order = permutation(count, seed, step)
    images = np.empty((count, *source.image_shape), source.images.dtype)
    images[: count - new], images[count - new :] = source.images[order[new:]], target.images[order[:new]]
    labels = np.concatenate([source.class_numbers[order[new:]], target.class_numbers[order[:new]]])
    return Split(images, labels)
