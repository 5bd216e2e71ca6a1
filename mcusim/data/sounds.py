"""Recordings: folders and archives of wav files, and arrays of samples end to end."""

from __future__ import annotations

import io
import re
import tarfile
import wave
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadData
from mcusim.data.dataset import Dataset, Split
from mcusim.data.splits import held_out
from mcusim.data.validation import held_out_groups, leave_out

MAX_BYTES = 2**31
MAX_FILES = 200_000
_SPEAKER = re.compile(r"(?P<who>[0-9a-f]+)_nohash_\d+|(?P<label>[^_]+)_(?P<name>[A-Za-z]\w*?)_\d+")
"""File names that say who speaks: those of Speech Commands, and LABEL_NAME_NUMBER."""


def sounds(
    path: str | Path,
    *,
    seconds: float = 1.0,
    left_out: str = "",
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Return the recordings of a folder, or of a ``.tar.gz``, as ``float32 [N, samples]`` in -1..1.

    Files are PCM of 8, 16, 24 or 32 bits; channels are averaged, and all have one rate, which is that of
    the front end to be. A class is the folder of a file, or for files side by side, all in one folder, named
    ``LABEL_NAME_NUMBER.wav`` its label. Where names say who speaks (also ``HASH_nohash_NUMBER.wav``),
    speakers are groups: the test split holds whole speakers.

    Args:
        path: folder or archive.
        seconds: length of an example; shorter ones end in silence, longer ones are cut.
        left_out: the one speaker to test on, by name; a part of the speakers if empty.
        test_fraction: part of the recordings to test on.
        seed: of the choice.

    Raises:
        BadData: if there are no recordings, one is damaged, or rates differ.
        BadArgument: if a number makes no sense, or nobody is called so.
    """
    if not 0 < seconds <= 3600:
        raise BadArgument(f"seconds={seconds:g}", "is not the length of an example", "use 1.0, for example")
    path, rows, rate, total = Path(path), [], 0, 0
    names: list[_Said] = []
    for place, content in _files(path):
        samples, own = _read(f"{path}: {place}", content)
        if rate and own != rate:
            reason = f"has {own} samples a second, others {rate}"
            raise BadData(f"{path}: {place}", reason, "resample it, so that all are equal")
        rate = own
        rows.append(_fitted(samples, round(rate * seconds)))
        total += rows[-1].nbytes
        if total > MAX_BYTES or len(rows) > MAX_FILES:
            raise BadData(str(path), "holds more than can be held in memory", "use a part of it")
        names.append(_said(place))
    if not rows:
        raise BadData(str(path), "holds no .wav files", "give one folder a class, or LABEL_NAME_NUMBER.wav")
    beside = len({said.folder for said in names}) == 1 and all(said.label for said in names)
    classes = [said.label if beside else said.folder or said.label for said in names]
    labels = sorted({*classes})
    numbers = np.array([labels.index(label) for label in classes])
    speakers = sorted({said.who for said in names})
    groups = np.array([speakers.index(said.who) for said in names]) if "" not in speakers else None
    whole = Split(np.stack(rows), numbers, groups)
    name = path.name.removesuffix(".gz").removesuffix(".tar")
    return grouped(
        whole, tuple(labels), name, speakers if groups is not None else [], left_out, test_fraction, seed
    )


def spoken(
    samples: NDArray[np.int16],
    lengths: NDArray[np.int32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64] | None = None,
    *,
    speakers: list[str] | None = None,
    rate: int = 8000,
    seconds: float = 1.0,
    left_out: str = "",
    name: str = "sounds",
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Return recordings that lie end to end in one array, as ``float32 [N, samples]`` in -1..1.

    Args:
        samples: int16, all recordings.
        lengths: samples of each of them.
        labels: class of each of them.
        groups: who speaks; the test split holds whole groups.
        speakers: names of the groups.
        rate: samples a second.
        seconds: length of an example.
        left_out: name or number of the one group to test on.
        name: of the data set.
        test_fraction: part of the recordings to test on, if nobody is left out.
        seed: of the choice.

    Raises:
        BadData: if lengths and samples do not fit.
        BadArgument: if nobody is called so.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    if not len(ends) or ends[-1] != len(samples) or int(np.min(lengths)) < 1:
        raise BadData(name, f"has {len(samples):,} samples, and lengths of {int(ends[-1:].sum()):,}")
    length = round(rate * seconds)
    real = np.zeros((len(lengths), length), np.float32)
    for row, end, size in zip(real, ends, lengths, strict=True):
        taken = samples[end - size : end][:length]
        row[: len(taken)] = taken / np.float32(32768)
    whole = Split(
        real, np.asarray(labels, np.int64), None if groups is None else np.asarray(groups, np.int64)
    )
    classes = tuple(map(str, range(1 + int(whole.class_numbers.max()))))
    known = speakers or ([] if groups is None else [str(n) for n in range(int(np.max(groups)) + 1)])
    return grouped(whole, classes, name, known, left_out, test_fraction, seed)


def grouped(
    whole: Split, labels: tuple[str, ...], name: str, groups: list[str], left_out: str, test_fraction: float,
    seed: int,
) -> Dataset:  # fmt: skip
    """Divide examples into training and test, by whole groups where there are any.

    Raises:
        BadArgument: if no group is called ``left_out``.
        BadData: if there is too little to divide.
    """
    if left_out:
        if left_out not in groups:
            known = ", ".join(groups) or "none, the examples have no groups"
            raise BadArgument(f"left_out={left_out}", "is nobody", f"known: {known}")
        train, test = leave_out(whole, [groups.index(left_out)])
        return Dataset(train, test, labels, f"{name}-without-{left_out}")
    if whole.groups is not None:
        held = held_out_groups(whole.groups, test_fraction, seed)
    else:
        classes = whole.class_numbers if labels else np.zeros(len(whole), np.int64)
        held = held_out(classes, test_fraction, seed)
    return Dataset(whole.subset(np.flatnonzero(~held)), whole.subset(np.flatnonzero(held)), labels, name)


def holds_sounds(path: Path) -> bool:
    """Return True for a folder with wav files in it or in its folders."""
    return path.is_dir() and any(True for _ in (*path.glob("*.wav"), *path.glob("*/*.wav")))


def _files(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.wav")):
            yield PurePosixPath(file.relative_to(path).as_posix()), file.read_bytes()
        return
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".wav") and member.size < MAX_BYTES // 64:
                    content = archive.extractfile(member)
                    assert content is not None
                    yield PurePosixPath(member.name), content.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BadData(str(path), f"is no archive: {error}", "give a folder of .wav files") from error


class _Said(NamedTuple):
    """What the place of a file says: its folder, and its name of label and speaker; empty if nothing."""

    folder: str
    label: str
    who: str


def _said(place: PurePosixPath) -> _Said:
    found = _SPEAKER.fullmatch(place.stem)
    folder = place.parent.name
    if found is None:
        return _Said(folder, "" if folder else place.stem.partition("_")[0], "")
    return _Said(folder, found["label"] or "", found["who"] or found["name"])


def _read(name: str, content: bytes) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a file in -1..1, and its rate."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
        raw = np.frombuffer(data[: len(data) // (width * channels) * width * channels], np.uint8)
    except (wave.Error, EOFError, ValueError, ZeroDivisionError) as error:
        raise BadData(name, f"is no PCM wav file: {error}", "convert it, or remove it") from error
    if not len(raw) or rate < 1:
        raise BadData(name, "holds no samples", "remove it")
    real: NDArray[np.float32]
    if width == 1:  # unsigned
        real = (raw.astype(np.float32) - np.float32(128)) / np.float32(128)
    else:
        # Into the high bytes of 32 bits, whose low ones are zero.
        wide = np.zeros((len(raw) // width, 4), np.uint8)
        wide[:, 4 - width :] = raw.reshape(-1, width)
        real = (wide.view("<i4").reshape(-1) / 2.0**31).astype(np.float32)
    mixed: NDArray[np.float32] = real.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return mixed, rate


def _fitted(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    found = np.zeros(length, np.float32)
    found[: min(length, len(samples))] = samples[:length]
    return found
