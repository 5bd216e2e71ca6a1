"""Writes FlatBuffers field by field: the counterpart of `mcusim.files.tflite.flatbuffer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import MissingPackage


class Writer:
    """Builds a FlatBuffer from the leaves up; fields are numbered as in the schema.

    Raises:
        MissingPackage: if ``flatbuffers`` is not installed.
    """

    def __init__(self) -> None:
        try:
            import flatbuffers
        except ImportError as error:
            raise MissingPackage("flatbuffers", "writing a .tflite file", "tflite") from error
        self._builder = flatbuffers.Builder(1 << 16)

    def array(self, values: NDArray[Any] | Sequence[int], dtype: str, *, alignment: int | None = None) -> int:
        """Write a vector of numbers and return its offset."""
        data = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<"))
        size = data.dtype.itemsize
        builder = self._builder
        builder.StartVector(size, data.size, alignment or size)
        builder.head = builder.Head() - data.nbytes
        builder.Bytes[builder.Head() : builder.Head() + data.nbytes] = data.tobytes()
        return int(builder.EndVector())

    def text(self, value: str) -> int:
        """Write a text and return its offset."""
        return int(self._builder.CreateString(value))

    def offsets(self, items: Sequence[int]) -> int:
        """Write a vector of tables or texts and return its offset."""
        self._builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self._builder.PrependUOffsetTRelative(item)
        return int(self._builder.EndVector())

    def table(self, **fields: tuple[int, str, Any]) -> int:
        """Write a table and return its offset.

        Each field is (number, kind, value); the kind is ``offset``, ``int8``, ``int32``, ``uint32``,
        ``float32`` or ``bool``. Names are for the reader of the code.
        """
        builder = self._builder
        builder.StartObject(1 + max((number for number, _, _ in fields.values()), default=-1))
        for number, kind, value in fields.values():
            if kind == "offset":
                builder.PrependUOffsetTRelativeSlot(number, value, 0)
                continue
            prepend = {
                "int8": builder.PrependInt8Slot,
                "uint8": builder.PrependUint8Slot,
                "int32": builder.PrependInt32Slot,
                "uint32": builder.PrependUint32Slot,
                "float32": builder.PrependFloat32Slot,
                "bool": builder.PrependBoolSlot,
            }[kind]
            prepend(number, value, 0)
        return int(builder.EndObject())

    def finish(self, root: int, identifier: bytes) -> bytes:
        """Return the finished file."""
        self._builder.Finish(root, file_identifier=identifier)
        return bytes(self._builder.Output())
