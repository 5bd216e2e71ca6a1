"""Public sets as arrays, found where the user keeps data: keywords, wake words, spoken digits."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from mcusim.core import BadData
from mcusim.core.cache import cache_dir
from mcusim.data.arrays import from_arrays, unzipped
from mcusim.data.dataset import Dataset
from mcusim.data.sounds import spoken

KEYWORDS = (
    "down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown",
)  # fmt: skip
"""In the order of MLPerf Tiny."""
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def found(name: str) -> Path:
    """Return the file of a public set: in the folder that MCUSIM_DATA names, or in the user's cache.

    Raises:
        BadData: if it is in neither.
    """
    given = os.environ.get("MCUSIM_DATA")
    roots = [*([Path(given)] if given else []), cache_dir() / "data"]
    places = [root / part / f"{name}.npz" for root in roots for part in ("", "sets")]
    for place in places:
        if place.is_file():
            return place
    where = ", ".join(str(place.parent) for place in places)
    way_out = "set MCUSIM_DATA to the folder that holds it"
    raise BadData(f"{name}.npz", f"is in none of {where}", way_out)


def keywords(*, test_fraction: float = 0.3, seed: int = 0) -> Dataset:
    """Return 1,000 MFCCs of 12 keywords, as MLPerf Tiny's runner sends them (Speech Commands v2, CC BY 4.0).

    Args:
        test_fraction: part of each class to test on.
        seed: of the choice.

    Raises:
        BadData: if ``kws-1000.npz`` is not there.
    """
    arrays = unzipped(found("kws-1000"))
    return from_arrays(
        arrays["x"], arrays["y"], names=KEYWORDS, name="kws-1000", test_fraction=test_fraction, seed=seed
    )


def wake_words(*, test_fraction: float = 0.3, seed: int = 0) -> Dataset:
    """Return 1,000 pictures of 96x96 with and without a person, as MLPerf Tiny's runner sends them (COCO).

    Args:
        test_fraction: part of each class to test on.
        seed: of the choice.

    Raises:
        BadData: if ``vww-1000.npz`` is not there.
    """
    arrays = unzipped(found("vww-1000"))
    names = ("no person", "person")
    return from_arrays(
        arrays["x"], arrays["y"], names=names, name="vww-1000", test_fraction=test_fraction, seed=seed
    )


def spoken_digits(*, left_out: str = "theo", seconds: float = 1.0) -> Dataset:
    """Return 3,000 recordings of ten digits by six speakers, one of whom is only tested on.

    Free Spoken Digit Dataset (Z. Jackson and others, CC BY-SA 4.0), 8,000 samples a second, as sounds: give
    a front end of that rate.

    Args:
        left_out: george, jackson, lucas, nicolas, theo or yweweler; a part of them if empty.
        seconds: length of an example.

    Raises:
        BadData: if ``spoken-digits.npz`` is not there.
        BadArgument: if nobody is called so.
    """
    arrays = unzipped(found("spoken-digits"))
    return spoken(
        arrays["samples"].astype(np.int16, copy=False), arrays["lengths"].astype(np.int32, copy=False),
        arrays["y"].astype(np.int64), arrays["speaker"].astype(np.int64), speakers=[*SPEAKERS],
        left_out=left_out, seconds=seconds, name="spoken-digits",
    )  # fmt: skip


SETS: dict[str, Callable[..., Dataset]] = {
    "kws-1000": keywords,
    "vww-1000": wake_words,
    "spoken-digits": spoken_digits,
    **{f"spoken-digits-{name}": partial(spoken_digits, left_out=name) for name in SPEAKERS},
}
