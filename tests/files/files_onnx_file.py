"""Writes int8 networks as ONNX files in the QDQ form, and small float ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mcusim.graph import Model, OpKind, Tensor

HWIO = {OpKind.CONV_2D: (0, 3, 1, 2), OpKind.DEPTHWISE_CONV_2D: (3, 0, 1, 2), OpKind.FULLY_CONNECTED: (0, 1)}


def qdq(model: Model, *, unsigned: bool = False) -> Any:
    """Return an int8 network of convolutions, additions, means, and products as a QDQ ``ModelProto``.

    With ``unsigned`` the activations are uint8, as ONNX Runtime's tools make them by default.
    """
    shift, kind = (128, np.uint8) if unsigned else (0, np.int8)
    nodes: list[Any] = []
    constants: dict[str, np.ndarray] = {}

    def scales(t: Tensor, name: str) -> tuple[str, str]:
        assert t.quant is not None
        per_tensor = t.quant.scale.size == 1
        constants[f"{name}.s"] = np.asarray(t.quant.scale[0] if per_tensor else t.quant.scale, np.float32)
        integer = kind if t.data is None else np.asarray(t.data).dtype
        zero = np.full(() if per_tensor else t.quant.scale.shape, t.quant.zero_point, np.int64)
        constants[f"{name}.z"] = (zero + (shift if t.data is None else 0)).astype(integer)
        return f"{name}.s", f"{name}.z"

    def quantised(name: str) -> None:
        s = scales(model.tensors[name], name)
        nodes.append(helper.make_node("QuantizeLinear", [f"{name}.r", *s], [f"{name}.q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", *s], [f"{name}.d"]))

    def parameter(name: str, order: tuple[int, ...]) -> str:
        constants[f"{name}.q"] = np.asarray(model.tensors[name].data).transpose(order)
        axis = order.index(model.tensors[name].quant.axis or 0)  # type: ignore[union-attr]
        s = scales(model.tensors[name], name)
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", *s], [f"{name}.d"], axis=axis))
        return f"{name}.d"

    x = model.input
    quantised(x.name)
    for op in model.ops:
        a, inputs = op.attributes, [f"{n}.d" for n in op.inputs[:1]]
        match op.kind:
            case OpKind.CONV_2D | OpKind.DEPTHWISE_CONV_2D:
                (t, b), (left, right) = a.padding
                inputs += [parameter(op.inputs[1], HWIO[op.kind]), parameter(op.inputs[2], (0,))]
                groups = model.tensors[op.output].shape[3] if op.kind is OpKind.DEPTHWISE_CONV_2D else 1
                named = {
                    "pads": [t, left, b, right],
                    "strides": a.stride,
                    "dilations": a.dilation,
                    "group": groups,
                }
                nodes.append(helper.make_node("Conv", inputs, [f"{op.output}.r"], **named))
            case OpKind.FULLY_CONNECTED:
                inputs += [parameter(op.inputs[1], (0, 1)), parameter(op.inputs[2], (0,))]
                nodes.append(helper.make_node("Gemm", inputs, [f"{op.output}.r"], transB=1))
            case OpKind.ADD:
                nodes.append(helper.make_node("Add", [f"{n}.d" for n in op.inputs], [f"{op.output}.r"]))
            case OpKind.MEAN:
                nodes.append(helper.make_node("GlobalAveragePool", inputs, [f"{op.output}.r"]))
                if len(model.tensors[op.output].shape) == 2:
                    nodes[-1].output[0] += "4"
                    nodes.append(helper.make_node("Flatten", [f"{op.output}.r4"], [f"{op.output}.r"]))
            case _:
                raise ValueError(op.kind)
        quantised(op.output)
    shape = tuple(x.shape[i] for i in (0, 3, 1, 2)) if len(x.shape) == 4 else x.shape
    return proto(nodes, constants, {f"{x.name}.r": shape}, [f"{model.outputs[0]}.d"])


def proto(
    nodes: list[Any], constants: dict[str, np.ndarray], inputs: dict[str, Any], outputs: list[str]
) -> Any:
    """Return a ``ModelProto``."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
