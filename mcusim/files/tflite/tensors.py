"""TFLite tensors to tensors of the graph; 8-bit unsigned ones become signed, exactly."""

from __future__ import annotations

import warnings
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.files.tflite.flatbuffer import Buffer, FlatTable
from mcusim.files.tflite.schema import HALF, OTHER_TYPES, RESOURCE, TYPES
from mcusim.graph import Quant, Tensor
from mcusim.graph.validate import check_tensor

MAX_RANK = 8
MAX_TENSORS = 20_000

# Field numbers of the tables Tensor, QuantizationParameters and Buffer.
_SHAPE, _TYPE, _BUFFER, _NAME, _QUANTIZATION, _IS_VARIABLE, _SPARSITY, _SIGNATURE = range(8)
_SCALE, _ZERO_POINT, _DETAILS_TYPE, _AXIS = 2, 3, 4, 6
_DATA, _OFFSET = 0, 1


def read_tensors(
    buffer: Buffer, subgraph: FlatTable, buffers: list[FlatTable]
) -> tuple[list[Tensor], set[str]]:
    """Return a subgraph's tensors in order, each under a unique name, and which of them were uint8.

    A uint8 tensor becomes int8 by subtracting 128 from its values and its zero point, which changes no
    real value.

    Raises:
        BadModel: names the tensor that is damaged or of a kind that is not supported.
    """
    tensors: list[Tensor] = []
    names: set[str] = set()
    unsigned: set[str] = set()
    misplaced: list[str] = []
    for i, table in enumerate(subgraph.tables(0, MAX_TENSORS)):
        name = table.text(_NAME) or f"tensor_{i}"
        if name in names:
            name = f"{name}#{i}"
        names.add(name)
        try:
            tensor = _read(table, name, buffers, misplaced)
            check_tensor(tensor)
        except BadModel as error:
            raise BadModel(f"{buffer.where}: {error.thing}", error.reason, error.way_out) from None
        tensors.append(_signed(tensor))
        if tensor.dtype != tensors[-1].dtype:
            unsigned.add(name)
    if misplaced:
        warnings.warn(
            f"{buffer.where}: {misplaced[0]} and {len(misplaced) - 1} more have one dimension and claim to "
            "be quantised along another; read as dimension 0, as TFLite Micro does (LiteRT refuses the file)",
            stacklevel=2,
        )
    return tensors, unsigned


def variables_of(subgraph: FlatTable) -> set[int]:
    """Return the numbers of the tensors that an operator keeps from one invocation to the next."""
    tables = subgraph.tables(0, MAX_TENSORS)
    return {i for i, table in enumerate(tables) if table.boolean(_IS_VARIABLE)}


def _read(table: FlatTable, name: str, buffers: list[FlatTable], misplaced: list[str]) -> Tensor:
    thing = f"tensor {name!r}"
    shape = tuple(int(s) for s in _short(table, _SHAPE, "<i4", thing))
    signature = _short(table, _SIGNATURE, "<i4", thing)
    if len(shape) > 1 and shape[0] in (0, -1):  # any number of examples, of which a device sees one
        shape = (1, *shape[1:])
    # A free batch dimension is usual: it becomes the 1 that the shape says.
    if any(s < 0 for s in signature[1:]):
        raise BadModel(thing, f"has the dynamic shape {signature.tolist()}", "fix all sizes when converting")
    code = table.integer(_TYPE, 1, signed=False)
    if code == RESOURCE:
        return Tensor(name, shape, "int32")  # a number by which a runtime knows the variable
    if code == HALF:
        return _half(table, name, shape, buffers)
    if code not in TYPES:
        kind = OTHER_TYPES.get(code, f"number {code}")
        raise BadModel(thing, f"has element type {kind}", f"supported: {', '.join(TYPES.values())}")
    if table.has(_SPARSITY):
        raise BadModel(thing, "is sparse", "export the network without sparsity")
    data = _values(table, thing, shape, TYPES[code], buffers)
    quant = _quant(table.table(_QUANTIZATION), thing, shape, misplaced)
    return Tensor(name, shape, TYPES[code], quant, data)


