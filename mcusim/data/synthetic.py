"""A data set that needs no download: ten shapes, drawn by arithmetic, in two domains.

``source`` shows bright shapes on dark, smooth grounds. ``target`` shows the same ten classes after
a change of scene: dark, smaller, more tilted shapes on bright, striped, tinted and noisier grounds.
A network trained on the source loses much of its accuracy on the target and regains it by learning.

Every pixel follows from integers by float32 additions, multiplications, divisions and square roots
alone, which IEEE 754 rounds the same everywhere: the bytes are equal on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, UnknownName
from mcusim.data.counter import below, bits, uniform
from mcusim.data.dataset import Dataset, Split

Array = NDArray[Any]
"""float32."""
SIDE = 32
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Domain:
    """What the images of one domain look like. Ranges are uniform; colours are fractions of white."""

    shape: tuple[float, float]
    """Brightness range of the shape, drawn for each channel."""
    ground: tuple[float, float]
    """Brightness range of the background, drawn for each channel at each end of a gradient."""
    inverted: float
    """Fraction of images that are turned into their negative: dark shapes on bright grounds."""
    cast: tuple[float, float, float]
    """Factor on the red, green and blue channel: the colour of the light."""
    radius: tuple[float, float]
    """Pixels."""
    shift: float
    """Largest displacement of the centre, in pixels."""
    tilt: float
    """Largest rotation, as the tangent of half the angle."""
    stripes: float
    """Amplitude of a striped texture on the background."""
    noise: float
    """Amplitude of the sensor noise."""


DOMAINS = {
    "source": Domain(
        shape=(0.3, 0.9), ground=(0.0, 0.5), inverted=0.03, cast=(1.0, 1.0, 1.0),
        radius=(8.0, 13.0), shift=4.0, tilt=0.15, stripes=0.0, noise=0.3,
    ),
    "target": Domain(
        shape=(0.45, 1.0), ground=(0.0, 0.4), inverted=0.95, cast=(1.0, 0.6, 0.4),
        radius=(7.0, 12.0), shift=6.0, tilt=0.6, stripes=0.12, noise=0.25,
    ),
}  # fmt: skip


def synthetic(domain: str = "source", *, train: int = 4000, test: int = 1000, seed: int = 0) -> Dataset:
    """Return the synthetic data set: 32x32 RGB, ten classes, equally frequent.

    Args:
        domain: ``source`` or ``target``.
        train: number of training images; image ``i`` is the same whatever the number.
        test: number of test images.
        seed: other seeds give other images of the same distribution.

    Raises:
        UnknownName: for another domain.
        BadArgument: for a number of images below 1.
    """
    if domain not in DOMAINS:
        raise UnknownName("domain", domain, DOMAINS)
    if min(train, test) < 1:
        raise BadArgument(f"{min(train, test)} images", "is not positive", "ask for at least one of each")
    key = sorted(DOMAINS).index(domain)
    return Dataset(
        _split(DOMAINS[domain], train, (seed, key, 0)),
        _split(DOMAINS[domain], test, (seed, key, 1)),
        tuple(SHAPES),
        f"synthetic-{domain}",
    )


def _split(domain: Domain, count: int, key: tuple[int, int, int]) -> Split:
    index = np.arange(count)
    labels = (index + below(len(SHAPES), *key, 0, index // len(SHAPES))) % len(SHAPES)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for start in range(0, count, _CHUNK):
        part = index[start : start + _CHUNK]
        images[start : start + _CHUNK] = _draw(domain, part, labels[part], key)
    return Split(images, labels)


def _draw(
    domain: Domain, index: NDArray[np.int64], labels: NDArray[np.int64], key: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Return ``uint8 [n, 32, 32, 3]``, the images number ``index`` of a split."""
    n = len(index)

    def between(low: float, high: float, purpose: int, channels: int = 1) -> Array:
        drawn = uniform(*key, purpose, index[:, None] * 4 + np.arange(channels))
        return (np.float32(low) + drawn * np.float32(high - low)).reshape(n, 1, 1, channels)

    axis = np.arange(SIDE, dtype=np.float32) - np.float32((SIDE - 1) / 2)
    x, y = axis.reshape(1, 1, SIDE, 1), axis.reshape(1, SIDE, 1, 1)
    radius = between(*domain.radius, 1)
    u = (x - between(-domain.shift, domain.shift, 2)) / radius
    v = (y - between(-domain.shift, domain.shift, 3)) / radius
    u, v = _rotated(u, v, between(-domain.tilt, domain.tilt, 4))
    inside = np.empty((n, SIDE, SIDE, 1), np.float32)
    for label, name in enumerate(SHAPES):
        mine = labels == label
        inside[mine] = SHAPES[name](u[mine], v[mine])
    coverage = np.clip(inside * radius + np.float32(0.5), 0, 1)

    across, down = _rotated(x, y, between(-1, 1, 5))
    ramp = across * np.float32(1 / 45) + np.float32(0.5)
    ground = between(*domain.ground, 6, 3) * ramp + between(*domain.ground, 7, 3) * (1 - ramp)
    wave = down * between(0.08, 0.25, 8) + between(0, 1, 9)
    ground = ground + np.float32(domain.stripes) * (4 * abs(wave - np.floor(wave) - np.float32(0.5)) - 1)
    image = ground + coverage * (between(*domain.shape, 10, 3) - ground)
    image = np.where(between(0, 1, 12) < domain.inverted, 1 - image, image)
    image = image * np.array(domain.cast, np.float32) + np.float32(domain.noise) * _noise(index, key)
    pixels: NDArray[np.uint8] = np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8)
    return pixels


