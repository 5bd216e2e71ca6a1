"""What an event is: its columns, its kinds, and the version of both.

========  =========  ==================================================================
column    type       meaning
========  =========  ==================================================================
seq       int64      position in the trace, from 0, one more each row
cycle     int64      processor cycles since the recording began; never decreases
step      int64      training step, from 0; never decreases
phase     category   :class:`~mcusim.core.vocabulary.Phase` of the op, or empty
event     category   :class:`EventKind`
region    category   :class:`~mcusim.core.vocabulary.Region` the bytes lie in, or empty
role      category   :class:`~mcusim.core.vocabulary.Role` of the bytes, or empty
tensor    category   name of the tensor, or empty
op        category   name of the op during which it happened, or empty
offset    int64      address in the region in bytes, or -1 where there is none
bytes     int64      size in bytes, or 0 where there is none
========  =========  ==================================================================

A block is named by its region and tensor: between its ``alloc`` and its ``free`` no other
``alloc`` of the same two may occur. ``free`` repeats the offset of its ``alloc`` and says
which role and how many bytes it had last, so every row can be read by itself. An op that works in place
keeps the block of its input: a ``shrink`` gives it the role and the size of the output. An output that grows
over its input is a block of its own: a ``yield`` takes from the input what both share, just before the
output's ``alloc``, and the ``free`` of the input repeats what the ``yield`` left.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from mcusim.core.vocabulary import Phase, Region, Role

SCHEMA_VERSION: Final = 1
"""Grows by one when a column, a kind, or the meaning of either changes."""

NO_OFFSET: Final = -1


class EventKind(StrEnum):
    """What happened."""

    ALLOC = "alloc"
    """``bytes`` at ``offset`` of ``region`` become ``tensor``."""
    FREE = "free"
    """The block that ``tensor`` names is given back."""
    SHRINK = "shrink"
    """The block that ``tensor`` names from now on has ``role`` and only its first ``bytes`` bytes."""
    OP_START = "op_start"
    OP_END = "op_end"
    FLASH_ERASE = "flash_erase"
    """``bytes`` from ``offset`` in flash are erased."""
    FLASH_WRITE = "flash_write"
    """``bytes`` from ``offset`` in flash are programmed with ``tensor``."""
    STEP_START = "step_start"
    STEP_END = "step_end"
    SELECT = "select"
    """A part of ``tensor``, ``bytes`` large, was chosen to learn in this step by ``op``'s layer."""
    YIELD = "yield"
    """The block that ``tensor`` names gives up its first bytes, down to the last ``bytes`` at ``offset``: the
    block allocated next grows over what it gave up, while one op reads the one and writes the other."""


class Event(NamedTuple):
    """One row, decoded."""

    seq: int
    cycle: int
    step: int
    phase: str
    event: str
    region: str
    role: str
    tensor: str
    op: str
    offset: int
    bytes: int


COLUMNS: Final = Event._fields
INTEGERS: Final = ("seq", "cycle", "step", "offset", "bytes")
ENUMERATED: Final[dict[str, tuple[str, ...]]] = {
    "phase": ("", *(k.value for k in Phase)),
    "event": ("", *(k.value for k in EventKind)),
    "region": ("", *(k.value for k in Region)),
    "role": ("", *(k.value for k in Role)),
}
"""The vocabularies that are part of the schema. A column holds indices into its vocabulary; 0 is empty."""

NAMED: Final = ("tensor", "op")
"""Columns whose vocabulary belongs to the table; there too index 0 is the empty name."""

CODES: Final[dict[str, dict[str, int]]] = {
    column: {word: code for code, word in enumerate(words)} for column, words in ENUMERATED.items()
}
"""Column and word to index: ``CODES["event"]["alloc"] == 1``."""
