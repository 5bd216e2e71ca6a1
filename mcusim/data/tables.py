"""Tables of measurements: rows as examples, or windows of a sensor's signal, divided by whole groups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadData, UnknownName
from mcusim.data.dataset import Dataset, Split
from mcusim.data.sounds import grouped

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("label", "y", "class", "target", "activity")
GROUPS = ("group", "subject", "user", "session", "speaker")
"""Columns that are taken for these if none is named."""
SUFFIXES = (".csv", ".parquet")


def from_frame(
    frame: pd.DataFrame,
    *,
    label: str | None = None,
    group: str | None = None,
    window: int = 0,
    step: int = 0,
    left_out: str = "",
    name: str = "table",
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Return a data set of a pandas frame.

    The column of labels may hold anything: real numbers are what a regression learns; whole numbers, texts,
    truth values and categories are classes, named as they are, in their order. All other columns but that of
    the groups are numbers of an example, in float32.

    With a ``window`` the rows are a signal in the order of time: an example is so many rows in a row that
    share group and label. Without one each row is an example.

    Args:
        frame: the table.
        label: column of the labels; the first of label, y, class, target, activity if not given.
        group: column that says what belongs together, e.g. whose arm it was; the first of group, subject,
            user, session, speaker if there is one.
        window: rows of an example.
        step: rows between the starts of two windows; half a window if not given.
        left_out: the one group to test on, as the column has it.
        name: of the data set.
        test_fraction: part of the examples to test on; whole groups where there are any.
        seed: of the choice.

    Raises:
        UnknownName: for a column that is not there; suggests the nearest.
        BadData: if a column holds no numbers or gaps, or there is too little.
        BadArgument: if a number makes no sense.
    """
    columns = [str(column) for column in frame.columns]
    frame = frame.set_axis(columns, axis=1)
    label = _column("label", label, LABELS, columns)
    group = _column("group", group, GROUPS, columns)
    if label is None:
        raise BadData(name, f"has no column of labels: {', '.join(columns[:8])}", "name it with label=")
    numbers = [column for column in columns if column not in (label, group)]
    try:
        values = frame[numbers].to_numpy(np.float32)
    except (ValueError, TypeError) as error:
        raise BadData(name, f"holds a column that is no numbers: {error}", "leave it out") from error
    if not values.size or not np.isfinite(values).all():
        raise BadData(name, "holds no numbers, or gaps among them", "fill them or leave those rows out")
    classes, targets = _targets(frame[label], name)
    groups, names = None, []
    if group is not None:
        kinds = sorted({str(value) for value in frame[group]})
        groups, names = np.array([kinds.index(str(value)) for value in frame[group]]), kinds
    if window:
        if groups is None and (step or max(1, window // 2)) < window:
            reason = "has windows that overlap, and nothing that says which belong together"
            raise BadData(name, reason, "name a column with group=, or let step= be the window")
        values, targets, groups = _windows(values, targets, groups, window, step or max(1, window // 2), name)
    elif step:
        raise BadArgument(f"step={step}", "is between windows, and there is no window", "give window= too")
    whole = Split(values, targets, groups)
    return grouped(whole, classes, name, names, left_out, test_fraction, seed)


def load_table(path: str | Path, **more: Any) -> Dataset:
    """Return the data set in a ``.csv`` or ``.parquet`` file; see ``from_frame``.

    Args:
        path: the file.
        more: further arguments of ``from_frame``.

    Raises:
        BadData: if it cannot be read.
    """
    import pandas as pd

    path = Path(path)
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except Exception as error:  # a damaged file can make a reader raise nearly anything
        raise BadData(str(path), f"is no table: {error}", "give a CSV or Parquet file") from error
    return from_frame(frame, **{"name": path.stem, **more})


def from_torch(
    train: Any, test: Any | None = None, *, names: tuple[str, ...] = (), name: str = "torch",
    test_fraction: float = 0.2, seed: int = 0,
) -> Dataset:  # fmt: skip
    """Return a data set of what a PyTorch ``Dataset`` gives: pairs of an example and its label.

    Examples are taken as `from_arrays` takes them: uint8 pictures with planes first or last, or real numbers.

    Args:
        train: anything with a length and numbered items.
        test: to test on; a part of ``train`` if not given.
        names: of the classes.
        name: of the data set.
        test_fraction: of ``train``, without ``test``.
        seed: of the choice.

    Raises:
        BadData: if items are no pairs, or of different shapes.
    """
    from mcusim.data.arrays import from_arrays

    parts = [part for source in (train, test) if source is not None for part in _pairs(source, name)]
    return from_arrays(*parts, names=names, name=name, test_fraction=test_fraction, seed=seed)


def _pairs(source: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    examples, labels = [], []
    try:
        for number in range(len(source)):
            example, label = source[number]
            examples.append(np.asarray(example))
            labels.append(np.asarray(label))
        return np.stack(examples), np.stack(labels)
    except (TypeError, ValueError) as error:
        way_out = "let each item be (example, label), all of one shape"
        raise BadData(name, f"cannot be stacked: {error}", way_out) from error


def _column(kind: str, given: str | None, usual: tuple[str, ...], columns: list[str]) -> str | None:
    if given is None:
        return next((name for name in usual if name in columns), None)
    if given not in columns:
        raise UnknownName(f"column of {kind}s", given, columns)
    return given


def _targets(column: pd.Series[Any], name: str) -> tuple[tuple[str, ...], NDArray[Any]]:
    if column.isna().any():
        raise BadData(f"labels of {name}", "have gaps", "leave those rows out")
    if column.dtype.kind == "f":
        return (), column.to_numpy(np.float32)
    kinds = sorted(set(column.tolist()), key=lambda value: (str(type(value)), value))
    place = {value: number for number, value in enumerate(kinds)}
    return tuple(map(str, kinds)), np.array([place[value] for value in column.tolist()], np.int64)


def _windows(
    values: NDArray[np.float32], targets: NDArray[Any], groups: NDArray[np.int64] | None, window: int,
    step: int, name: str,
) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[np.int64] | None]:  # fmt: skip
    if window < 1 or step < 1:
        raise BadArgument(f"window={window}, step={step}", "are not numbers of rows", "use 128 and 64")
    same = np.ones(len(values), np.bool_)
    same[1:] = targets[1:] == targets[:-1]
    if groups is not None:
        same[1:] &= groups[1:] == groups[:-1]
    begins = np.flatnonzero(~same)
    starts = [
        start
        for low, high in zip([0, *begins], [*begins, len(values)], strict=True)
        for start in range(low, high - window + 1, step)
    ]
    if not starts:
        raise BadData(name, f"has no {window} rows in a row of one label and group", "use a shorter window")
    at = np.array(starts)
    found = np.stack([values[start : start + window] for start in starts])
    return found, targets[at], None if groups is None else groups[at]
