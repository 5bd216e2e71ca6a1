"""Pictures as bad cameras and bad weather make them: fifteen kinds in five severities, drawn by arithmetic.

The kinds are those that Hendrycks and Dietterich (arXiv 1903.12261) chose; the pictures are not theirs. Every
number is drawn from seed, part and picture, so that a picture is the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadData, UnknownName
from mcusim.data.counter import uniform
from mcusim.data.dataset import Dataset, Split

Array = NDArray[Any]
"""float32 ``[n, H, W, C]`` in 0..1."""
Draw = Callable[[int, tuple[int, ...]], Array]
"""(purpose, shape of one picture's numbers) -> uniform numbers ``[n, *shape]`` in 0..1."""
SEVERITIES = range(1, 6)
_CHUNK = 500


def corrupted(
    dataset: Dataset, kind: str, severity: int = 3, *, seed: int = 0, test_only: bool = False
) -> Dataset:
    """Return the same pictures, corrupted.

    Args:
        dataset: of uint8 pictures.
        kind: one of ``CORRUPTIONS``.
        severity: 1 to 5.
        seed: of everything that is drawn.
        test_only: leave the training and validation pictures as they are.

    Raises:
        UnknownName: for another kind; suggests the nearest.
        BadArgument: for another severity.
        BadData: if the examples are no pictures.
    """
    if kind not in CORRUPTIONS:
        raise UnknownName("corruption", kind, CORRUPTIONS)
    if severity not in SEVERITIES:
        raise BadArgument(f"severity={severity}", "is not 1 to 5", "3 is the middle one")
    if dataset.train.images.dtype != np.uint8:
        raise BadData(dataset.name, f"holds {dataset.train.images.dtype}, no pictures", "give uint8 images")
    parts = {
        part: split if test_only and part != "test" else _changed(split, kind, severity, (seed, number))
        for number, (part, split) in enumerate(dataset.parts.items())
    }
    return replace(
        dataset, train=parts["train"], test=parts["test"], validation=parts.get("validation"),
        name=f"{dataset.name}-{kind}-{severity}",
    )  # fmt: skip


def _changed(split: Split, kind: str, severity: int, key: tuple[int, int]) -> Split:
    number = sorted(CORRUPTIONS).index(kind)
    images = np.empty((len(split), *split.image_shape), np.uint8)
    for start in range(0, len(split), _CHUNK):
        part = split.images[start : start + _CHUNK].astype(np.float32) / np.float32(255)
        index = np.arange(start, start + len(part))

        def draw(purpose: int, shape: tuple[int, ...], index: NDArray[np.int64] = index) -> Array:
            place = np.arange(int(np.prod(shape)))
            drawn = uniform(*key, number, purpose, index[:, None], place)
            return drawn.reshape(len(index), *shape)

        found = CORRUPTIONS[kind](part, severity, draw)
        images[start : start + _CHUNK] = np.rint(np.clip(found, 0, 1) * 255)
    return replace(split, images=images)


def _normal(draw: Draw, purpose: int, shape: tuple[int, ...]) -> Array:
    """Return normal numbers by the Box-Muller transform."""
    first, second = draw(purpose, shape), draw(purpose + 100, shape)
    radius = np.sqrt(-2 * np.log(np.maximum(first, np.float32(2.0**-24))))
    found: Array = (radius * np.cos(np.float32(2 * np.pi) * second)).astype(np.float32)
    return found


def _at(severity: int, *values: float) -> np.float32:
    return np.float32(values[severity - 1])


def gaussian_noise(x: Array, severity: int, draw: Draw) -> Array:
    """Noise of the read-out: normal, of one strength everywhere."""
    return x + _at(severity, 0.04, 0.06, 0.08, 0.09, 0.10) * _normal(draw, 0, x.shape[1:])


def shot_noise(x: Array, severity: int, draw: Draw) -> Array:
    """Noise of few photons: its variance is the brightness; the normal limit of Poisson's."""
    photons = _at(severity, 500, 250, 100, 75, 50)
    found: Array = x + np.sqrt(x / photons) * _normal(draw, 0, x.shape[1:])
    return found


def impulse_noise(x: Array, severity: int, draw: Draw) -> Array:
    """Single values that are black or white."""
    amount, drawn = _at(severity, 0.01, 0.02, 0.03, 0.05, 0.07), draw(0, x.shape[1:])
    return np.where(drawn < amount / 2, np.float32(0), np.where(drawn < amount, np.float32(1), x))


def defocus_blur(x: Array, severity: int, draw: Draw) -> Array:
    """A point becomes a disc."""
    radius = _at(severity, 0.6, 0.9, 1.2, 1.6, 2.0)
    axis = np.arange(-3, 4, dtype=np.float32)
    inside = np.clip(radius + 0.5 - np.hypot(axis[:, None], axis[None]), 0, 1)
    return _filtered(x, inside / inside.sum())


def glass_blur(x: Array, severity: int, draw: Draw) -> Array:
    """Pixels change places with near ones, as behind frosted glass."""
    reach = int(_at(severity, 1, 1, 1, 2, 2))
    share = _at(severity, 0.3, 0.6, 1.0, 0.6, 1.0)
    n, height, width, _ = x.shape
    drawn = draw(0, (3, height, width))
    moved = drawn[:, 2] < share
    rows, columns = np.indices((height, width))
    down, right = (np.floor(drawn[:, i] * (2 * reach + 1)).astype(np.int64) - reach for i in (0, 1))
    at = np.clip(rows + down * moved, 0, height - 1), np.clip(columns + right * moved, 0, width - 1)
    return _smooth(x[np.arange(n)[:, None, None], at[0], at[1]], np.float32(0.4))


def motion_blur(x: Array, severity: int, draw: Draw) -> Array:
    """The camera moves along a straight line while the shutter is open."""
    length, steps = _at(severity, 1.5, 2.5, 3.5, 4.5, 6.0), 9
    angle = draw(0, (1,))[:, 0] * np.float32(np.pi)
    found = np.zeros_like(x)
    for i in range(steps):
        along = (np.float32(i / (steps - 1)) - np.float32(0.5)) * length
        found += _shifted(x, along * np.sin(angle), along * np.cos(angle))
    return found / steps


def zoom_blur(x: Array, severity: int, draw: Draw) -> Array:
    """The camera comes nearer while the shutter is open."""
    most, steps = _at(severity, 1.06, 1.11, 1.16, 1.21, 1.26), 6
    found = np.zeros_like(x)
    for i in range(steps):
        found += _warped(x, 1 / (1 + (most - 1) * i / (steps - 1)))
    return found / steps


def snow(x: Array, severity: int, draw: Draw) -> Array:
    """Bright flakes, blurred as they fall, before a whiter world."""
    amount, white = _at(severity, 0.02, 0.03, 0.05, 0.07, 0.09), _at(severity, 0.1, 0.15, 0.2, 0.25, 0.3)
    flakes = (draw(0, (*x.shape[1:3], 1)) < amount).astype(np.float32)
    one = np.ones(len(x), np.float32)
    falling = flakes + _shifted(flakes, one, one / 2) + _shifted(flakes, 2 * one, one)
    pale = np.maximum(x, x.mean(axis=3, keepdims=True) * np.float32(1.5) + np.float32(0.5))
    found: Array = x * (1 - white) + white * pale + falling * np.float32(0.6)
    return found


def frost(x: Array, severity: int, draw: Draw) -> Array:
    """Bright ice in ragged spots over the picture."""
    cover = _at(severity, 0.2, 0.3, 0.4, 0.45, 0.5)
    ice = _clouds(draw, x.shape[1:3], rough=0.9)
    ice = np.clip((ice - (1 - cover)) * 4, 0, 1)
    return x * (1 - ice * np.float32(0.8)) + ice * np.float32(0.75)


def fog(x: Array, severity: int, draw: Draw) -> Array:
    """Clouds between camera and world; the contrast is kept by what is left."""
    thick = _at(severity, 0.2, 0.5, 0.75, 1.0, 1.5)
    veil = thick * _clouds(draw, x.shape[1:3], rough=0.55)
    top = x.max(axis=(1, 2, 3), keepdims=True)
    found: Array = (x + veil) * (top / (top + thick))
    return found


def brightness(x: Array, severity: int, draw: Draw) -> Array:
    """More light."""
    return x + _at(severity, 0.05, 0.1, 0.15, 0.2, 0.3)


def contrast(x: Array, severity: int, draw: Draw) -> Array:
    """Less difference from the mean."""
    mean = x.mean(axis=(1, 2), keepdims=True)
    found: Array = (x - mean) * _at(severity, 0.75, 0.5, 0.4, 0.3, 0.15) + mean
    return found


def elastic_transform(x: Array, severity: int, draw: Draw) -> Array:
    """The picture is drawn on rubber."""
    strength = _at(severity, 0.6, 0.9, 1.2, 1.6, 2.0)
    height, width = x.shape[1:3]
    fields = _smooth(np.moveaxis(draw(0, (2, height, width)), 1, -1) - np.float32(0.5), np.float32(2.0))
    fields *= strength / np.maximum(np.abs(fields).max(axis=(1, 2), keepdims=True), np.float32(1e-6))
    rows, columns = np.indices((height, width), dtype=np.float32)
    return _sampled(x, rows + fields[..., 0], columns + fields[..., 1])


def pixelate(x: Array, severity: int, draw: Draw) -> Array:
    """Fewer, larger pixels: each is the mean of what it covers."""
    share = _at(severity, 0.95, 0.85, 0.75, 0.6, 0.4)
    height, width = x.shape[1:3]
    down = [_boxes(size, max(1, round(float(size * share)))) for size in (height, width)]
    # Down to the mean of what each covers, and up to the mean of those that cover each.
    there = [_along(0, box.T, box / box.sum(axis=0).max()) for box in down]
    there = [each / each.sum(axis=1, keepdims=True) for each in there]
    return _along(2, there[1], _along(1, there[0], x))


def jpeg_compression(x: Array, severity: int, draw: Draw) -> Array:
    """Blocks of 8x8 whose cosines are rounded: the luminance table of the JPEG standard (Annex K.1)."""
    quality = _at(severity, 80, 65, 58, 50, 40)
    scale = (200 - 2 * quality if quality >= 50 else 5000 / quality) / 100
    table = np.maximum(1, np.floor(_TABLE * scale + 0.5)).astype(np.float32)
    n, height, width, channels = x.shape
    down, right = -height % 8, -width % 8
    whole = np.pad(x, ((0, 0), (0, down), (0, right), (0, 0)), "edge") * np.float32(255) - np.float32(128)
    blocks = whole.reshape(n, (height + down) // 8, 8, (width + right) // 8, 8, channels)
    waves = _along(4, _COSINES, _along(2, _COSINES, blocks))
    kept = np.rint(waves / table[:, None, :, None]) * table[:, None, :, None]
    back = _along(4, _COSINES.T, _along(2, _COSINES.T, kept))
    found: Array = (back.reshape(whole.shape)[:, :height, :width] + np.float32(128)) / np.float32(255)
    return found


_TABLE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
_ROWS = np.arange(8)[:, None]
_COSINES = np.where(
    _ROWS == 0, np.sqrt(1 / 8), 0.5 * np.cos(_ROWS * (2 * np.arange(8) + 1) * np.pi / 16)
).astype(np.float32)


def _filtered(x: Array, kernel: NDArray[np.floating]) -> Array:
    reach = len(kernel) // 2
    wide = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "edge")
    found = np.zeros_like(x)
    for (i, j), weight in np.ndenumerate(kernel):
        if weight:
            found += np.float32(weight) * wide[:, i : i + x.shape[1], j : j + x.shape[2]]
    return found


def _smooth(x: Array, sigma: np.float32) -> Array:
    reach = max(1, round(3 * float(sigma)))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return _filtered(x, np.outer(bell, bell) / bell.sum() ** 2)


def _sampled(x: Array, rows: Array, columns: Array) -> Array:
    """Return the pictures at real places ``[n, H, W]``, bilinear, the edge repeated."""
    n, height, width, _ = x.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    low, far = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    which = np.arange(n)[:, None, None]
    upper = x[which, top, left] * (1 - right) + x[which, top, far] * right
    lower = x[which, low, left] * (1 - right) + x[which, low, far] * right
    found: Array = (upper * (1 - down) + lower * down).astype(np.float32)
    return found


def _shifted(x: Array, down: Array, right: Array) -> Array:
    rows, columns = np.indices(x.shape[1:3], dtype=np.float32)
    return _sampled(x, rows + down[:, None, None], columns + right[:, None, None])


def _warped(x: Array, factor: Any) -> Array:
    rows, columns = np.indices(x.shape[1:3], dtype=np.float32)
    middle = [(size - 1) / 2 for size in x.shape[1:3]]
    shape = (len(x), *x.shape[1:3])
    down, right = (
        m + (axis - m) * np.float32(factor) for m, axis in zip(middle, (rows, columns), strict=True)
    )
    return _sampled(x, np.broadcast_to(down, shape), np.broadcast_to(right, shape))


def _clouds(draw: Draw, shape: tuple[int, int], *, rough: float) -> Array:
    """Return clouds ``[n, H, W, 1]`` in 0..1: noise on grids of 2, 4, 8 … points, each finer one weaker."""
    height, width = shape
    total, weight, purpose, size = None, np.float32(1), 10, 2
    while size <= max(shape):
        grid = draw(purpose, (size + 1, size + 1, 1))
        rows, columns = (np.linspace(0, size, side, dtype=np.float32) for side in shape)
        at = np.broadcast_to(rows[:, None], shape), np.broadcast_to(columns[None], shape)
        full = (len(grid), height, width)
        layer = weight * _sampled(grid, np.broadcast_to(at[0], full), np.broadcast_to(at[1], full))
        total = layer if total is None else total + layer
        weight, purpose, size = np.float32(weight * rough), purpose + 1, 2 * size
    assert total is not None
    low, high = (edge(axis=(1, 2, 3), keepdims=True) for edge in (total.min, total.max))
    found: Array = (total - low) / np.maximum(high - low, np.float32(1e-6))
    return found


def _along(axis: int, matrix: Array, x: Array) -> Array:
    """Multiply by a matrix along one axis, adding term after term.

    A BLAS adds in an order that depends on the machine and on how many pictures there are.
    """
    planes = np.moveaxis(x, axis, 0)
    column = (-1, *[1] * (planes.ndim - 1))
    total = np.zeros((len(matrix), *planes.shape[1:]), np.float32)
    for weights, plane in zip(matrix.T, planes, strict=True):
        total += weights.reshape(column) * plane
    return np.moveaxis(total, 0, axis)


def _boxes(size: int, small: int) -> Array:
    """Return the mean over the pixels that each of fewer pixels covers, ``[small, size]``."""
    edges = np.linspace(0, size, small + 1)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)
    covered = np.clip(np.minimum(right, pixel + 1) - np.maximum(left, pixel), 0, 1)
    found: Array = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


CORRUPTIONS: dict[str, Callable[[Array, int, Draw], Array]] = {
    kind.__name__.replace("_", "-"): kind
    for kind in (
        gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur, zoom_blur, snow,
        frost, fog, brightness, contrast, elastic_transform, pixelate, jpeg_compression,
    )
}  # fmt: skip
