"""How large what a trace file promises may be, before it is believed."""

from __future__ import annotations

from typing import Final

GROUP: Final = 1 << 18
"""Events in a group of a file; the unit in which it is written, read and replayed. About 15 MiB in memory."""

MAX_ROWS: Final = 1 << 40
MAX_LOADED: Final = 1 << 26
"""Events that a table in memory may have: 3.5 GB."""

MAX_NAMES: Final = 1 << 20
"""Different names of tensors or ops in a trace."""

MAX_NAME: Final = 4096
"""Characters of one name."""

MAX_HEADER: Final = 1 << 20
"""Bytes of a header."""
