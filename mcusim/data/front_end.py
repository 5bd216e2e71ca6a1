"""From samples of a microphone to what a keyword network takes, and what that costs on the device."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import ceil, log2
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadData, UnknownName, Work
from mcusim.data.dataset import Dataset, Split
from mcusim.kernels.reference.front_end import FrameTables, frames

KINDS = ("mfcc", "log-mel")
F = np.float32
_CHUNK = 4
"""Sounds at a time: few enough for a cache."""


@dataclass(frozen=True)
class FrontEnd:
    """Frames of a sound as mel-frequency cepstral coefficients, or as logarithms of mel bands.

    Each frame is windowed (periodic Hann), transformed (the next power of two), taken by magnitude, and
    summed in triangular bands that are evenly spaced in mel = 1127 ln(1 + f / 700) (the form of HTK), of
    which the logarithm is taken. ``mfcc`` goes on to the first coefficients of the type-2 discrete cosine
    transform, scaled by (2 n)^-1/2. These are the definitions of ``tf.signal``, by which the MLPerf Tiny
    keyword network was trained; sounds are scaled to -1..1, and to their own peak if ``peak``. Computed is
    in float32, bit for bit as the device does.

    Raises:
        BadArgument: if the numbers make no front end.
    """

    kind: str = "mfcc"
    rate: int = 16_000
    """Samples a second."""
    window: float = 30.0
    """Milliseconds of a frame."""
    hop: float = 20.0
    """Milliseconds between the starts of two frames."""
    bands: int = 40
    coefficients: int = 10
    """Of ``mfcc``; ``log-mel`` gives all bands."""
    low: float = 20.0
    """Hertz."""
    high: float = 4000.0
    """Hertz."""
    peak: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownName("front end", self.kind, KINDS)
        wrong = {
            "rate": self.rate < 1, "window": self.frame < 2, "hop": self.step < 1, "bands": self.bands < 1,
            "coefficients": self.kind == "mfcc" and not 1 <= self.coefficients <= self.bands,
            "high": not 0 <= self.low < self.high <= self.rate / 2,
        }  # fmt: skip
        for name, bad in wrong.items():
            if bad:
                way_out = "window and hop are milliseconds, low < high are hertz up to half the rate"
                raise BadArgument(f"front end {name}={getattr(self, name)}", "makes no sense", way_out)

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the front end that a text means, e.g. ``mfcc`` or ``log-mel:rate=8000,bands=20``.

        Raises:
            UnknownName: for another kind or a word that none has; suggests the nearest.
            BadArgument: if a value is no number.
        """
        kind, _, rest = text.partition(":")
        known: dict[str, Any] = {item.name: item.default for item in fields(cls) if item.name != "kind"}
        given: dict[str, Any] = {}
        for part in filter(None, rest.split(",")):
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in known:
                raise UnknownName("word of a front end", name, known)
            try:
                if isinstance(known[name], bool):
                    given[name] = {"true": True, "false": False}[value]
                else:
                    given[name] = type(known[name])(value)
            except (ValueError, KeyError) as error:
                raise BadArgument(
                    f"front end {name}={value}", "is no such value", f"e.g. {known[name]}"
                ) from error
        return cls(kind.strip(), **given)

    @property
    def text(self) -> str:
        """What ``read`` reads."""
        usual = type(self)(self.kind)
        words = [
            f"{item.name}={str(value).lower() if isinstance(value, bool) else f'{value:g}'}"
            for item in fields(self)
            if item.name != "kind" and (value := getattr(self, item.name)) != getattr(usual, item.name)
        ]
        return f"{self.kind}:{','.join(words)}" if words else self.kind

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return round(self.rate * self.window / 1000)

    @property
    def step(self) -> int:
        """Samples between the starts of two frames."""
        return round(self.rate * self.hop / 1000)

    @property
    def transform(self) -> int:
        """Points of the Fourier transform."""
        return int(2 ** ceil(log2(self.frame)))

    @property
    def columns(self) -> int:
        """Numbers a frame gives."""
        return self.coefficients if self.kind == "mfcc" else self.bands

    def frames(self, samples: int) -> int:
        """Return how many whole frames so many samples have."""
        return max(0, 1 + (samples - self.frame) // self.step)

    def samples(self, frames: int) -> int:
        """Return the fewest samples with so many frames."""
        return self.frame + (frames - 1) * self.step

    @cached_property
    def _mel(self) -> NDArray[np.float64]:
        """Weights of the bands, ``[bins, bands]``."""
        hertz = np.arange(self.transform // 2 + 1, dtype=np.float64) * (self.rate / self.transform)
        mel, (low, high) = _mels(hertz), _mels(np.array([self.low, self.high]))
        edges = np.linspace(low, high, self.bands + 2)
        rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
        weights: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
        weights[0] = 0  # no constant part
        return weights

    @cached_property
    def tables(self) -> FrameTables:
        """What is multiplied by, rounded to float32."""
        n, count = self.transform, self.frame
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(count) / count)
        waves = np.cos(2 * np.pi * np.arange(3 * n // 4) / n)
        waves[n // 4] = 0
        mel = self._mel
        some = mel > 0
        bins = np.concatenate([some.argmax(axis=0), some.sum(axis=0)]).astype(np.uint16)
        place = (2 * np.arange(self.bands)[:, None] + 1) * np.arange(self.coefficients)
        cosines = 2 * np.cos(np.pi * place / (2 * self.bands)) / np.sqrt(2 * self.bands)
        return FrameTables(
            hann.astype(F), waves.astype(F), mel.T[some.T].astype(F), bins,
            cosines.astype(F) if self.kind == "mfcc" else None,
        )  # fmt: skip

    def heard(self, sounds: NDArray[Any], index: object = None) -> NDArray[np.int16]:
        """Return sounds ``[N, samples]`` as a converter gives them, int16, up to the end of the last frame.

        ``index``, their places in a split, changes nothing: sounds are not varied.

        Raises:
            BadData: if they are no sounds, or shorter than a frame.
        """
        if sounds.ndim != 2 or self.frames(sounds.shape[1]) == 0:
            way_out = f"give [N, samples] with at least {self.frame} samples"
            raise BadData("sounds", f"have shape {sounds.shape}", way_out)
        sounds = sounds[:, : self.samples(self.frames(sounds.shape[1]))]
        if sounds.dtype == np.int16:
            return sounds
        one = -float(np.iinfo(sounds.dtype).min) if sounds.dtype.kind == "i" else 1.0
        return np.clip(np.rint(sounds.astype(np.float64) * (2**15 / one)), -(2**15), 2**15 - 1).astype(
            np.int16
        )

    def __call__(self, sounds: NDArray[Any]) -> NDArray[np.float32]:
        """Return the frames of sounds ``[N, samples]``, int16 or real numbers, as ``[N, frames, columns]``.

        Real numbers in -1..1 become int16 first. What follows is float32 in a stated order, see
        ``mcusim.kernels.reference.front_end``: the bits of the device.

        Raises:
            BadData: if they are no sounds, or shorter than a frame.
        """
        samples = self.heard(sounds)
        found = np.empty((len(sounds), self.frames(samples.shape[1]), self.columns), F)
        for start in range(0, len(sounds), _CHUNK):
            part = samples[start : start + _CHUNK]
            found[start : start + _CHUNK] = frames(part, self.tables, self.step, peak=self.peak)
        return found

    def apply(self, data: Dataset) -> Dataset:
        """Return a data set of sounds as one of frames; one that holds no sounds is returned as it is."""
        if data.train.images.ndim != 2:
            return data

        def framed(split: Split) -> Split:
            return replace(split, images=self(split.images))

        held = None if data.validation is None else framed(data.validation)
        return replace(data, train=framed(data.train), test=framed(data.test), validation=held)

    def work(self, count: int) -> Work:
        """Return what so many frames cost the device, in float32.

        A frame: scale and window (2 operations a sample), a real transform by a complex one of half the
        points (n/4 log2(n/2) butterflies of 10 operations, and 24 for each two bins to take its halves apart
        and find magnitudes), the weights of the bands that are not zero, a logarithm a band (29 operations),
        the cosine transform. Besides, the largest sample, places in reversed order, and a rounding a number.
        """
        n = self.transform
        macs = len(self.tables.weights)
        operations = 2 * self.frame + round(10 * n / 4 * log2(max(2, n // 2))) + 24 * n // 4 + 29 * self.bands
        if self.kind == "mfcc":
            macs += self.bands * self.coefficients
        return Work(
            "front_end", float_macs=macs * count, float_ops=operations * count,
            int_ops=self.samples(count) * self.peak + n // 2 * count, requants=self.columns * count,
            outputs=self.columns * count, flash_read=self.tables.bytes * count,
        )  # fmt: skip

    @property
    def scratch_bytes(self) -> int:
        """SRAM while a frame is worked on: the transform in place, and the bands, in float32."""
        return 4 * (self.transform + 2) + 4 * self.bands


def _mels(hertz: NDArray[np.floating]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 1127.0 * np.log1p(hertz / 700.0)
    return found