def _half(table: FlatTable, name: str, shape: tuple[int, ...], buffers: list[FlatTable]) -> Tensor:
    """Return a float16 constant, as which files keep weights, in float32: every value has its like there."""
    data = _values(table, f"tensor {name!r}", shape, "float16", buffers)
    if data is None:
        reason = "is a float16 activation"
        raise BadModel(f"tensor {name!r}", reason, "convert it with float32 or 8-bit activations")
    return Tensor(name, shape, "float32", None, data.astype(np.float32))


def _short(table: FlatTable, field: int, dtype: str, thing: str) -> NDArray[Any]:
    values = table.array(field, dtype)
    if len(values) > MAX_RANK:
        raise BadModel(thing, f"has {len(values)} dimensions", f"at most {MAX_RANK} are supported")
    return values


def _values(
    table: FlatTable, thing: str, shape: tuple[int, ...], dtype: str, buffers: list[FlatTable]
) -> NDArray[Any] | None:
    index = table.integer(_BUFFER, 4, signed=False)
    if index >= len(buffers):
        raise BadModel(thing, f"names buffer {index} of {len(buffers)}", "the file is damaged")
    if buffers[index].integer(_OFFSET, 8, signed=False) > 1:
        raise BadModel(
            thing, "keeps its values outside the flatbuffer", "such files are for models over 2 GB"
        )
    raw = buffers[index].array(_DATA, "u1")
    if not len(raw):
        return None
    if min(shape, default=1) < 1 or prod(shape) * np.dtype(dtype).itemsize != len(raw):
        raise BadModel(thing, f"of shape {shape} and type {dtype} has {len(raw):,} B of values")
    if dtype == "bool":
        return np.asarray(raw.reshape(shape) != 0)
    # A view of the file where that is aligned, which it need not be.
    array = raw.view(np.dtype(dtype).newbyteorder("<")).reshape(shape)
    return np.require(array, np.dtype(dtype), ["A", "C"])


def _quant(table: FlatTable | None, thing: str, shape: tuple[int, ...], misplaced: list[str]) -> Quant | None:
    if table is None:
        return None
    scale = table.array(_SCALE, "f4")
    if table.integer(_DETAILS_TYPE, 1, signed=False):
        raise BadModel(thing, "has a custom quantisation", "only scales and zero points are supported")
    if not len(scale):
        return None
    zero_points = table.array(_ZERO_POINT, "i8")
    if len(zero_points) not in (0, 1, len(scale)):
        raise BadModel(thing, f"has {len(scale)} scales and {len(zero_points)} zero points")
    scale = scale.astype(np.float32)
    if len(scale) == 1:
        # One channel quantised by itself is the same as one scale for all.
        return Quant(scale, int(zero_points[0]) if len(zero_points) else 0)
    if zero_points.any():
        raise BadModel(thing, "has scales per channel and zero points", "per-channel tensors are symmetric")
    axis = table.integer(_AXIS, 4)
    if not 0 <= axis < len(shape) and shape == (len(scale),):
        misplaced.append(thing)
        axis = 0
    return Quant(scale, 0, axis)


def _signed(tensor: Tensor) -> Tensor:
    if tensor.dtype != "uint8" or tensor.quant is None:
        return tensor
    if tensor.quant.per_channel:
        raise BadModel(f"tensor {tensor.name!r}", "is uint8 with scales per channel", "use int8")
    quant = replace(tensor.quant, zero_point=tensor.quant.zero_point - 128)
    data = None
    if tensor.data is not None:
        # An array even where it has no dimensions, of which numpy would make a scalar.
        data = np.asarray(np.asarray(tensor.data) ^ np.uint8(128)).view(np.int8)
        data.flags.writeable = False
    return replace(tensor, dtype="int8", quant=quant, data=data)
