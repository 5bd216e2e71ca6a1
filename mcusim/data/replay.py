"""What a device keeps of examples that are gone, to learn them again among new ones."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, UnknownName
from mcusim.data.counter import below

KINDS = ("raw", "latent")
POLICIES = ("reservoir", "balanced", "fifo")
PLACES = ("sram", "flash")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A buffer of examples.

    ``raw`` keeps the input of the network, ``latent`` what the frozen front gives of it, which is smaller,
    and spares a replayed step the front; the front is frozen and everything there has 8 bits, so that both
    learn the same. Each label takes a byte (two above 256 classes).

    Attributes:
        kind: ``raw`` or ``latent``.
        capacity: examples.
        policy: which stay. ``reservoir``: every example of the stream with the same probability (Vitter's
            algorithm R); ``balanced``: the same, but what is put out is of the class that has most;
            ``fifo``: the last ones.
        ratio: replayed steps for each new one.
        place: ``sram`` or ``flash``.
    """

    kind: str
    capacity: int
    policy: str = "reservoir"
    ratio: int = 1
    place: str = "sram"

    def __post_init__(self) -> None:
        for name, values in (("kind", KINDS), ("policy", POLICIES), ("place", PLACES)):
            if getattr(self, name) not in values:
                raise UnknownName(f"replay {name}", getattr(self, name), values)
        for name in ("capacity", "ratio"):
            if not 1 <= getattr(self, name) <= 2**20:
                raise BadArgument(f"replay {name}={getattr(self, name)}", "is not 1 to 1,048,576", "e.g. 100")

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the buffer that a text means: ``raw:100``, ``latent:500,policy=balanced,place=flash``.

        Raises:
            UnknownName: for a word that is not known; suggests the nearest.
            BadArgument: if a number makes no sense.
        """
        kind, _, rest = text.partition(":")
        size, *words = (word.strip() for word in rest.split(","))
        known = [item.name for item in fields(cls) if item.name not in ("kind", "capacity")]
        given: dict[str, Any] = {}
        for word in words:
            name, _, value = word.partition("=")
            if name not in known:
                raise UnknownName("word of a replay buffer", name, known)
            given[name] = _whole(name, value) if name == "ratio" else value
        return cls(kind.strip(), _whole("capacity", size), **given)

    def bytes(self, example_bytes: int, label_bytes: int) -> int:
        """Return the bytes of the whole buffer."""
        return self.capacity * (example_bytes + label_bytes)


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise BadArgument(f"replay {name}={text}", "is no whole number", "e.g. latent:200,ratio=1") from error


class ReplayBuffer:
    """Which examples of a stream are in a buffer, as their numbers in the stream.

    Args:
        replay: how large it is, and which stay.
        seed: of everything that is drawn.
    """

    def __init__(self, replay: Rehearsal, seed: int) -> None:
        self._replay, self._seed = replay, seed
        self.kept: list[int] = []
        self._labels: list[int] = []
        self._seen = self._drawn = 0
        self.written: list[int] = []
        """Places that were written, one after the other, those of examples that were put out again too."""

    def offer(self, number: int, label: int) -> int | None:
        """Keep an example, or not, as the policy says; return the place that it takes, if it takes one."""
        self._seen += 1
        self._drawn = 0
        place: int | None = len(self.kept)
        if len(self.kept) < self._replay.capacity:
            self.kept.append(number)
            self._labels.append(label)
        else:
            place = self._place(label)
        if place is not None:
            self.kept[place], self._labels[place] = number, label
            self.written.append(place)
        return place

    def _place(self, label: int) -> int | None:
        """Return whose place an example takes; ``None`` if it is not kept."""
        capacity = self._replay.capacity
        if self._replay.policy == "fifo":
            return (self._seen - 1) % capacity
        drawn = int(below(2**30, self._seed, self._seen, 0)[0])
        if self._replay.policy == "reservoir":
            place = drawn % self._seen
            return place if place < capacity else None
        counts = np.bincount(self._labels)
        most = int(counts.argmax())
        own = int(counts[label]) if label < len(counts) else 0
        # A class that has as many as any takes the place of one of its own, as a reservoir of it would.
        group = label if own == counts[most] else most
        places = [i for i, other in enumerate(self._labels) if other == group]
        if group == label and drawn % self._seen >= capacity:
            return None
        return places[drawn % len(places)]

    def draw(self) -> int | None:
        """Return the place of an example to learn again, each drawn by itself; ``None`` if there are none."""
        if not self.kept:
            return None
        place = int(below(len(self.kept), self._seed, self._seen, 1, self._drawn)[0])
        self._drawn += 1
        return place

    @property
    def counted(self) -> tuple[int, int]:
        """Examples that were offered, and draws since the last of them: all that a device counts."""
        return self._seen, self._drawn


def composed(
    labels: NDArray[np.int64], new: NDArray[np.int64], buffer: ReplayBuffer | None, ratio: int
) -> NDArray[np.int64]:
    """Return the order in which a device learns: before each new example as many of the buffer.

    A new example is kept in the step that learns it, while it is there: no memory has to hold it until others
    have been replayed.

    Args:
        labels: of all examples of the stream, by number.
        new: numbers of the new ones, in the order in which they come.
        buffer: which is filled on the way; ``None`` for none.
        ratio: replayed examples for each new one.
    """
    if buffer is None:
        return new
    order: list[int] = []
    for number in new.tolist():
        places = (buffer.draw() for _ in range(ratio))
        order += [*(buffer.kept[place] for place in places if place is not None), number]
        buffer.offer(number, int(labels[number]))
    return np.array(order, np.int64)
