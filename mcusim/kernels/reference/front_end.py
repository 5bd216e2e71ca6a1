"""Frames of a sound in float32: window, Fourier transform, bands, logarithm, cosines.

Every product and every sum is rounded, nothing is fused, sums are in ascending order: a device computes the
same bits. The real transform of n points is a complex one of n/2 (radix 2, decimation in time, as in Cooley
and Tukey 1965), whose halves are taken apart (Sorensen and others, 1987).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.kernels.reference.loss import logarithm

Array = NDArray[Any]
F = np.float32
FLOOR = F(1e-6)
"""Added to a band before the logarithm."""


@dataclass(frozen=True, slots=True)
class FrameTables:
    """What a front end multiplies by, as a device has it in flash.

    Attributes:
        window: float32, one a sample of a frame.
        waves: float32 cos(2 pi k / n) for k below 3/4 n: -sin is a quarter further on.
        weights: float32, of the bins of each band, band after band.
        bins: uint16, the first bin of each band, and then how many each has.
        cosines: float32 ``[bands, coefficients]``; ``None`` where bands are given as they are.
    """

    window: Array
    waves: Array
    weights: Array
    bins: Array
    cosines: Array | None

    @property
    def points(self) -> int:
        """Points of the transform."""
        return len(self.waves) * 4 // 3

    @property
    def bytes(self) -> int:
        """Bytes of all of them."""
        cosines = 0 if self.cosines is None else self.cosines.nbytes
        return sum(t.nbytes for t in (self.window, self.waves, self.weights, self.bins)) + cosines


def frames(samples: Array, tables: FrameTables, hop: int, *, peak: bool) -> Array:
    """Return float32 ``[N, frames, columns]`` of sounds int16 ``[N, samples]``.

    Args:
        samples: whole frames, nothing behind the last.
        tables: of the front end.
        hop: samples between the starts of two frames.
        peak: scale each sound by its largest magnitude instead of 32,768.
    """
    size = len(tables.window)
    largest = (
        np.maximum(np.abs(samples.astype(np.int32)).max(axis=1), 1) if peak else np.full(len(samples), 2**15)
    )
    factor = F(1) / largest.astype(F)
    framed = np.lib.stride_tricks.sliding_window_view(samples, size, axis=1)[:, ::hop]
    count = framed.shape[1]
    x = np.zeros((len(samples), count, tables.points), F)
    x[..., :size] = (framed.astype(F) * factor[:, None, None]) * tables.window
    bands = _bands(_magnitudes(x.reshape(-1, tables.points), tables.waves), tables)
    found: Array = logarithm(bands + FLOOR)
    if tables.cosines is not None:
        found = _cosines(found, tables.cosines)
    return found.reshape(len(samples), count, -1)


def _magnitudes(x: Array, waves: Array) -> Array:
    """Return the magnitudes of bins 0 to n/2 of rows of n points."""
    n = x.shape[1]
    half = n // 2
    order = np.zeros(half, np.int64)
    for bit in range(half.bit_length() - 1):
        order |= (np.arange(half) >> bit & 1) << (half.bit_length() - 2 - bit)
    re, im = x[:, 0::2][:, order], x[:, 1::2][:, order]
    size = 2
    while size <= half:
        k = np.arange(size // 2) * (n // size)
        wr, wi = waves[k], waves[k + n // 4]
        a, b = (v.reshape(len(x), -1, size)[..., : size // 2] for v in (re, im))
        c, d = (v.reshape(len(x), -1, size)[..., size // 2 :] for v in (re, im))
        tr, ti = wr * c - wi * d, wr * d + wi * c
        re = np.concatenate([a + tr, a - tr], axis=-1).reshape(len(x), half)
        im = np.concatenate([b + ti, b - ti], axis=-1).reshape(len(x), half)
        size *= 2
    found = np.empty((len(x), half + 1), F)
    found[:, 0], found[:, half] = np.abs(re[:, 0] + im[:, 0]), np.abs(re[:, 0] - im[:, 0])
    k = np.arange(1, half // 2 + 1)
    j = half - k
    er, ei = re[:, k] + re[:, j], im[:, k] - im[:, j]
    odd, even = im[:, k] + im[:, j], re[:, j] - re[:, k]
    wr, wi = waves[k], waves[k + n // 4]
    tr, ti = wr * odd - wi * even, wr * even + wi * odd
    found[:, j] = _length(er - tr, ei - ti)
    found[:, k] = _length(er + tr, ei + ti)
    return found


def _length(re: Array, im: Array) -> Array:
    halved: Array = np.sqrt(re * re + im * im) * F(0.5)
    return halved


def _bands(magnitudes: Array, tables: FrameTables) -> Array:
    """Return the sums of weighted bins, each ascending."""
    first, counts = np.split(tables.bins.astype(np.int64), 2)
    starts = np.cumsum(counts) - counts
    found = np.zeros((len(magnitudes), len(first)), F)
    for i in range(int(counts.max())):
        has = np.flatnonzero(counts > i)
        found[:, has] += magnitudes[:, first[has] + i] * tables.weights[starts[has] + i]
    return found


def _cosines(bands: Array, cosines: Array) -> Array:
    found = np.zeros((len(bands), cosines.shape[1]), F)
    for band, row in enumerate(cosines):
        found += bands[:, band, None] * row
    return found
