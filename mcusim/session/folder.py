"""The folder of a run: one process at a time, and no run written over another by accident."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from mcusim.core import BadRun, SaveFailed
from mcusim.core.lock import BUSY, lock
from mcusim.session.checkpoint import FILE
from mcusim.session.run import RESULTS, TRACE
from mcusim.traces.recorder import part_of

LOCK = ".lock"


@contextmanager
def run_folder(folder: Path, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold a folder for one run; it is made if it is not there.

    The lock is the operating system's, so that it ends with its process, however that ends.

    Raises:
        BadRun: if another process holds it; if there is nothing to resume; if it holds a run that is
            neither resumed nor to be overwritten.
        SaveFailed: if it cannot be written.
    """
    if resume and not (folder / FILE).is_file():
        raise BadRun(str(folder), "has no checkpoint to resume from", "start the run without resume")
    with held(folder):
        found = [folder / name for name in (FILE, *RESULTS) if (folder / name).exists()]
        if found and not resume and not overwrite:
            way_out = "resume it, overwrite it, or choose another folder"
            raise BadRun(str(folder), "holds a run", way_out)
        # Those of a run that was killed while it wrote them.
        leftovers = [*folder.glob(".*.part")]
        if not resume:
            leftovers = [*found, *leftovers, part_of(folder / TRACE)]
        try:
            for path in leftovers:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _failed(path, error) from error
        yield


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder for this process while the block runs; it is made if it is not there.

    Raises:
        BadRun: if another process holds it.
        SaveFailed: if it cannot be written.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _taken(path)
        file.truncate(0)
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        file.write(json.dumps({"process": os.getpid(), "since": since}, allow_nan=False).encode())
        file.flush()
    except OSError as error:
        if isinstance(error, SaveFailed):
            raise
        raise _failed(folder, error) from error
    try:
        yield
    finally:
        # While it is held: a process that opened it before finds that it is no longer this file.
        with suppress(OSError):
            path.unlink()
        file.close()


def _taken(path: Path) -> IO[bytes]:
    """Return the lock file, open and locked."""
    while True:
        file = open(path, "a+b")  # noqa: SIM115 (closing it ends the lock)
        try:
            lock(file)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except OSError as error:
            holder = _holder(file)
            file.close()
            if error.errno in BUSY:
                way_out = "wait for it, or choose another folder"
                raise BadRun(str(path.parent), f"is in use by {holder}", way_out) from error
            raise
        file.close()


def _holder(file: IO[bytes]) -> str:
    try:
        file.seek(0)
        said = json.loads(file.read(1000))
        return f"process {int(said['process'])} since {said['since']!s:.40}"
    except (OSError, ValueError, TypeError, KeyError):  # it has not said yet
        return "another process"


def _failed(path: Path, error: OSError) -> SaveFailed:
    reason = f"cannot be written: {error.strerror or error}"
    return SaveFailed(str(path), reason, "choose another place or free some space")
