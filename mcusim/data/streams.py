"""A data set that comes in tasks, one after the other: by classes, by groups, or by what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcusim.core import BadArgument, BadData
from mcusim.data.counter import permutation
from mcusim.data.dataset import Dataset, Split
from mcusim.data.splits import held_out


def by_class(data: Dataset, classes: int, *, seed: int | None = None) -> tuple[Dataset, ...]:
    """Return a task for every few classes, trained and tested on them alone; each keeps all class names.

    Args:
        data: to be divided.
        classes: of a task; the last may have fewer.
        seed: shuffles the classes; without it they come by number.

    Raises:
        BadArgument: if there would be fewer than two tasks.
        BadData: if a class has no examples.
    """
    if not 1 <= classes < data.classes:
        raise BadArgument(f"{classes} classes a task", f"make no stream of {data.classes}", "take fewer")
    order = np.arange(data.classes) if seed is None else permutation(data.classes, seed)
    tasks = []
    for start in range(0, data.classes, classes):
        own = order[start : start + classes]
        name = "+".join(data.labels[c] for c in own)
        parts = {
            part: _of(split, np.isin(split.class_numbers, own), name) for part, split in data.parts.items()
        }
        tasks.append(
            Dataset(parts["train"], parts["test"], data.labels, name, validation=parts.get("validation"))
        )
    return tuple(tasks)


def by_group(data: Dataset, *, test_fraction: float = 0.2, seed: int = 0) -> tuple[Dataset, ...]:
    """Return a task for every group, such as a speaker: trained on a part of it and tested on the rest.

    That a device knows the speaker whom it is tested on is what such a stream is about, so examples of one
    group stand on both sides here.

    Args:
        data: whose examples have groups; training and test examples together.
        test_fraction: of the examples of each class of a group.
        seed: of that choice.

    Raises:
        BadData: if there are no groups, or only one.
    """
    splits = [split for split in data.parts.values() if split.groups is not None]
    if len(splits) < len(data.parts):
        raise BadData(data.name, "has examples without groups", "give groups, e.g. to from_arrays")
    images = np.concatenate([split.images for split in splits])
    labels = np.concatenate([split.class_numbers for split in splits])
    groups = np.concatenate([split.groups for split in splits if split.groups is not None])
    names = np.unique(groups)
    if len(names) < 2:
        raise BadData(data.name, "has one group", "a stream needs two")
    tasks = []
    for group in names.tolist():
        at = np.flatnonzero(groups == group)
        held = held_out(labels[at], test_fraction, seed)
        kept, out = (Split(images[at[part]], labels[at[part]]) for part in (~held, held))
        tasks.append(Dataset(kept, out, data.labels, f"group {group}"))
    return tuple(tasks)


def by_domain(domains: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """Return data sets of the same classes, as tasks one after the other.

    Args:
        domains: in the order in which they come.

    Raises:
        BadData: if they have other classes or examples.
        BadArgument: if there is only one.
    """
    first, *others = domains
    if not others:
        raise BadArgument("a stream of one data set", "has no change in it", "name what follows")
    for other in others:
        same = other.labels == first.labels and other.train.image_shape == first.train.image_shape
        if not same or other.train.images.dtype != first.train.images.dtype:
            raise BadData(other.name, f"has other classes or examples than {first.name}", "give the same")
    # Each may divide the same groups in its own way; a stream is tested on all of them.
    return tuple(
        replace(d, train=replace(d.train, groups=None), test=replace(d.test, groups=None), validation=None)
        for d in domains
    )


def _of(split: Split, mine: np.ndarray, name: str) -> Split:
    if not mine.any():
        raise BadData(name, "has no examples", "leave these classes out")
    return split.subset(np.flatnonzero(mine))
