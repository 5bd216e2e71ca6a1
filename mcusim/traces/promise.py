"""What a trace file says of itself before its events are read."""

from __future__ import annotations

from typing import NamedTuple

from mcusim.events import Header


class Promise(NamedTuple):
    """The header, the number of events, and the digest of both with the events."""

    header: Header
    rows: int
    content: str
    """See ``ContentDigest``; empty where the file gives none, as text that a person wrote."""
