"""A page that is served while something runs: on this machine alone, to who knows its address, read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import compare_digest, token_urlsafe
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

LOOPBACK: Final = "127.0.0.1"
PAUSE_S: Final = 1.0
"""Seconds between two drawings."""
GONE_S: Final = 10.0
"""Who has not asked for so long has closed the page."""
LAST_S: Final = 4.0
"""So long an end waits for who looks, so that the last state is seen."""
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
        "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Live:
    """Serves one page on a free port of the loopback, under an address nobody can guess.

    The page is drawn by who calls ``show``, never by the server; ``redrawn`` draws in a thread of its own,
    from what may be read there. Nothing that is asked for changes anything.

    Args:
        text: the page until there is a newer one.
    """

    def __init__(self, text: str) -> None:
        self._text, self._drawn, self._asked = text.encode(), 0.0, 0.0
        self._fetched = Event()
        self._token = token_urlsafe(18)
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="mcusim live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._looked_at:
            self._fetched.wait(LAST_S)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{LOOPBACK}:{self._server.server_port}/{self._token}/"

    @property
    def _looked_at(self) -> bool:
        return monotonic() - self._asked < GONE_S and self._asked > 0

    def due(self) -> bool:
        """Return True if somebody looks, and the page is older than a second."""
        return self._looked_at and monotonic() - self._drawn >= PAUSE_S

    def show(self, text: str) -> None:
        """Serve another page from now on."""
        self._text, self._drawn = text.encode(), monotonic()
        self._fetched.clear()

    @contextmanager
    def redrawn(self, draw: Callable[[], str]) -> Iterator[None]:
        """Draw the page anew in the background while somebody looks, about once a second.

        Args:
            draw: returns the page; it reads nothing that changes under it.
        """
        ended = Event()

        def again() -> None:
            while not ended.wait(PAUSE_S / 4):
                if self.due():
                    self.show(draw())

        thread = Thread(target=again, name="mcusim live page", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        live = self

        class Handler(BaseHTTPRequestHandler):
            server_version, sys_version = "mcusim", ""

            def do_GET(self) -> None:
                port = live._server.server_port
                # A page of another site may know the port, and make a name of its own mean this machine.
                known = self.headers.get("Host") in (f"{LOOPBACK}:{port}", f"localhost:{port}")
                if not known or not compare_digest(self.path, f"/{live._token}/"):
                    self.send_error(404)
                    return
                live._asked = monotonic()
                text = live._text
                self.send_response(200)
                for name, value in HEADERS.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                if text is live._text:
                    live._fetched.set()

            def log_message(self, format: str, *words: Any) -> None:
                """Say nothing: stderr is that of the verb."""

        return Handler
