"""Prepared data that is kept between runs, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import cache

Arrays = Mapping[str, NDArray[Any]]


def kept(name: str) -> Arrays | None:
    """Return the arrays that are cached under a name, mapped into memory; ``None`` if they are not, whole."""
    place = cache.cache_dir() / cache.DATA / name
    try:
        files = sorted(place.glob("*.npy"))
        found = {file.stem: np.load(file, mmap_mode="r", allow_pickle=False) for file in files}
    except (OSError, ValueError, EOFError):
        return None
    cache.use(place)
    return found or None


def keep(name: str, arrays: Arrays) -> None:
    """Put arrays into the cache under a name, all of them or none.

    A cache that cannot be written is said, and done without.
    """
    root = cache.cache_dir()
    place = root / cache.DATA / name
    part = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        cache.make_room(root, sum(array.nbytes for array in arrays.values()), place)
        part = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".part"))
        for file, array in arrays.items():
            with open(part / f"{file}.npy", "wb") as target:
                np.save(target, array)
                target.flush()
                os.fsync(target.fileno())
        shutil.rmtree(place, ignore_errors=True)  # what is there was not whole
        os.rename(part, place)
    except OSError as error:
        # Another process may have been quicker: its folder has the same content.
        if kept(name) is None:
            reason = f"cache {root} cannot be used: {error.strerror or error}"
            warnings.warn(f"{reason}; the data is unpacked anew every time", stacklevel=3)
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
