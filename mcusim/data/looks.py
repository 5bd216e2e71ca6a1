"""Looks at a picture that one answer is formed from: test-time augmentation, always of the same places."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.data.placement import WHOLE, Placement

LOOKS = {"one": 1, "mirrored": 2, "ten-crop": 10}
"""How many looks each kind takes."""
PLACES = np.array([(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)])
"""Where to look, (y, x): at the picture as it is, then towards each corner."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The ten-crop of Krizhevsky et al. 2012, section 4.1: five places, each as it is and mirrored.

    Look 2 k shows place k, look 2 k + 1 the same mirrored left and right. What lies outside a picture repeats
    its edge, as in augmentation.

    Attributes:
        count: 1, the picture as it is; 2, and mirrored; or 10.
        shift: pixels by which the corners lie off the middle, on each axis.

    Raises:
        BadArgument: for another number of looks, or corners that lie in the middle.
    """

    count: int = 1
    shift: int = 2
    way_out: ClassVar[str] = "answer from one look"
    retouches: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.count not in LOOKS.values():
            known = ", ".join(f"{count} ({name})" for name, count in LOOKS.items())
            raise BadArgument(f"{self.count} looks", "are of no kind that is known", f"known: {known}")
        if self.shift < 1:
            raise BadArgument(f"look shift {self.shift}", "moves nothing to a corner", "give 1 pixel or more")

    @property
    def variants(self) -> int:
        """Number of looks at each picture."""
        return self.count

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def require(self, image_shape: tuple[int, ...]) -> None:
        """Raise nothing: every picture can be looked at so."""

    def draw(self, index: NDArray[np.int64], epoch: int, seed: int) -> NDArray[np.int64]:
        """Return the first look at each picture; nothing is drawn."""
        return np.zeros(len(index), np.int64)

    def place(self, index: NDArray[np.int64], variant: NDArray[np.int64], seed: int) -> Placement:
        """Return what these looks show."""
        whole, pair = np.full(len(index), WHOLE, np.int64), np.zeros((len(index), 2), np.int64)
        return Placement(variant % 2 == 1, PLACES[variant // 2] * self.shift, whole, pair)

    def retouch(
        self, images: NDArray[np.uint8], index: NDArray[np.int64], variant: NDArray[np.int64], seed: int
    ) -> NDArray[np.uint8]:
        """Return the pictures: their pixels stay as they are."""
        return images
