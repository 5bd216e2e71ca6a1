"""What a search may use."""

from __future__ import annotations

from time import monotonic

from mcusim.core import BadArgument
from mcusim.core.counted import tell


class SearchLimit:
    """What a search may use: nodes, and if wanted seconds."""

    def __init__(self, nodes: int, seconds: float | None = None) -> None:
        if seconds is not None and not seconds >= 0:
            raise BadArgument(f"time limit {seconds}", "is not a number of seconds", "give 0 or more")
        self.nodes, self.used = nodes, 0
        self._end = None if seconds is None else monotonic() + seconds
        self._whole: SearchLimit | None = None

    def share(self, nodes: int) -> SearchLimit:
        """Return a limit of so many of these nodes; what is used of it is used of this one too."""
        found = SearchLimit(nodes, self.seconds_left)
        found._whole = self
        return found

    def use(self, nodes: int) -> None:
        """Note that nodes were visited, and tell who listens how many of all."""
        self.used += nodes
        if self._whole is not None:
            self._whole.use(nodes)
        else:
            tell(min(self.used, self.nodes), self.nodes)

    @property
    def left(self) -> int:
        """Nodes that may still be visited; 0 when time is up."""
        return 0 if self.seconds_left == 0 else max(self.nodes - self.used, 0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until time is up, or ``None`` without a limit."""
        return None if self._end is None else max(self._end - monotonic(), 0.0)
