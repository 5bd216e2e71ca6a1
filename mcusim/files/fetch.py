"""Downloads a public model or data set into the user's cache: whole and verified, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from mcusim.core import BadData
from mcusim.core.cache import cache_dir
from mcusim.core.files import replacing
from mcusim.files.registry import Download, entry

CHUNK = 1 << 18
TIMEOUT_S = 60
UNSTATED_LIMIT = 64 * 1024**2
"""Largest download of an entry that does not state its size."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and the bytes to come in all, if known."""
Opener = Callable[[str], Any]


def fetch(
    what: str | Download,
    *,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    opener: Opener | None = None,
) -> Path:
    """Return the path of a public file, downloading it if it is not there or not what it should be.

    Args:
        what: a name in the registry, or an entry of it.
        folder: where to keep it; the user's cache if None.
        progress: called after every chunk.
        opener: opens a URL for reading; ``urllib.request.urlopen`` with a time-out if None.

    Raises:
        UnknownName: if the name is not in the registry.
        BadData: if the download fails or is not the file the registry describes; nothing is left behind.
        SaveFailed: if the place cannot be written or the disk is full.
    """
    found = entry(what) if isinstance(what, str) else what
    path = Path(folder or cache_dir()) / found.file
    if path.is_file() and _fits(path, found):
        return path
    with replacing(path) as file:
        _download(found, file, progress, opener or _open)
    return path


def _open(url: str) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "mcusim"})
    return urllib.request.urlopen(request, timeout=TIMEOUT_S)


def _fits(path: Path, found: Download) -> bool:
    if found.bytes is not None and path.stat().st_size != found.bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == found.sha256


def _download(found: Download, file: IO[bytes], progress: Progress | None, opener: Opener) -> None:
    limit = found.bytes or UNSTATED_LIMIT
    digest, count = hashlib.sha256(), 0
    try:
        source = opener(found.url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise BadData(
            found.url, f"cannot be downloaded: {error}", "check the network and try again"
        ) from error
    with closing(source):
        while chunk := _read(source, found.url):
            count += len(chunk)
            if count > limit:
                raise BadData(
                    found.url, f"is larger than {limit:,} B", "the file at that address has changed"
                )
            file.write(chunk)
            digest.update(chunk)
            if progress is not None:
                progress(count, found.bytes)
    if found.bytes is not None and count != found.bytes:
        raise BadData(found.url, f"ended after {count:,} of {found.bytes:,} B", "try again")
    if digest.hexdigest() != found.sha256:
        raise BadData(
            found.url,
            f"has SHA-256 {digest.hexdigest()}, not {found.sha256}",
            "the file at that address has changed; nothing was kept",
        )


def _read(source: Any, url: str) -> bytes:
    # Apart from writing: an error here is the network's, not the disk's.
    try:
        chunk: bytes = source.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise BadData(url, f"broke off: {error}", "try again") from error
    return chunk
