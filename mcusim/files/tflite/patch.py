"""Learned weights put back into the ``.tflite`` file that a network came from; nothing else changes.

Operators, names, metadata, signatures and whatever else the file has stay byte for byte: values are written
over those that were there. Converters let tensors with equal values share a buffer; where they are equal no
longer, one of them gets a buffer of its own at the end of the file, in the place of an empty one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from mcusim.core import BadModel
from mcusim.files.tflite.flatbuffer import Buffer, FlatTable
from mcusim.files.tflite.reader import parse_tflite
from mcusim.files.tflite.schema import IDENTIFIER
from mcusim.files.tflite.tensors import MAX_TENSORS, read_tensors
from mcusim.graph import Model, Tensor
from mcusim.graph.batch import single

ANEW = "save it without like=, as a file of its own"
_BUFFERS, _METADATA_BUFFERS, _METADATA = 4, 5, 6
_TENSOR_BUFFER, _DATA = 2, 0
_ALIGNMENT = 16


def patched(data: bytes, name: str, model: Model) -> bytes:
    """Return a ``.tflite`` file with the constants of a network in it.

    Args:
        data: the file that the network was loaded from.
        name: of that file, for messages.
        model: the same network with other weights and biases.

    Raises:
        BadModel: if it is another network: another head, resolution or ops; or if the file computes a
            weight that has changed from others.
    """
    _require_same(model, single(parse_tflite(data, name)), name)
    buffer = Buffer(data, name)
    root = buffer.root(IDENTIFIER)
    subgraph = root.tables(2, 1_000)[0]  # others, if any, give variables their first values
    tensors, unsigned = read_tensors(buffer, subgraph, root.tables(_BUFFERS, 2 * MAX_TENSORS))
    changed = _changed(model, tensors, unsigned, name)
    return _Patch(data, buffer, root, subgraph).written(changed) if changed else data


def _require_same(model: Model, original: Model, name: str) -> None:
    for mine, theirs in zip(model.ops, original.ops, strict=False):
        if mine != theirs:
            raise BadModel(f"{model.name}: op {mine.name!r}", f"is not that of {name}", ANEW)
    ends = (model.inputs, model.outputs, len(model.ops))
    if ends != (original.inputs, original.outputs, len(original.ops)):
        raise BadModel(model.name, f"has other ops, inputs or outputs than {name}", ANEW)


def _changed(model: Model, tensors: list[Tensor], unsigned: set[str], name: str) -> dict[int, bytes]:
    """Return the new bytes of the tensors of the file whose values are other ones, by their number."""
    numbers = {tensor.name: number for number, tensor in enumerate(tensors)}
    found: dict[int, bytes] = {}
    for tensor in model.tensors.values():
        if tensor.data is None:
            continue
        number = numbers.get(tensor.name, numbers.get(tensor.name.rpartition("#")[0]))
        old = None if number is None else tensors[number]
        if number is None or old is None or old.data is None:
            continue  # folded to a constant when it was loaded: it is no parameter
        if (old.shape, old.dtype) != (tensor.shape, tensor.dtype):
            what = f"{tensor.dtype} {list(tensor.shape)}"
            raise BadModel(
                f"tensor {tensor.name!r}", f"is {what}, in {name} {old.dtype} {list(old.shape)}", ANEW
            )
        values = np.ascontiguousarray(tensor.data)
        raw = values.tobytes()
        if raw != np.ascontiguousarray(old.data).tobytes():
            if old.name in unsigned:
                raw = (values.view(np.uint8) ^ np.uint8(128)).tobytes()
            if found.setdefault(number, raw) != raw:
                raise BadModel(
                    f"tensor {old.name!r}", f"is shared in {name}, and has learned two values", ANEW
                )
    return found


class _Patch:
    """A file that is being written over."""

    def __init__(self, data: bytes, buffer: Buffer, root: FlatTable, subgraph: FlatTable) -> None:
        self._data, self._buffer = bytearray(data), buffer
        self._tensors = subgraph.tables(0, MAX_TENSORS)
        self._buffers = root.tables(_BUFFERS, 2 * MAX_TENSORS)
        at = root.place(_BUFFERS)
        assert at is not None
        self._entries = buffer.vector(buffer.follow(at), 4)[0]
        self._users: dict[int, list[int | None]] = defaultdict(list)
        """Numbers of the tensors that use each buffer; ``None`` for anything else."""
        for number, table in enumerate(self._tensors):
            self._users[table.integer(_TENSOR_BUFFER, 4, signed=False)].append(number)
        others = [int(i) for i in root.array(_METADATA_BUFFERS, "<i4")]
        others += [t.integer(1, 4, signed=False) for t in root.tables(_METADATA, MAX_TENSORS)]
        for index in others:
            self._users[index].append(None)

    def written(self, changed: Mapping[int, bytes]) -> bytes:
        """Return the file with the values of some tensors replaced."""
        for number, raw in changed.items():
            index = self._tensors[number].integer(_TENSOR_BUFFER, 4, signed=False)
            if any(user is None or changed.get(user) != raw for user in self._users[index]):
                self._move(number, raw)
            else:
                start, _ = self._vector(index)
                self._data[start : start + len(raw)] = raw
        return bytes(self._data)

    def _vector(self, index: int) -> tuple[int, int]:
        at = self._buffers[index].place(_DATA)
        assert at is not None  # it has values
        return self._buffer.vector(self._buffer.follow(at), 1)

    def _move(self, number: int, raw: bytes) -> None:
        """Give one tensor a buffer of its own."""
        empty = (
            index
            for index, users in self._users.items()
            if index and len(users) == 1 and users[0] is not None
            if self._buffers[index].place(_DATA) is None
        )
        spare = next(empty, None)
        if spare is None:
            raise BadModel(
                self._buffer.where, "lets tensors share values that differ now, and has no empty buffer", ANEW
            )
        self._point(self._users.pop(spare)[0], 0)  # an activation: buffer 0 is empty by definition
        self._point(number, spare)
        table = self._append(raw)
        entry = self._entries + 4 * spare
        self._data[entry : entry + 4] = (table - entry).to_bytes(4, "little")

    def _point(self, tensor: int | None, index: int) -> None:
        assert tensor is not None
        at = self._tensors[tensor].place(_TENSOR_BUFFER)
        assert at is not None  # its buffer is not number 0
        self._data[at : at + 4] = index.to_bytes(4, "little")

    def _append(self, raw: bytes) -> int:
        """Write a table ``Buffer`` with these values at the end, and return where it is."""
        data = self._data
        # vtable (two fields of its own and one offset), table (vtable, data), then the vector, aligned.
        vtable = -(-len(data) // _ALIGNMENT) * _ALIGNMENT
        table, count = vtable + 8, vtable + 28
        data.extend(bytes(count - len(data)))
        data[vtable : vtable + 6] = b"".join(n.to_bytes(2, "little") for n in (6, 8, 4))
        data[table : table + 4] = (table - vtable).to_bytes(4, "little", signed=True)
        data[table + 4 : table + 8] = (count - table - 4).to_bytes(4, "little")
        data.extend(len(raw).to_bytes(4, "little"))
        data.extend(raw)
        return table
