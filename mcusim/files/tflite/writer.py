"""Networks out again: a `Model` as a ``.tflite`` file that LiteRT and TFLite Micro run.

What TFLite has no form for is written as ops that compute the same:

- explicit padding that is neither SAME nor VALID: PAD before the convolution;
- an int8 head whose output is its accumulator: CAST, a float32 FULLY_CONNECTED on integers (exact
  below 2**24), and MUL by the logits' scale;
- weights with a zero point: the whole network as uint8.

With the ``tflite`` arithmetic the reference kernels of both runtimes give our integers. The ``float``
arithmetic is rint(acc * s); XNNPACK computes that too, the reference kernels round differently.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from mcusim.core import BadModel
from mcusim.files.tflite.flatbuffer_writer import Writer
from mcusim.files.tflite.operators import same_padding
from mcusim.files.tflite.options import constants_of, operator_of, options_of
from mcusim.files.tflite.schema import CAST, IDENTIFIER, PADV2, TYPES, VERSION
from mcusim.graph import CONVOLUTIONS, Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.states import require_stateless
from mcusim.graph.validate import validate

_TYPE_CODES = {name: code for code, name in TYPES.items()}
_EXACT = 1 << 24


def to_tflite(model: Model) -> bytes:
    """Return ``model`` as the bytes of a ``.tflite`` file.

    Raises:
        BadModel: if an op has a form that TFLite cannot express.
        MissingPackage: if ``flatbuffers`` is not installed.
    """
    validate(model)
    require_stateless(model, "is written with ops alone", "save it as .npz, or like= the file it came from")
    file = _File(model)
    for op in model.ops:
        file.add(op)
    return file.finish()


class _File:
    """A TFLite file in the making: tensors, constants and operators in order."""

    def __init__(self, model: Model) -> None:
        self.model, self.writer = model, Writer()
        weights = [model.tensors[op.inputs[1]] for op in model.ops if op.traits.weighted]
        self.unsigned = any(w.quant is not None and w.quant.zero_point for w in weights)
        if self.unsigned and any(w.quant is not None and w.quant.per_channel for w in weights):
            raise BadModel(model.name, "has weights with zero points and weights with scales per channel")
        self.numbers: dict[str, int] = {}
        self.tensors: list[int] = []
        self.buffers: list[int] = [self.writer.table()]
        self.codes: dict[OpKind | Literal["cast", "padv2"], int] = {}
        self.operators: list[int] = []
        for name in model.inputs:
            self.number(model.tensors[name])

    def add(self, op: Op) -> None:
        """Write one op, or the ops that compute the same."""
        tensors = self.model.tensors
        inputs = [tensors[name] for name in op.inputs]
        output = tensors[op.output]
        if {"int8", "int16"} == {inputs[0].dtype, output.dtype} and op.kind is not OpKind.QUANTIZE:
            reason = f"gives {output.dtype} from {inputs[0].dtype} as a part of an LSTM, and has no operator"
            raise BadModel(
                f"op {op.name!r} ({op.kind})", reason, "save it as .npz, or like= the file it came from"
            )
        if op.kind is OpKind.FULLY_CONNECTED and output.dtype == "int32":
            self.accumulator_head(inputs, output)
            return
        operator_of(op.kind, op.name)
        attributes = op.attributes
        if op.kind is OpKind.TRANSPOSE_CONV:
            kind, options = options_of(op.kind, attributes, inputs, output, self.writer)
            shape = _constant(f"{op.output}/shape", np.array(output.shape, np.int32))
            weight, *bias = self.parameters(op, inputs)
            self.operator(op.kind, [shape, weight, inputs[0], *bias], output, kind, options)
            return
        if op.kind in (*CONVOLUTIONS, OpKind.GROUPED_CONV_2D):
            inputs = [*inputs[:1], *self.parameters(op, inputs)]
            kernel = (inputs[1].shape[1], inputs[1].shape[2])
            same = same_padding(inputs[0].shape, kernel, attributes.stride, attributes.dilation)
            if attributes.padding not in (((0, 0), (0, 0)), same):
                inputs[0] = self.padded(inputs[0], op)
                attributes = replace(attributes, padding=((0, 0), (0, 0)))
        elif op.kind is OpKind.FULLY_CONNECTED:
            inputs = [*inputs[:1], *self.parameters(op, inputs)]
        for i, extra in enumerate(constants_of(op.kind, attributes, inputs, output)):
            inputs.append(_constant(f"{op.output}/{op.kind}" + f"/{i}" * bool(i), extra))
        if attributes.fill is not None:
            fill = np.full((), attributes.fill, output.dtype)
            filled = Tensor(f"{op.output}/fill", (), output.dtype, output.quant, fill)
            self.operator("padv2", [*inputs, filled], output, PADV2.options, self.writer.table())
            return
        kind, options = options_of(op.kind, attributes, inputs, output, self.writer)
        self.operator(op.kind, inputs, output, kind, options)

    def operator(
        self,
        kind: OpKind | Literal["cast", "padv2"],
        inputs: list[Tensor],
        output: Tensor,
        options_kind: int,
        options: int,
    ) -> None:
        """Write an operator and the tensors it needs."""
        indices = [self.number(tensor) for tensor in inputs]
        write = self.writer
        code = self.codes.setdefault(kind, len(self.codes))
        vectors = write.array(indices, "i4"), write.array([self.number(output)], "i4")
        fields: dict[str, tuple[int, str, Any]] = {
            "opcode_index": (0, "uint32", code),
            "inputs": (1, "offset", vectors[0]),
            "outputs": (2, "offset", vectors[1]),
        }
        if options:
            fields["options_type"] = (3, "uint8", options_kind)
            fields["options"] = (4, "offset", options)
        self.operators.append(write.table(**fields))

    def padded(self, x: Tensor, op: Op) -> Tensor:
        """Write a PAD of the op's padding before it, and return the padded tensor."""
        pads = ((0, 0), *op.attributes.padding, (0, 0))
        shape = tuple(size + sum(pad) for size, pad in zip(x.shape, pads, strict=True))
        result = replace(x, name=f"{op.output}/padded", shape=shape, data=None)
        amounts = _constant(f"{op.output}/padding", np.array(pads, np.int32))
        kind, options = options_of(OpKind.PAD, Attributes(), [x], result, self.writer)
        self.operator(OpKind.PAD, [x, amounts], result, kind, options)
        return result

    def parameters(self, op: Op, inputs: list[Tensor]) -> list[Tensor]:
        """Return weight and bias with the scales that TFLite asks of them."""
        x, w = inputs[:2]
        if x.quant is None or w.quant is None:
            return inputs[1:]
        scale = _float32_scale(float(x.quant.scale[0]), w.quant)
        w = replace(w, quant=replace(w.quant, scale=scale))
        if len(inputs) < 3:
            return [w]
        b_scale = np.float32(x.quant.scale[0]) * scale
        axis = 0 if w.quant is not None and w.quant.per_channel else None
        return [w, replace(inputs[2], quant=Quant(b_scale, 0, axis))]

    def accumulator_head(self, inputs: list[Tensor], output: Tensor) -> None:
        """Write an int8 head: its accumulators, computed by float32 ops on integers."""
        x, w = inputs[:2]
        if x.quant is None or w.quant is None or output.quant is None:
            raise BadModel(f"tensor {output.name!r}", "is an accumulator without a scale")
        weight = np.asarray(w.data, np.int64) - w.quant.zero_point
        bias = np.asarray(inputs[2].data, np.int64) if len(inputs) > 2 else np.zeros(len(weight), np.int64)
        # acc = sum W (q - z) + b = sum W q + (b - z sum W), where q is as the file stores it.
        stored = 128 if self.unsigned else 0
        bias = bias - (x.quant.zero_point + stored) * weight.sum(1)
        if (np.abs(weight).sum(1) * (127 + stored + 1) + np.abs(bias)).max() >= _EXACT:
            raise BadModel(
                f"tensor {output.name!r}", "has accumulators above 2**24, which float32 cannot hold exactly"
            )
        name, write = output.name, self.writer
        cast = Tensor(f"{name}/cast", x.shape, "float32")
        options = write.table(in_type=(0, "int8", self.type_code(x)), out_type=(1, "int8", 0))
        self.operator("cast", [x], cast, CAST.options, options)
        parameters = [
            # Its scale is for those who read the file here again; runtimes see a float32 tensor.
            replace(_constant(f"{name}/weight", weight.astype(np.float32)), quant=w.quant),
            _constant(f"{name}/bias", bias.astype(np.float32)),
        ]
        acc = Tensor(f"{name}/accumulator", output.shape, "float32")
        plain = Attributes(clamp=None)
        kind, options = options_of(OpKind.FULLY_CONNECTED, plain, [cast, *parameters], acc, write)
        self.operator(OpKind.FULLY_CONNECTED, [cast, *parameters], acc, kind, options)
        scale = _constant(f"{name}/scale", output.quant.scale.astype(np.float32))
        logits = replace(output, dtype="float32", quant=None)
        kind, options = options_of(OpKind.MUL, plain, [acc, scale], logits, write)
        self.operator(OpKind.MUL, [acc, scale], logits, kind, options)

    def type_code(self, tensor: Tensor) -> int:
        """Return the number of an element type; int8 is uint8 in a uint8 network."""
        return _TYPE_CODES["uint8" if self.unsigned and tensor.dtype == "int8" else tensor.dtype]

    def number(self, tensor: Tensor) -> int:
        """Return a tensor's index; write it where it is new."""
        if tensor.name in self.numbers:
            return self.numbers[tensor.name]
        write = self.writer
        shift = 128 if self.unsigned and tensor.dtype == "int8" else 0
        buffer = 0
        if tensor.data is not None:
            raw = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8) ^ np.uint8(shift)
            data = write.array(raw, "u1", alignment=16)
            buffer = len(self.buffers)
            self.buffers.append(write.table(data=(0, "offset", data)))
        fields: dict[str, tuple[int, str, Any]] = {
            "shape": (0, "offset", write.array(tensor.shape, "i4")),
            "name": (3, "offset", write.text(tensor.name)),
        }
        if tensor.quant is not None:
            scale = tensor.quant.scale.astype(np.float32)
            zero_points = np.full(len(scale), tensor.quant.zero_point + shift)
            vectors = write.array(scale, "f4"), write.array(zero_points, "i8")
            fields["quantization"] = (
                4,
                "offset",
                write.table(
                    scale=(2, "offset", vectors[0]),
                    zero_point=(3, "offset", vectors[1]),
                    axis=(6, "int32", tensor.quant.axis or 0),
                ),
            )
        fields["type"] = (1, "int8", self.type_code(tensor))
        fields["buffer"] = (2, "uint32", buffer)
        self.numbers[tensor.name] = len(self.tensors)
        self.tensors.append(write.table(**fields))
        return self.numbers[tensor.name]

    def finish(self) -> bytes:
        """Return the file."""
        write = self.writer
        ends = [
            write.array([self.numbers[name] for name in names], "i4")
            for names in (self.model.inputs, self.model.outputs)
        ]
        vectors = write.offsets(self.tensors), write.offsets(self.operators), write.text("main")
        subgraph = write.table(
            tensors=(0, "offset", vectors[0]),
            inputs=(1, "offset", ends[0]),
            outputs=(2, "offset", ends[1]),
            operators=(3, "offset", vectors[1]),
            name=(4, "offset", vectors[2]),
        )
        codes = []
        for kind in self.codes:
            code, version, _ = (
                operator_of(kind) if isinstance(kind, OpKind) else {"cast": CAST, "padv2": PADV2}[kind]
            )
            codes.append(
                write.table(
                    deprecated=(0, "int8", min(code, 127)),
                    version=(2, "int32", version),
                    code=(3, "int32", code),
                )
            )
        lists = write.offsets(codes), write.offsets([subgraph]), write.offsets(self.buffers)
        description = write.text(f"mcusim: {self.model.name}")
        root = write.table(
            version=(0, "uint32", VERSION),
            codes=(1, "offset", lists[0]),
            subgraphs=(2, "offset", lists[1]),
            description=(3, "offset", description),
            buffers=(4, "offset", lists[2]),
        )
        return write.finish(root, IDENTIFIER)


def _constant(name: str, data: np.ndarray) -> Tensor:
    return Tensor(name, data.shape, str(data.dtype), None, data)


def _float32_scale(s_x: float, quant: Quant) -> np.ndarray:
    """Return a weight's scales in float32.

    A float64 scale of a uint8 convolution stands for the float32 product with the input's scale
    (see `mcusim.files.tflite.reader`); of the neighbours the one that gives this product again is taken.
    """
    scale = quant.scale.astype(np.float32)
    if quant.scale.dtype == np.float32 or len(scale) != 1:
        return scale
    around = (scale, np.nextafter(scale, np.float32(0)), np.nextafter(scale, np.float32(np.inf)))
    for candidate in around:
        if float(np.float32(s_x) * candidate[0]) / s_x == quant.scale[0]:
            return candidate
    return scale
