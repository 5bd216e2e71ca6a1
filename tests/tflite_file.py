"""Writes small TFLite files table by table, so that tests can get any part of them wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcusim.files.tflite.flatbuffer_writer import Writer

INT8, UINT8, INT32, FLOAT32, FLOAT16, INT4 = 9, 3, 2, 0, 1, 17


@dataclass
class TensorSpec:
    """One tensor; ``data`` becomes a buffer."""

    name: str
    shape: tuple[int, ...]
    type: int = INT8
    data: Any = None
    scale: tuple[float, ...] = (0.1,)
    zero_point: tuple[int, ...] = (0,)
    axis: int = 0
    buffer: int | None = None
    extra: dict[str, tuple[int, str, Any]] = field(default_factory=dict)


@dataclass
class OperatorSpec:
    """One operator; options are (number, kind, value) triples by any name."""

    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, tuple[int, str, Any]] = field(default_factory=dict)
    custom: str = ""
    union: int = 1
    version: int = 1


@dataclass
class FileSpec:
    """A file of one convolution (stride 2, SAME, RELU6) and a reshape."""

    tensors: list[TensorSpec] = field(
        default_factory=lambda: [
            TensorSpec("x", (1, 5, 5, 2)),
            TensorSpec("w", (3, 3, 3, 2), data=np.arange(54, dtype=np.int8), scale=(0.1, 0.2, 0.3),
                       zero_point=(0, 0, 0)),
            TensorSpec("b", (3,), INT32, np.arange(3, dtype=np.int32), (0.01, 0.02, 0.03), (0, 0, 0)),
            TensorSpec("y", (1, 3, 3, 3), scale=(0.05,), zero_point=(-100,)),
            TensorSpec("flat", (1, 27), scale=(0.05,), zero_point=(-100,)),
            TensorSpec("shape", (2,), INT32, np.array([1, 27], np.int32), scale=()),
        ]
    )  # fmt: skip
    operators: list[OperatorSpec] = field(
        default_factory=lambda: [
            OperatorSpec(
                3,
                (0, 1, 2),
                (3,),
                {
                    "padding": (0, "int8", 0),
                    "w": (1, "int32", 2),
                    "h": (2, "int32", 2),
                    "activation": (3, "int8", 3),
                    "dilation_w": (4, "int32", 1),
                    "dilation_h": (5, "int32", 1),
                },
            ),
            OperatorSpec(22, (3, 5), (4,)),
        ]
    )
    inputs: tuple[int, ...] = (0,)
    outputs: tuple[int, ...] = (4,)
    subgraphs: int = 1
    version: int = 3

    others: list[FileSpec] = field(default_factory=list)
    """Further subgraphs, of which only tensors, operators, inputs and outputs count."""

    def bytes(self) -> bytes:
        """Return the file."""
        w = Writer()
        buffers, codes = [w.table()], []
        subgraph = self._subgraph(w, buffers, codes)
        rest = [other._subgraph(w, buffers, codes) for other in self.others]
        lists = w.offsets(codes), w.offsets([subgraph] * self.subgraphs + rest), w.offsets(buffers)
        root = w.table(
            version=(0, "uint32", self.version),
            codes=(1, "offset", lists[0]),
            subgraphs=(2, "offset", lists[1]),
            buffers=(4, "offset", lists[2]),
        )
        return w.finish(root, b"TFL3")

    def _subgraph(self, w: Writer, buffers: list[int], codes: list[int]) -> int:
        tensors = []
        for t in self.tensors:
            buffer = 0
            if t.data is not None:
                raw = np.frombuffer(np.ascontiguousarray(t.data).tobytes(), np.uint8)
                buffers.append(w.table(data=(0, "offset", w.array(raw, "u1", alignment=16))))
                buffer = len(buffers) - 1
            vectors = w.array(t.scale, "f4"), w.array(t.zero_point, "i8")
            quant = w.table(
                scale=(2, "offset", vectors[0]), zero=(3, "offset", vectors[1]), axis=(6, "int32", t.axis)
            )
            fields = {
                "shape": (0, "offset", w.array(t.shape, "i4")),
                "type": (1, "int8", t.type),
                "buffer": (2, "uint32", buffer if t.buffer is None else t.buffer),
                "name": (3, "offset", w.text(t.name)),
                "quantization": (4, "offset", quant),
            }
            extra = {
                name: (number, "offset", w.array(value, "i4")) if kind == "i4" else (number, kind, value)
                for name, (number, kind, value) in t.extra.items()
            }
            tensors.append(w.table(**fields, **extra))
        operators = []
        for op in self.operators:
            custom = {"custom": (1, "offset", w.text(op.custom))} if op.custom else {}
            codes.append(
                w.table(
                    **custom,
                    old=(0, "int8", min(op.code, 127)),
                    version=(2, "int32", op.version),
                    code=(3, "int32", op.code),
                )
            )
            options = w.table(
                **{
                    name: (number, "offset", w.text(value)) if kind == "text" else (number, kind, value)
                    for name, (number, kind, value) in op.options.items()
                }
            )
            vectors = w.array(op.inputs, "i4"), w.array(op.outputs, "i4")
            operators.append(
                w.table(
                    index=(0, "uint32", len(codes) - 1),
                    inputs=(1, "offset", vectors[0]),
                    outputs=(2, "offset", vectors[1]),
                    type=(3, "uint8", op.union),
                    options=(4, "offset", options),
                )
            )
        parts = (
            w.offsets(tensors),
            w.offsets(operators),
            w.array(self.inputs, "i4"),
            w.array(self.outputs, "i4"),
        )
        return w.table(
            tensors=(0, "offset", parts[0]),
            inputs=(1, "offset", parts[2]),
            outputs=(2, "offset", parts[3]),
            operators=(3, "offset", parts[1]),
        )
