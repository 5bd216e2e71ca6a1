"""Prepared data that is kept between runs, whole or not at all, each file with its checksum."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mcusim.core import cache

Arrays = Mapping[str, NDArray[Any]]
CHECKSUMS = "checksums.json"
PIECE = 1 << 20


def kept(name: str) -> Arrays | None:
    """Return the arrays that are cached under a name, mapped into memory; ``None`` if they are not, whole.

    A file with other bytes than were written into it is named, in a warning.
    """
    place = cache.cache_dir() / cache.DATA / name
    try:
        checksums = dict(json.loads((place / CHECKSUMS).read_bytes()))
        damaged = [file for file, checksum in checksums.items() if _checksum(place / file) != checksum]
        if damaged:
            warnings.warn(f"{place / damaged[0]} is damaged; the data is unpacked anew", stacklevel=3)
            return None
        found = {
            file.removesuffix(".npy"): np.load(place / file, mmap_mode="r", allow_pickle=False)
            for file in checksums
        }
    except (OSError, ValueError, TypeError, EOFError):
        return None
    cache.use(place)
    return found


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
        checksums = {f"{file}.npy": _checksum(part / f"{file}.npy") for file in arrays}
        (part / CHECKSUMS).write_text(json.dumps(checksums, allow_nan=False), "ascii")
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


def _checksum(path: Path) -> int:
    with path.open("rb") as file:
        checksum = 0
        while piece := file.read(PIECE):
            checksum = crc32(piece, checksum)
    return checksum
