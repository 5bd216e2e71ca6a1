"""The project's own model files: an ``.npz`` of arrays, with one json entry that says what they are.

numpy can open the file; nothing in it is pickled. Equal models give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcusim.core import BadModel
from mcusim.core.files import replacing
from mcusim.files.arrays import decode_array, read_archive, write_archive
from mcusim.graph import Arithmetic, Attributes, Model, Op, OpKind, Preprocessing, Quant, StreamState, Tensor
from mcusim.graph.build import naming
from mcusim.graph.curves import CurveName
from mcusim.graph.validate import validate

SCHEMA = 1
ENTRY = "mcusim.json"
OF_PATCHES = {"part"}
"""Attributes that no op of a network has, only what a step makes of it."""

Number = int | float
Shape = Annotated[tuple[int, ...], Field(max_length=16)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=True)


class _Attributes(_Strict):
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    kernel: tuple[int, int]
    clamp: tuple[Number, Number] | None
    axes: Shape
    pads: Annotated[tuple[tuple[int, int], ...], Field(max_length=16)]
    shape: Shape
    beta: Number
    alpha: Number = 0.0
    align_corners: bool
    half_pixel_centers: bool
    unsigned: bool
    curve: CurveName | None = None
    approximate: bool = False
    fill: Number | None = None
    symmetric: bool = False
    begin: Shape = ()
    step: Shape = ()
    repeats: Shape = ()
    indices: Annotated[tuple[int, ...], Field(max_length=65_536)] = ()
    block: int = 1
    adjoint: tuple[bool, bool] = (False, False)


class _Op(_Strict):
    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: _Attributes


class _Quant(_Strict):
    zero_point: int
    axis: int | None


class _Tensor(_Strict):
    name: str
    shape: Shape
    dtype: str
    quant: _Quant | None
    constant: bool


class _State(_Strict):
    name: str
    after: str
    initial: str


class _Preprocessing(_Strict):
    mean: tuple[Number, ...]
    std: tuple[Number, ...]


class _Model(_Strict):
    name: str
    ops: Annotated[tuple[_Op, ...], Field(max_length=100_000)]
    tensors: Annotated[tuple[_Tensor, ...], Field(max_length=500_000)]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arithmetic: str
    head: str | None
    preprocessing: _Preprocessing
    labels: tuple[str, ...]
    source: str
    states: tuple[_State, ...] = ()


class _File(_Strict):
    format: Literal["mcusim-model"]
    schema_version: Literal[1]
    model: _Model
    extras: tuple[str, ...]
    state: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class SavedModel:
    """What a model file holds: the network, and what training needs to go on."""

    model: Model
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays by name: residuals, master weights, momentum …"""
    state: Mapping[str, Any] = field(default_factory=dict)
    """Plain data that json can hold."""


def save(
    model: Model,
    path: str | Path,
    *,
    extras: Mapping[str, NDArray[Any]] | None = None,
    state: Mapping[str, Any] | None = None,
) -> None:
    """Write a model, and what training needs to go on, to ``path``; the file is whole or not there.

    Raises:
        SaveFailed: if the disk is full or the place cannot be written.
    """
    extras = extras or {}
    arrays: dict[str, NDArray[Any]] = {}
    for i, tensor in enumerate(model.tensors.values()):
        if tensor.data is not None:
            arrays[f"t{i}.data"] = tensor.data
        if tensor.quant is not None:
            arrays[f"t{i}.scale"] = tensor.quant.scale
    arrays.update({f"x{i}": array for i, array in enumerate(extras.values())})
    described = {
        "format": "mcusim-model",
        "schema_version": SCHEMA,
        "model": _describe(model),
        "extras": list(extras),
        "state": dict(state or {}),
    }
    with replacing(path) as file:
        write_archive(file, {ENTRY: json.dumps(described, ensure_ascii=False)}, arrays)


def load_npz(path: str | Path) -> Model:
    """Load the network of a model file; see `read`."""
    return read(path).model


def read(path: str | Path) -> SavedModel:
    """Return all that a model file holds.

    Raises:
        BadModel: if the file is missing, damaged, of another version, or holds no valid network.
    """
    with naming(path):
        return _decode(path, read_archive(path))


def _decode(path: str | Path, entries: Mapping[str, bytes]) -> SavedModel:
    if ENTRY not in entries:
        raise BadModel(str(path), f"has no entry {ENTRY}", "it is no model file of this project")
    try:
        # Checked as JSON, where tuples are lists; numbers keep their kind (-128 stays an integer).
        described = _File.model_validate_json(entries[ENTRY])
    except (ValidationError, RecursionError) as error:
        why = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise BadModel(str(path), f"its description is wrong: {why}", f"expected schema {SCHEMA}") from None

    def array(name: str) -> NDArray[Any]:
        if f"{name}.npy" not in entries:
            raise BadModel(str(path), f"lacks the array {name!r}", "get the file again")
        return decode_array(name, entries[f"{name}.npy"])

    found = described.model
    tensors = {}
    for i, t in enumerate(found.tensors):
        quant = None
        if t.quant is not None:
            scale = array(f"t{i}.scale")
            if scale.dtype not in (np.float32, np.float64) or scale.ndim != 1 or not scale.size:
                raise BadModel(f"{path}: tensor {t.name!r}", f"has scales of {scale.dtype} {scale.shape}")
            quant = Quant(scale, t.quant.zero_point, t.quant.axis)
        data = array(f"t{i}.data") if t.constant else None
        tensors[t.name] = Tensor(t.name, t.shape, t.dtype, quant, data)
    if len(tensors) != len(found.tensors):
        raise BadModel(str(path), "has two tensors of the same name")
    try:
        model = Model(
            name=found.name,
            ops=tuple(
                Op(o.name, OpKind(o.kind), o.inputs, o.output, Attributes(**dict(o.attributes)))
                for o in found.ops
            ),
            tensors=tensors,
            inputs=found.inputs,
            outputs=found.outputs,
            arithmetic=Arithmetic(found.arithmetic),
            head=found.head,
            preprocessing=Preprocessing(found.preprocessing.mean, found.preprocessing.std),
            labels=found.labels,
            source=found.source,
            states=tuple(StreamState(s.name, s.after, s.initial) for s in found.states),
        )
    except ValueError as error:
        raise BadModel(str(path), str(error), "was it written by a newer version?") from None
    extras = {name: array(f"x{i}") for i, name in enumerate(described.extras)}
    return SavedModel(validate(model), extras, described.state)


def _describe(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "ops": [
            {
                "name": op.name,
                "kind": str(op.kind),
                "inputs": op.inputs,
                "output": op.output,
                "attributes": {
                    name: getattr(op.attributes, name)
                    for name in Attributes.__slots__
                    if name not in OF_PATCHES
                },
            }
            for op in model.ops
        ],
        "tensors": [
            {
                "name": t.name,
                "shape": t.shape,
                "dtype": t.dtype,
                "quant": t.quant and {"zero_point": t.quant.zero_point, "axis": t.quant.axis},
                "constant": t.constant,
            }
            for t in model.tensors.values()
        ],
        "inputs": model.inputs,
        "outputs": model.outputs,
        "arithmetic": str(model.arithmetic),
        "head": model.head,
        "preprocessing": {"mean": model.preprocessing.mean, "std": model.preprocessing.std},
        "labels": model.labels,
        "source": model.source,
        "states": [{"name": s.name, "after": s.after, "initial": s.initial} for s in model.states],
    }
