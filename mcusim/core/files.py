"""Files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mcusim.core.errors import SaveFailed


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path`` and put it in place when the block succeeds.

    The data is flushed to the disk before the rename, so a crash or a power cut leaves
    either the old file or the new one, never half of one. The file can be read too.

    Raises:
        SaveFailed: when the disk is full or the place cannot be written; ``path`` is untouched.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise SaveFailed(str(path), _why(error), "choose another place or free some space") from error
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise SaveFailed(str(path), _why(error), "choose another place or free some space") from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _why(error: OSError) -> str:
    return f"cannot be written: {error.strerror or error}"
