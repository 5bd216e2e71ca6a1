"""The ground of readers of pickles: what a pickle takes of memory and time is bounded by its length."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn


class BoundedUnpickler(pickle._Unpickler):
    """An unpickler that allocates nothing because of a number in a pickle; who derives it knows the names.

    It is the one in Python: that in C makes its table of memos as long as an index of a few bytes says, and
    reads frames otherwise than ``pickletools``, so that no look at a pickle beforehand can tell.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        """Refuse; who derives this class says what stands for the names that it knows."""
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse what lies outside the pickle."""
        raise pickle.UnpicklingError(f"it refers to the outside object {str(pid)[:60]!r}")

    def _no_array(self) -> NoReturn:
        raise pickle.UnpicklingError("it holds a bytearray")

    # As long as a number says, before a byte of it has been seen.
    dispatch[pickle.BYTEARRAY8[0]] = _no_array
