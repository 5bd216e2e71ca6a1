"""A part of the training examples to choose by, so that the test examples decide nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadData
from mcusim.core.wording import choice
from mcusim.data.counter import permutation
from mcusim.data.dataset import Dataset, Split
from mcusim.data.splits import held_out


def with_validation(dataset: Dataset, fraction: float, *, seed: int = 0) -> Dataset:
    """Return a data set whose training examples are divided once more.

    Args:
        dataset: whose test examples stay as they are.
        fraction: of the training examples to hold out, of every class alike; of whole groups where the
            examples have groups.
        seed: of the choice.

    Raises:
        BadArgument: if the fraction is not between 0 and 1.
        BadData: if there is a validation part already, or too little to divide.
    """
    if dataset.validation is not None:
        reason = f"has {len(dataset.validation):,} validation examples already"
        raise BadData(dataset.name, reason, f"leave out {choice('validation')}")
    train = dataset.train
    if train.groups is not None:
        held = held_out_groups(train.groups, fraction, seed)
    else:
        labels = train.class_numbers if dataset.labels else np.zeros(len(train), np.int64)
        held = held_out(labels, fraction, seed)
    kept, out = (train.subset(np.flatnonzero(part)) for part in (~held, held))
    return replace(dataset, train=kept, validation=out)


def held_out_groups(groups: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Return which examples are held out: whole groups, drawn until they are that part of the examples.

    At least one group is held out and at least one is kept.

    Raises:
        BadArgument: if the fraction is not between 0 and 1.
        BadData: if there is only one group.
    """
    if not 0 < fraction < 1:
        raise BadArgument(f"a part of {fraction}", "is not between 0 and 1", "use 0.2, for example")
    names, counts = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise BadData("the examples", "are all of one group", "give at least two groups, or none at all")
    order = permutation(len(names), seed)
    # The fewest groups that reach the part; the last stays in any case.
    most = int(np.searchsorted(np.cumsum(counts[order]), fraction * len(groups))) + 1
    held: NDArray[np.bool_] = np.isin(groups, names[order[: min(most, len(names) - 1)]])
    return held


def leave_out(split: Split, groups: list[int]) -> tuple[Split, Split]:
    """Return the examples of all other groups, and those of these groups.

    Raises:
        BadArgument: if there is no such group, or no other.
    """
    if split.groups is None:
        raise BadArgument("the examples", "have no groups", "give groups= to from_arrays")
    held = np.isin(split.groups, groups)
    if not held.any() or held.all():
        known = ", ".join(map(str, np.unique(split.groups).tolist()))
        raise BadArgument(f"groups {groups}", "leave nothing on one side", f"known: {known}")
    return split.subset(np.flatnonzero(~held)), split.subset(np.flatnonzero(held))
