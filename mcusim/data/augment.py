"""Random variants of pictures: lit, erased in part, mirrored, shifted, zoomed; by seed, epoch and index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.core.chosen import Chosen
from mcusim.core.setting import setting
from mcusim.data.counter import below
from mcusim.data.placement import WHOLE, Placement


@dataclass(frozen=True, slots=True)
class Augmentation(Chosen):
    """What may happen to a training picture.

    Every picture has ``variants`` fixed variants, numbered from 0; an epoch draws one of them for each
    picture. With few variants, what a frozen front computes from them can be kept and used again.

    The window of ``zoom`` is that of Szegedy et al. 2015 with the aspect ratio kept: sides of 1 - zoom to 1.
    The square of ``cutout`` is that of DeVries and Taylor 2017 (arXiv 1708.04552): its middle is any pixel,
    so that a part of it may lie outside; it takes the mean of the picture's channel. Contrast scales the
    distance to the mean grey level of the picture, brightness all levels after that, each by a factor from
    1 - x to 1 + x.
    """

    flip: bool = setting(False, "mirror half of the variants left and right")
    shift: int = setting(
        0, "largest displacement of the picture on each axis, edges repeated: as padding and cropping",
        label="augmentation shift", unit="pixels", least=0, most=1024,
    )  # fmt: skip
    count: int = setting(
        0, "variants of each picture; 0: as few as flip needs, or 8 if anything else is asked for",
        flags=("--variants",), label="augmentation count", least=0, most=2**20,
    )  # fmt: skip
    zoom: float = setting(
        0.0, "largest part of each side cut away; a window of the rest, at a random place, is stretched",
        label="augmentation zoom", terse=True, least=0, most=0.9,
    )  # fmt: skip
    cutout: int = setting(
        0, "side of a square at a random place that is erased with the mean of its channel",
        label="augmentation cutout", terse=True, unit="pixels", least=0, most=1024,
    )  # fmt: skip
    brightness: float = setting(
        0.0, "largest part by which all grey levels are scaled up or down",
        label="augmentation brightness", terse=True, least=0, most=1,
    )  # fmt: skip
    contrast: float = setting(
        0.0, "largest part by which distances to the mean grey level are scaled up or down",
        label="augmentation contrast", terse=True, least=0, most=1,
    )  # fmt: skip

    way_out: ClassVar[str] = "leave out the augmentation"

    @property
    def variants(self) -> int:
        """Number of variants of each picture."""
        return self.count or (8 if self.shift or self.zoom or self.retouches else 1 + self.flip)

    @property
    def retouches(self) -> bool:
        """True if pixels change, and not only their places."""
        return bool(self.cutout or self.brightness or self.contrast)

    def require(self, image_shape: tuple[int, ...]) -> None:
        """Raise BadArgument if variants would erase whole pictures."""
        if self.cutout >= min(image_shape[:2]):
            size = " x ".join(map(str, image_shape[:2]))
            raise BadArgument(
                f"augmentation cutout {self.cutout}", f"erases pictures of {size} whole",
                "ask for a smaller square",
            )  # fmt: skip

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

    def retouch(
        self, images: NDArray[np.uint8], index: NDArray[np.int64], variant: NDArray[np.int64], seed: int
    ) -> NDArray[np.uint8]:
        """Return these variants of pictures ``[N, H, W, C]`` as they are before they are placed.

        Everything is computed in integers: factors in 1/65536, levels and means rounded half up.
        """
        if self.brightness or self.contrast:
            factors = (self._factor(self.brightness, seed, 5, index, variant),
                       self._factor(self.contrast, seed, 6, index, variant))  # fmt: skip
            images = _lit(images, *factors)
        if self.cutout:
            height, width = images.shape[1:3]
            middle = [below(n, seed, 7, axis, index, variant) for axis, n in enumerate((height, width))]
            images = _erased(images, np.stack(middle, axis=1) - self.cutout // 2, self.cutout)
        return images

    def _factor(self, most: float, *keys: Any) -> NDArray[np.int64]:
        reach = int(most * WHOLE)
        return WHOLE - reach + below(2 * reach + 1, *keys)


def _lit(
    images: NDArray[np.uint8], brightness: NDArray[np.int64], contrast: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return pictures whose grey levels are looked up in a table of each."""
    mean = _mean(images, (1, 2, 3))
    levels = mean * WHOLE + (np.arange(256) - mean) * contrast[:, None]
    table = np.clip((levels * brightness[:, None] + WHOLE * WHOLE // 2) // (WHOLE * WHOLE), 0, 255)
    place = np.arange(len(images)).reshape(-1, 1, 1, 1)
    lit: NDArray[np.uint8] = table.astype(np.uint8)[place, images]
    return lit


def _erased(images: NDArray[np.uint8], corner: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """Return pictures without the pixels of a square, of which a part may lie outside."""
    images, mean = images.copy(), _mean(images, (1, 2))
    for image, (top, left), grey in zip(images, corner.tolist(), mean, strict=True):
        image[max(top, 0) : top + side, max(left, 0) : left + side] = grey
    return images


def _mean(images: NDArray[np.uint8], axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the mean grey level over some axes, rounded half up, ``[N, 1]`` or ``[N, C]``."""
    count = int(np.prod([images.shape[axis] for axis in axes]))
    total = images.sum(axes, dtype=np.int64).reshape(len(images), -1)
    rounded: NDArray[np.int64] = (2 * total + count) // (2 * count)
    return rounded
