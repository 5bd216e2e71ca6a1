"""An ONNX graph that is being written: values, constants, and the pairs of nodes around an int8 tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.files.onnx.graph import NCHW, Shape, onnx_shape
from mcusim.graph import Model, Op, Tensor

OPSET, IR_VERSION = 20, 9
FLOAT, INT32, INT64 = 1, 6, 7
"""ONNX's numbers of element types."""


class OnnxFile:
    """An ONNX graph in the making. A value has the name of its tensor and is real, planes first."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.inputs: list[Any] = []

    def input(self, tensor: Tensor) -> None:
        """Declare an input; of integers the real numbers that they stand for."""
        from onnx import helper

        shape = onnx_shape(tensor.shape)
        if tensor.quant is None:
            self.inputs.append(helper.make_tensor_value_info(tensor.name, FLOAT, shape))
            return
        raw = f"{tensor.name}.real"
        self.inputs.append(helper.make_tensor_value_info(raw, FLOAT, shape))
        self.quantised(raw, tensor)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node and return its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}.{kind}", **attributes))
        return output

    def constant(self, name: str, data: Any) -> str:
        """Add a constant and return its name."""
        self.constants[name] = np.array(data, order="C")
        return name

    def scales(self, tensor: Tensor) -> list[str]:
        """Add a tensor's scale and zero point."""
        assert tensor.quant is not None
        quant = tensor.quant
        shape = quant.scale.shape if quant.per_channel else ()
        kind = tensor.dtype if tensor.constant else "int8"
        return [
            self.constant(f"{tensor.name}.scale", quant.scale.astype(np.float32).reshape(shape)),
            self.constant(f"{tensor.name}.zero_point", np.full(shape, quant.zero_point, kind)),
        ]

    def quantised(self, raw: str, tensor: Tensor) -> None:
        """Round real numbers to a tensor's integers, and make them real again."""
        scales = self.scales(tensor)
        stored = self.node("QuantizeLinear", [raw, *scales], f"{tensor.name}.stored")
        self.node("DequantizeLinear", [stored, *scales], tensor.name)

    def weight(self, name: str, order: Shape) -> str:
        """Add a weight or bias with its dimensions in another order; real, as a constant or behind a node."""
        tensor = self.model.tensors[name]
        if name in self.constants or f"{name}.stored" in self.constants:
            return name
        data = np.asarray(tensor.data).transpose(order)
        if tensor.quant is None:
            return self.constant(name, data)
        stored = self.constant(f"{name}.stored", data)
        axis = {"axis": order.index(tensor.quant.axis)} if tensor.quant.axis is not None else {}
        return self.node("DequantizeLinear", [stored, *self.scales(tensor)], name, **axis)

    def parameters(self, op: Op, order: Shape) -> list[str]:
        """Add weight and bias; the bias has the scale of the accumulator."""
        x, w = (self.model.tensors[name] for name in op.inputs[:2])
        found = [self.weight(op.inputs[1], order)]
        for name in op.inputs[2:]:
            bias = self.model.tensors[name]
            if bias.dtype == "int32":
                if x.quant is None or w.quant is None:
                    raise BadModel(f"tensor {name!r}", "is a quantised bias of an op without scales")
                # Shared by two ops it may have two scales.
                name = name if f"{name}.stored" not in self.constants else f"{op.output}.{name}"
                data = self.constant(f"{name}.stored", np.asarray(bias.data))
                scale = np.float32(x.quant.scale[0]) * w.quant.scale.astype(np.float32)
                if not w.quant.per_channel:
                    scale = scale.reshape(())
                unit = self.constant(f"{name}.scale", scale)
                found.append(self.node("DequantizeLinear", [data, unit], name, axis=0))
            else:
                found.append(self.weight(name, (0,)))
        return found

    def operand(self, name: str, rank: int) -> str:
        """Return a value that another one of ``rank`` dimensions is combined with."""
        tensor = self.model.tensors[name]
        if not tensor.constant:
            return name
        if rank != 4:
            return self.weight(name, tuple(range(len(tensor.shape))))
        wide = f"{name}.planes"
        if wide not in self.constants and f"{wide}.stored" not in self.constants:
            data = np.asarray(tensor.data).reshape((1,) * (4 - len(tensor.shape)) + tensor.shape)
            data = data.transpose(NCHW)
            if tensor.quant is None:
                return self.constant(wide, data)
            self.node("DequantizeLinear", [self.constant(f"{wide}.stored", data), *self.scales(tensor)], wide)
        return wide

    def finished(self, op: Op, raw: str) -> None:
        """End an op: its fused activation, and the integers that its output is stored as."""
        output = self.model.tensors[op.output]
        if output.dtype == "int8" and output.quant is not None:
            self.quantised(self.clipped(op, raw, output), output)
        elif op.attributes.clamp is not None and output.dtype == "float32" and op.traits.fuses:
            self._clip(raw, op.output, *op.attributes.clamp)
        elif raw != op.output:
            self.node("Identity", [raw], op.output)

    def clipped(self, op: Op, raw: str, output: Tensor) -> str:
        """Clip to the range of integers that an op clamps to, if that is narrower than all."""
        if op.attributes.clamp in (None, (-128, 127)) or not (op.traits.fuses or op.traits.activation):
            return raw
        assert op.attributes.clamp is not None
        assert output.quant is not None
        low, high = (
            float(output.quant.scale[0]) * (bound - output.quant.zero_point) for bound in op.attributes.clamp
        )
        return self._clip(raw, f"{op.output}.clipped", low, high)

    def _clip(self, raw: str, name: str, low: float, high: float) -> str:
        bounds = [
            self.constant(f"{name}.{side}", np.float32(bound)) if np.isfinite(bound) else ""
            for side, bound in (("low", low), ("high", high))
        ]
        return self.node("Clip", [raw, *bounds], name)

    def finish(self) -> bytes:
        """Return the file."""
        from onnx import helper, numpy_helper

        kinds = {"int32": INT32, "int64": INT64}
        outputs = []
        for name in self.model.outputs:
            tensor = self.model.tensors[name]
            kind = FLOAT if tensor.quant is not None else kinds.get(tensor.dtype, FLOAT)
            outputs.append(helper.make_tensor_value_info(name, kind, onnx_shape(tensor.shape)))
        graph = helper.make_graph(
            self.nodes, self.model.name, self.inputs, outputs,
            [numpy_helper.from_array(data, name) for name, data in self.constants.items()],
        )  # fmt: skip
        file = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="mcusim",
            ir_version=IR_VERSION, doc_string=self.model.source,
        )  # fmt: skip
        if self.model.labels:
            helper.set_model_props(file, {"labels": "\n".join(self.model.labels)})
        data: bytes = file.SerializeToString()
        return data
