"""Several arrays side by side as one: a record an example, a field for each input or output of a network.

One array of records passes wherever one of plain examples does: it is indexed, counted, stacked and copied
the same way, so that only whoever feeds a network, or compares its outputs, has to know of fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.errors import BadData

Array = NDArray[Any]


def joined(what: str, parts: Mapping[str, Array]) -> Array:
    """Return arrays ``[N, ...]`` as one array of N records, in the order of ``parts``.

    Raises:
        BadData: if there are none, or if they do not have one entry for each example; ``what`` names them.
    """
    counts = {name: len(part) if np.ndim(part) else 0 for name, part in parts.items()}
    if not parts or len(set(counts.values())) != 1:
        found = ", ".join(f"{name!r} {count}" for name, count in counts.items())
        raise BadData(what, f"have different numbers of examples: {found}", "give as many of each")
    kinds = [(name, part.dtype, part.shape[1:]) for name, part in parts.items()]
    records = np.empty(next(iter(counts.values())), np.dtype(kinds))
    for name, part in parts.items():
        records[name] = part
    return records


def names_of(array: Array | None) -> tuple[str, ...]:
    """Return the names of the fields; empty for a plain array."""
    return () if array is None else array.dtype.names or ()


def renamed(array: Array, names: Sequence[str]) -> Array:
    """Return records with fields called ``0``, ``1`` … called by these names; anything else as it is."""
    known = names_of(array)
    numbers = {str(place): name for place, name in enumerate(names) if name not in known}
    if not numbers.keys() & set(known):
        return array
    kind = np.dtype([(numbers.get(name, name), array.dtype[name]) for name in known])
    return array.view(kind)


def field_of(array: Array, name: str, what: str) -> Array:
    """Return the field called ``name``; plain arrays as they are.

    Raises:
        BadData: if records have no such field; ``what`` names them.
    """
    known = names_of(array)
    if not known:
        return array
    if name in known:
        return np.asarray(array[name])
    raise BadData(f"the {what}", f"have no part {name!r}", f"they have {', '.join(map(repr, known))}")