def _rotated(u: Array, v: Array, half_tangent: Array) -> tuple[Array, Array]:
    """Rotate by 2 atan(t): cos = (1 - t^2) / (1 + t^2), sin = 2 t / (1 + t^2)."""
    square = half_tangent * half_tangent
    cos, sin = (1 - square) / (1 + square), 2 * half_tangent / (1 + square)
    return cos * u + sin * v, cos * v - sin * u


def _noise(index: NDArray[np.int64], key: tuple[int, int, int]) -> Array:
    """Return triangular noise in (-1, 1) for every pixel and channel: the sum of two draws of 10 bits."""
    pixel = index[:, None] * (SIDE * SIDE) + np.arange(SIDE * SIDE)
    words = bits(*key, 11, pixel).reshape(len(index), SIDE, SIDE)
    drawn = np.empty((len(index), SIDE, SIDE, 3), np.float32)
    for channel in range(3):
        low = (words >> np.uint64(20 * channel)) & np.uint64(1023)
        high = (words >> np.uint64(20 * channel + 10)) & np.uint64(1023)
        drawn[..., channel] = (low + high).astype(np.float32)
    noise: Array = drawn * np.float32(1 / 1023) - np.float32(1)
    return noise


def _ring(distance: Array, radius: float, half_width: float) -> Array:
    """Return how far inside a closed band a point lies that has ``distance`` from its centre."""
    inside: Array = np.float32(half_width) - abs(distance - np.float32(radius))
    return inside


def _box(u: Array, v: Array, width: float, height: float) -> Array:
    """Return how far inside a rectangle, given by half its width and height, a point lies."""
    inside: Array = np.minimum(np.float32(width) - abs(u), np.float32(height) - abs(v))
    return inside


SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "disc": lambda u, v: 1 - np.sqrt(u * u + v * v),
    "ring": lambda u, v: _ring(np.sqrt(u * u + v * v), 0.78, 0.22),
    "square": lambda u, v: _box(u, v, 0.85, 0.85),
    "frame": lambda u, v: _ring(np.maximum(abs(u), abs(v)), 0.7, 0.2),
    "triangle": lambda u, v: np.minimum(np.float32(0.6) - v, (1 + v - np.float32(1.74) * abs(u)) / 2),
    "plus": lambda u, v: np.maximum(_box(u, v, 0.28, 0.95), _box(u, v, 0.95, 0.28)),
    "bars": lambda u, v: _box(u, np.minimum(abs(v), abs(abs(v) - np.float32(0.7))), 0.9, 0.2),
    "checker": lambda u, v: np.minimum(
        _box(u, v, 0.9, 0.9), np.where(u * v > 0, np.float32(1), np.float32(-1)) * np.minimum(abs(u), abs(v))
    ),
    "crescent": lambda u, v: np.minimum(
        1 - np.sqrt(u * u + v * v), np.sqrt(np.square(u - np.float32(0.45)) + v * v) - np.float32(0.75)
    ),
    "hourglass": lambda u, v: np.minimum(
        np.float32(0.9) - abs(v), (abs(v) - abs(u)) * np.float32(0.7) + np.float32(0.1)
    ),
}
"""The ten classes by label: how far inside its outline a point lies, in radii (negative: outside)."""
