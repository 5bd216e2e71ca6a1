"""Downloads from a server that is slow, breaks off, lies, or serves what no honest archive holds."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep

import pytest

from mcusim.core import BadData, SaveFailed
from mcusim.core.lock import lock
from mcusim.data import cifar10
from mcusim.files.fetch import fetch
from mcusim.files.registry import Download

CONTENT = bytes(range(256)) * 4000
HALF = len(CONTENT) // 2
asked: list[str | None] = []
"""Parts of a file that the server was asked for."""
offered: dict[str, bytes] = {}
"""What the server serves besides."""


class Handler(BaseHTTPRequestHandler):
    """Serves whole or broken, with parts or without, quickly or not."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        asked.append(wanted)
        bodies = {"/more": CONTENT + b"x", "/other": bytes(len(CONTENT)), **offered}
        body = bodies.get(self.path, CONTENT)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = 0
        if wanted and self.path in ("/parts", "/lying"):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            first = start + (1 if self.path == "/lying" else 0)
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        broken = self.path == "/broken" or (self.path in ("/parts", "/whole", "/lying") and not wanted)
        if self.path == "/slow":
            for at in range(100):
                self.wfile.write(body[at : at + 1])
                self.wfile.flush()
                sleep(0.05)
        else:
            self.wfile.write(body[start:HALF] if broken else body[start:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        asked.clear()
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        offered.clear()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


def described(
    url: str, *, size: bool = True, content: bytes = CONTENT, file: str = "models/a.npz"
) -> Download:
    digest = hashlib.sha256(content).hexdigest()
    return Download(
        what="", url=url, file=file, sha256=digest, licence="", bytes=len(content) if size else None
    )


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_good_download_is_kept_and_not_repeated(tmp_path: Path, server: str) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(described(f"{server}/good"), folder=tmp_path, progress=lambda n, of: seen.append((n, of)))
    assert path == tmp_path / "models" / "a.npz"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert left(tmp_path) == [path]

    def closed(_: str, __: int) -> None:
        raise AssertionError("downloads again")

    assert fetch(described(f"{server}/good"), folder=tmp_path, opener=closed) == path
    path.write_bytes(b"damaged")
    seen.clear()
    again = described(f"{server}/good", size=False)
    fetch(again, folder=tmp_path, progress=lambda n, of: seen.append((n, of)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT)), "the server says how much it will be"


@pytest.mark.parametrize("size", [True, False])
@pytest.mark.parametrize("page", ["more", "other"])
def test_what_is_wrong_leaves_nothing_behind(tmp_path: Path, server: str, page: str, size: bool) -> None:
    with pytest.raises(BadData, match=page):
        fetch(described(f"{server}/{page}", size=size), folder=tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("size", [True, False])
@pytest.mark.parametrize("page", ["parts", "whole"])
def test_what_breaks_off_goes_on_where_it_stopped(tmp_path: Path, server: str, page: str, size: bool) -> None:
    """From a server that sends parts; one that does not sends all again."""
    wanted = described(f"{server}/{page}", size=size)
    with pytest.raises(BadData, match=r"broke off.*it goes on from there"):
        fetch(wanted, folder=tmp_path)
    assert [path.stat().st_size for path in left(tmp_path)] == [HALF]
    assert fetch(wanted, folder=tmp_path).read_bytes() == CONTENT
    assert asked == [None, f"bytes={HALF}-"]
    assert len(left(tmp_path)) == 1


def test_what_was_kept_and_is_damaged_is_noticed_and_the_next_try_is_a_fresh_one(tmp_path, server) -> None:
    wanted = described(f"{server}/parts")
    with pytest.raises(BadData, match="broke off"):
        fetch(wanted, folder=tmp_path)
    [part] = left(tmp_path)
    part.write_bytes(bytes(HALF))
    with pytest.raises(BadData, match="SHA-256"):
        fetch(wanted, folder=tmp_path)
    assert left(tmp_path) == []
    part.write_bytes(bytes(len(CONTENT) + 5))  # more than there can be
    with pytest.raises(BadData, match="broke off"):
        fetch(wanted, folder=tmp_path)
    assert fetch(wanted, folder=tmp_path).read_bytes() == CONTENT


def test_a_server_that_sends_another_part_than_it_says_is_refused(tmp_path: Path, server: str) -> None:
    wanted = described(f"{server}/lying")
    with pytest.raises(BadData, match="broke off"):
        fetch(wanted, folder=tmp_path)
    with pytest.raises(BadData, match="another part than was asked for"):
        fetch(wanted, folder=tmp_path)
    assert left(tmp_path) == []


def test_a_server_that_sends_a_byte_now_and_then_does_not_hold_it_for_ever(
    tmp_path: Path, server: str
) -> None:
    began = monotonic()
    with pytest.raises(BadData, match=r"takes too long: [0-9,]+ B have arrived"):
        fetch(described(f"{server}/slow"), folder=tmp_path, deadline_s=0.3)
    assert monotonic() - began < 3
    assert 0 < left(tmp_path)[0].stat().st_size < 100


def test_what_cannot_be_had_is_a_clear_error(tmp_path: Path, server: str) -> None:
    with pytest.raises(BadData, match=r"cannot be downloaded: .*404"):
        fetch(described(f"{server}/missing"), folder=tmp_path)
    with pytest.raises(BadData, match="cannot be downloaded"):
        fetch(described("http://127.0.0.1:9/x"), folder=tmp_path)


def test_one_download_at_a_time_writes_a_file(tmp_path: Path, server: str) -> None:
    wanted = described(f"{server}/parts")
    with pytest.raises(BadData, match="broke off"):
        fetch(wanted, folder=tmp_path)
    with left(tmp_path)[0].open("a+b") as other:
        lock(other)
        with pytest.raises(BadData, match="is being written by another download"):
            fetch(wanted, folder=tmp_path)
    assert fetch(wanted, folder=tmp_path).read_bytes() == CONTENT


def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveFailed, match="No space left on device"):
        fetch(described(f"{server}/good"), folder=tmp_path)
    assert left(tmp_path) == []


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (member("../data_batch_1.bin"), "leads out of it"),
        (member("/etc/data_batch_1.bin"), "leads out of it"),
        (member("a/../../data_batch_1.bin"), "leads out of it"),
        (member("C:\\data_batch_1.bin"), "leads out of it"),
        (member("data_batch_1.bin", tarfile.SYMTYPE, "/etc/passwd"), "is a link or a device"),
        (member("data_batch_1.bin", tarfile.LNKTYPE, "../x"), "is a link or a device"),
        (member("data_batch_1.bin", tarfile.CHRTYPE), "is a link or a device"),
        (member("data_batch_1.bin", tarfile.FIFOTYPE), "is a link or a device"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.name} {value.type!r}",
)
def test_a_fetched_archive_that_is_hostile_is_refused(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, held: tarfile.TarInfo, says: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.addfile(held)
    offered["/evil"] = file.getvalue()
    wanted = described(f"{server}/evil", content=file.getvalue(), file="data/cifar-10-binary.tar.gz")
    path = fetch(wanted, folder=tmp_path / "got")
    with pytest.raises(BadData, match=says):
        cifar10(path)
    assert left(tmp_path) == [path]
