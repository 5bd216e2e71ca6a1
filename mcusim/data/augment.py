"""Random variants of pictures: mirrored, shifted and zoomed, as a function of seed, epoch and index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.core.chosen import Chosen
from mcusim.core.setting import setting
from mcusim.data.counter import below
from mcusim.data.placement import WHOLE, Placement


@dataclass(frozen=True, slots=True)
class Augmentation(Chosen):
    """What may happen to a training picture.

    Every picture has ``variants`` fixed variants, numbered from 0; an epoch draws one of them for each
    picture. With few variants, what a frozen front computes from them can be kept and used again. The window
    of ``zoom`` is that of Szegedy et al. 2015 with the aspect ratio kept: sides of 1 - zoom to 1.
    """

    flip: bool = setting(False, "mirror half of the variants left and right")
    shift: int = setting(
        0, "largest displacement of the picture on each axis, edges repeated: as padding and cropping",
        label="augmentation shift", unit="pixels", least=0, most=1024,
    )  # fmt: skip
    count: int = setting(
        0, "variants of each picture; 0: as few as flip needs, or 8 if pictures are shifted or zoomed",
        flags=("--variants",), label="augmentation count", least=0, most=2**20,
    )  # fmt: skip
    zoom: float = setting(
        0.0, "largest part of each side cut away; a window of the rest, at a random place, is stretched",
        label="augmentation zoom", terse=True, least=0, most=0.9,
    )  # fmt: skip

    @property
    def variants(self) -> int:
        """Number of variants of each picture."""
        return self.count or (8 if self.shift or self.zoom else 1 + self.flip)

    def draw(self, index: NDArray[np.int64], epoch: int, seed: int) -> NDArray[np.int64]:
        """Return which variant of each picture an epoch shows."""
        return below(self.variants, seed, 1, epoch, index)

    def place(self, index: NDArray[np.int64], variant: NDArray[np.int64], seed: int) -> Placement:
        """Return where in the picture each of these variants looks."""
        flip = (variant % 2 == 1) if self.flip else np.zeros(len(index), np.bool_)
        axes = [below(2 * self.shift + 1, seed, 2, axis, index, variant) - self.shift for axis in (0, 1)]
        cut = below(int(self.zoom * WHOLE) + 1, seed, 3, index, variant)
        # Uniform in 0..cut, which no fixed limit gives: a share of it, rounded.
        share = [below(WHOLE + 1, seed, 4, axis, index, variant) for axis in (0, 1)]
        origin = np.stack([(cut * s + WHOLE // 2) // WHOLE for s in share], axis=1)
        return Placement(flip, np.stack(axes, axis=1), WHOLE - cut, origin)
