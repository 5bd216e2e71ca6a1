"""Where prepared data is kept between runs, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from mcusim.core import SaveFailed


def cache_dir() -> Path:
    """Return the user's cache folder of this project."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("mcusim"))


def folder(name: str, fill: Callable[[Path], None]) -> Path:
    """Return the cache folder ``name``; if there is none, ``fill`` makes it, all of it or nothing.

    Raises:
        SaveFailed: when the disk is full or the cache cannot be written.
    """
    place = cache_dir() / name
    if place.is_dir():
        return place
    part = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".part"))
        fill(part)
        try:
            os.rename(part, place)
        except OSError:
            # Another process was quicker: its folder has the same content.
            if not place.is_dir():
                raise
    except OSError as error:
        way_out = "free some space, or set XDG_CACHE_HOME to another place"
        raise SaveFailed(str(place), f"cannot be written: {error.strerror or error}", way_out) from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
    return place
