"""Examples with what is to be learned of them: what a network learns from and is tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcusim.core import BadArgument, BadData
from mcusim.core.fields import joined, names_of, renamed
from mcusim.data.counter import permutation

IMAGE_DTYPES = ("uint8", "int8", "float32")
_WORDS = {"train": "training", "test": "test", "validation": "validation"}
"""What messages call the splits."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Examples with their labels, or whatever else is to be learned of them.

    ``images`` is ``uint8 [N, H, W, 3]`` for pictures (an array or a read-only memory map);
    features that are no pictures (spectrograms, sensor windows) are ``float32`` real values or
    ``int8`` values in the model's own input quantisation, of any shape ``[N, ...]``.
    ``labels`` is ``int64 [N]`` for classes; ``int64 [N, K]`` of zeros and ones where several labels apply;
    ``int64 [N, H, W]`` for a class a pixel; ``float32 [N, ...]`` for real numbers; or ``None`` where
    there is nothing but the examples. For a network with several inputs ``images`` are records, a field an
    input, and for several outputs so are ``labels``: see ``from_arrays``. ``groups`` is ``int64 [N]`` where
    examples belong together: who spoke them, whose arm moved, which day it was. A group must not be
    on both sides of a split.

    Raises:
        BadData: if there are no examples, a label is negative or no number, or shapes and types do not
            match.
    """

    images: NDArray[np.generic]
    labels: NDArray[np.int64] | NDArray[np.float32] | None
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        images: NDArray[Any] = self.images
        inputs = names_of(images) if isinstance(images, np.ndarray) else ()
        for name in inputs:
            _check_images(f"images {name!r}", images[name])
        if not inputs:
            _check_images("images", images)
        if self.labels is not None:
            labels: NDArray[Any] = np.asarray(self.labels)
            names = names_of(labels)
            parts = {name: _labels(f"labels {name!r}", labels[name], len(images)) for name in names}
            checked = joined("labels", parts) if parts else _labels("labels", labels, len(images))
            object.__setattr__(self, "labels", checked)
        if self.groups is not None:
            groups = np.asarray(self.groups)
            if groups.shape != (len(images),) or groups.dtype.kind not in "iu":
                found = f"are {groups.dtype} {groups.shape} for {len(images)} examples"
                raise BadData("groups", found, "give one whole number for each example")
            object.__setattr__(self, "groups", groups.astype(np.int64, copy=False))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def class_numbers(self) -> NDArray[np.int64]:
        """The class of each example.

        Raises:
            BadData: if the labels are no classes.
        """
        labels = self.labels
        if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
            found = "none" if labels is None else f"{labels.dtype} {labels.shape}"
            raise BadData("labels", f"are {found}", "this needs one class number for each example")
        return labels  # type: ignore[return-value]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.images.shape[1:]

    def named(self, inputs: Sequence[str], outputs: Sequence[str]) -> Split:
        """Return the examples with these names for the fields of records that are called by number."""
        images, labels = renamed(self.images, inputs), self.labels
        labels = None if labels is None else renamed(labels, outputs)
        return self if images is self.images and labels is self.labels else Split(images, labels, self.groups)

    def subset(self, indices: ArrayLike) -> Split:
        """Return the examples at ``indices``, in that order, as a copy."""
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise BadArgument("indices", f"are {chosen.dtype} {chosen.shape}", "give a list of integers")
        if chosen.size and not 0 <= int(chosen.min()) <= int(chosen.max()) < len(self):
            raise BadArgument("indices", f"leave the range 0..{len(self) - 1}", "use indices of this split")
        labels = None if self.labels is None else self.labels[chosen]
        groups = None if self.groups is None else self.groups[chosen]
        return Split(np.ascontiguousarray(self.images[chosen]), labels, groups)

    def sample(self, count: int, seed: int) -> Split:
        """Return ``count`` examples drawn without repetition, all of them if there are fewer."""
        if count < 1:
            raise BadArgument(f"count {count}", "is not positive", "ask for at least one example")
        return self if count >= len(self) else self.subset(np.sort(permutation(len(self), seed)[:count]))

    def order(self, epoch: int, seed: int) -> NDArray[np.int64]:
        """Return the order in which the examples of ``epoch`` are visited: a seeded permutation."""
        return permutation(len(self), seed, epoch)

    def digest(self) -> str:
        """Return the SHA-256 of images, labels, shape and type: the key of anything cached about them."""
        kind = self.images.dtype.descr if names_of(self.images) else self.images.dtype.name
        hasher = hashlib.sha256(f"{kind}{self.images.shape}".encode())
        rows = max(1, 2**24 // max(1, self.images[:1].nbytes))
        for start in range(0, len(self), rows):
            part = np.ascontiguousarray(self.images[start : start + rows])
            hasher.update(part.tobytes() if names_of(part) else part.data)
        if names_of(self.labels):
            assert self.labels is not None
            hasher.update(f"{self.labels.dtype.descr}".encode() + self.labels.tobytes())
        elif self.labels is not None:
            real = self.labels.dtype.kind == "f"
            if real or self.labels.ndim > 1:
                hasher.update(f"{self.labels.dtype.name}{self.labels.shape}".encode())
            hasher.update(np.ascontiguousarray(self.labels, "<f4" if real else "<i8").data)
        return hasher.hexdigest()


def _check_images(what: str, images: NDArray[np.generic]) -> None:
    if not isinstance(images, np.ndarray) or images.ndim < 2 or images.dtype.name not in IMAGE_DTYPES:
        kind = f"{getattr(images, 'dtype', type(images).__name__)} {getattr(images, 'shape', '')}"
        raise BadData(what, f"are {kind}", "give uint8 [N, H, W, 3], or float32 or int8 [N, ...]")
    if images.dtype == np.uint8 and (images.ndim != 4 or images.shape[-1] not in (1, 3)):
        raise BadData(what, f"have shape {images.shape}", "give uint8 [N, H, W, 3] or [N, H, W, 1]")
    if images.size == 0:
        raise BadData(what, f"are empty: shape {images.shape}", "give at least one image")


def _labels(what: str, labels: NDArray[Any], count: int) -> NDArray[np.int64] | NDArray[np.float32]:
    if labels.dtype.kind not in "iuf" or labels.shape[:1] != (count,) or labels.size == 0:
        raise BadData(
            what, f"are {labels.dtype} {labels.shape} for {count} images", "give one for each image"
        )
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise BadData(what, "hold values that are no finite numbers", "clean the data")
        return labels.astype(np.float32, copy=False)
    if (lowest := int(labels.min())) < 0:
        raise BadData(what, f"contain {lowest}", "count classes from 0, or give float32 for regression")
    return labels.astype(np.int64, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A training and a test split over the same classes, and perhaps a third one to choose by.

    ``labels`` names the classes in order; it is empty where the labels of the splits are no classes.

    Raises:
        BadData: if a label has no name, the splits hold different kinds of examples, or a group of examples
            is in two of them.
    """

    train: Split
    test: Split
    labels: tuple[str, ...]
    name: str
    validation: Split | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        for part, split in self.parts.items():
            if self.labels and int(split.class_numbers.max()) >= len(self.labels):
                raise BadData(
                    f"{_WORDS[part]} labels of {self.name}",
                    f"contain {int(split.class_numbers.max())}, and there are {len(self.labels)} classes",
                    "number the classes from 0 and name each of them",
                )
            here, there = self.train.images, split.images
            if here.shape[1:] != there.shape[1:] or here.dtype != there.dtype:
                raise BadData(
                    self.name,
                    f"has training examples of {here.dtype} {here.shape[1:]} and "
                    f"{_WORDS[part]} examples of {there.dtype} {there.shape[1:]}",
                    "give every split the same shape and type",
                )
        self._require_apart()

    @property
    def parts(self) -> dict[str, Split]:
        """The splits by name: ``train``, ``test``, and ``validation`` if there is one."""
        found = {"train": self.train, "test": self.test}
        return found if self.validation is None else {**found, "validation": self.validation}

    def _require_apart(self) -> None:
        """Refuse a group that is in two splits: what is learned of it would be tested on itself."""
        places: dict[int, str] = {}
        for part, split in self.parts.items():
            for group in () if split.groups is None else np.unique(split.groups).tolist():
                if group in places:
                    raise BadData(
                        f"group {group} of {self.name}",
                        f"is in the {places[group]} and the {part} examples",
                        "keep every group on one side, e.g. with groups= of from_arrays",
                    )
                places[group] = part

    @property
    def classes(self) -> int:
        """Number of classes; 0 where the labels are no classes."""
        return len(self.labels)

    def named(self, inputs: Sequence[str], outputs: Sequence[str]) -> Dataset:
        """Return the data set with the inputs and outputs of its records by name; see ``Split.named``."""
        parts = {part: split.named(inputs, outputs) for part, split in self.parts.items()}
        return self if parts == self.parts else replace(self, **parts)  # type: ignore[arg-type]

    def subset(self, train: int, test: int, *, seed: int = 0) -> Dataset:
        """Return a smaller data set of ``train`` and ``test`` examples drawn at random."""
        return replace(self, train=self.train.sample(train, seed), test=self.test.sample(test, seed))

    def __repr__(self) -> str:
        inputs = names_of(self.train.images)
        shape = " and ".join(inputs) or "x".join(map(str, self.train.image_shape))
        counts = f"{len(self.train):,} + {len(self.test):,}"
        what = f", {self.classes} classes" if self.labels else ""
        return f"<Dataset {self.name}: {counts} of {shape}{what}>"
