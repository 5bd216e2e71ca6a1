"""Downloads a public model or data set into the user's cache: whole and verified, or not at all.

A download that breaks off leaves what has arrived in a ``.part`` file, from which the next one goes on.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any

from mcusim.core import BadData, SaveFailed
from mcusim.core.cache import cache_dir
from mcusim.core.lock import BUSY, lock
from mcusim.files.registry import Download, entry

CHUNK = 1 << 18
TIMEOUT_S = 60
"""Longest time without a byte."""
DEADLINE_S = 3600.0
"""Longest time of a whole download, however slowly bytes arrive."""
UNSTATED_LIMIT = 64 * 1024**2
"""Largest download of an entry that does not state its size."""
AGAIN = "try again: it goes on from there"

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and the bytes to come in all, if known."""
Opener = Callable[[str, int], Any]
"""Opens a URL for reading, from a byte on if the server can: its answer then has the status 206."""


def fetch(
    what: str | Download,
    *,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    opener: Opener | None = None,
    deadline_s: float = DEADLINE_S,
) -> Path:
    """Return the path of a public file, downloading it if it is not there or not what it should be.

    Args:
        what: a name in the registry, or an entry of it.
        folder: where to keep it; the user's cache if None.
        progress: called after every chunk.
        opener: opens a URL for reading from a byte on; ``urllib.request.urlopen`` with a time-out if None.
        deadline_s: seconds that the download may take in all.

    Raises:
        UnknownName: if the name is not in the registry.
        BadData: if the download fails or is not the file the registry describes. What has arrived is kept for
            the next try, unless it is wrong.
        SaveFailed: if the place cannot be written or the disk is full; nothing is left behind.
    """
    found = entry(what) if isinstance(what, str) else what
    path = Path(folder or cache_dir()) / found.file
    if path.is_file() and _fits(path, found):
        return path
    part = path.with_name(f".{path.name}.{found.sha256[:16]}.part")
    with _partial(part) as file:
        _Transfer(found, file, progress, monotonic() + deadline_s).run(opener or _open)
        file.flush()
        os.fsync(file.fileno())
        os.replace(part, path)
    return path


def _open(url: str, start: int) -> Any:
    about = {"User-Agent": "mcusim", **({"Range": f"bytes={start}-"} if start else {})}
    return urllib.request.urlopen(urllib.request.Request(url, headers=about), timeout=TIMEOUT_S)


def _fits(path: Path, found: Download) -> bool:
    if found.bytes is not None and path.stat().st_size != found.bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == found.sha256


class _Wrong(BadData):
    """What has arrived is not what should, and no use for another try."""


@contextmanager
def _partial(part: Path) -> Iterator[IO[bytes]]:
    """Hold a file that a download goes into, and remove it unless the download can go on from it."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as file:
            lock(file)
            try:
                yield file
            except _Wrong as error:
                part.unlink(missing_ok=True)
                raise BadData(error.thing, error.reason, error.way_out) from error
    except OSError as error:
        if isinstance(error, SaveFailed):
            raise
        if error.errno in BUSY:
            raise BadData(str(part), "is being written by another download", "wait for it") from error
        with suppress(OSError):
            part.unlink(missing_ok=True)
        reason = f"cannot be written: {error.strerror or error}"
        raise SaveFailed(str(part), reason, "choose another place or free some space") from error


class _Transfer:
    """One download, from what has arrived before."""

    def __init__(self, found: Download, file: IO[bytes], progress: Progress | None, deadline: float) -> None:
        self._found, self._file, self._progress, self._deadline = found, file, progress, deadline
        self._limit = found.bytes or UNSTATED_LIMIT
        self._digest, self._count = hashlib.sha256(), 0

    def run(self, opener: Opener) -> None:
        """Let the file become the whole one.

        Raises:
            BadData: if it does not; ``_Wrong`` if another try must begin anew.
            OSError: of the disk, not of the network.
        """
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            self._take(chunk)
        if self._count >= self._limit:
            self._forget()
        source = self._opened(opener)
        with closing(source):
            promised = self._promised(source)
            while chunk := self._read(source):
                self._take(chunk)
                if self._count > self._limit:
                    raise self._bad(f"is larger than {self._limit:,} B", wrong=True)
                self._file.write(chunk)
                if self._progress is not None:
                    self._progress(self._count, self._found.bytes or promised or None)
                if monotonic() > self._deadline:
                    raise self._bad(f"takes too long: {self._count:,} B have arrived", AGAIN)
        if self._count < (self._found.bytes or promised):
            of = self._found.bytes or promised
            raise self._bad(f"broke off: ended after {self._count:,} of {of:,} B", AGAIN)
        if self._digest.hexdigest() != self._found.sha256:
            raise self._bad(f"has SHA-256 {self._digest.hexdigest()}, not {self._found.sha256}", wrong=True)

    def _opened(self, opener: Opener) -> Any:
        try:
            source = opener(self._found.url, self._count)
        except (OSError, http.client.HTTPException, ValueError) as error:
            way_out = f"check the network and {AGAIN}" if self._count else "check the network and try again"
            raise self._bad(f"cannot be downloaded: {error}", way_out) from error
        if self._count and not self._goes_on(source):
            self._forget()
        return source

    def _goes_on(self, source: Any) -> bool:
        """Return True if the server sends what is missing, False if it sends all."""
        if getattr(source, "status", None) != http.client.PARTIAL_CONTENT:
            return False
        where = str(source.headers.get("Content-Range", ""))
        if not where.startswith(f"bytes {self._count}-"):
            raise self._bad(f"answers with another part than was asked for: {where!r}", wrong=True)
        return True

    def _promised(self, source: Any) -> int:
        """Return the bytes that there will be, as far as the server says."""
        length = str(getattr(source, "headers", {}).get("Content-Length", ""))
        return self._count + int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0

    def _read(self, source: Any) -> bytes:
        # Apart from writing: an error here is the network's, not the disk's. As soon as there is something: a
        # server that sends a byte a minute must not hold a read for hours.
        try:
            chunk: bytes = getattr(source, "read1", source.read)(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise self._bad(f"broke off: {error}", AGAIN) from error
        return chunk

    def _take(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._count += len(chunk)

    def _forget(self) -> None:
        self._file.truncate(0)
        self._digest, self._count = hashlib.sha256(), 0

    def _bad(self, reason: str, way_out: str = "", *, wrong: bool = False) -> BadData:
        if wrong:
            return _Wrong(self._found.url, reason, "the file at that address has changed; nothing was kept")
        return BadData(self._found.url, reason, way_out)
