"""A quantised network as PyTorch fake-quant modules: what people use today, to be timed against.

Integers are kept in float32 tensors; every op rounds and clamps its output, with a straight-through
gradient where something learns. This is how the published simulators of on-device training work.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mcusim import Model
from mcusim.graph import CONVOLUTIONS, Op, OpKind
from mcusim.update.selection import Selection


class TorchTwin(nn.Module):
    """Runs the ops of a MobileNet-like model on ``[n, C, H, W]`` int8 values held as float32."""

    def __init__(self, model: Model, selection: Selection | None = None) -> None:
        super().__init__()
        self.model, self.selection = model, selection
        self.values = nn.ParameterDict()
        for op in model.ops:
            if op.weight is not None:
                learns = selection is not None and (
                    op.name in selection.channels or (op.name == model.head and selection.head)
                )
                self._keep(f"{op.name}.weight", _planes(model, op), learns)
                bias = selection is not None and (op.name in selection.biases or op.name == model.head)
                self._keep(f"{op.name}.bias", model.tensors[op.inputs[2]].data, bias)
                if op.kind in CONVOLUTIONS:
                    self._keep(f"{op.name}.scale", _scales(model, op).reshape(1, -1, 1, 1), False)

    def _keep(self, name: str, values: np.ndarray, learns: bool) -> None:
        data = torch.from_numpy(np.array(values, np.float32, order="C"))
        self.values[name.replace(".", "/")] = nn.Parameter(data, requires_grad=learns)

    def _value(self, op: Op, part: str) -> Tensor:
        return self.values[f"{op.name}.{part}".replace(".", "/")]

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        values = {self.model.inputs[0]: x}
        for op in self.model.ops:
            values[op.output] = self._run(op, values)
        return values[self.model.outputs[0]]

    def _run(self, op: Op, values: Mapping[str, Tensor]) -> Tensor:
        quant = {n: self.model.tensors[n].quant for n in (*op.inputs, op.output)}
        x, y, a = values[op.inputs[0]], quant[op.output], op.attributes
        zero = quant[op.inputs[0]].zero_point if quant[op.inputs[0]] is not None else 0
        if op.kind in CONVOLUTIONS:
            (top, bottom), (left, right) = a.padding
            x = functional.pad(x - zero, (left, right, top, bottom))
            groups = x.shape[1] if op.kind is OpKind.DEPTHWISE_CONV_2D else 1
            weight, bias = self._value(op, "weight"), self._value(op, "bias")
            acc = functional.conv2d(x, weight, bias, a.stride, groups=groups)
            return _rounded(acc * self._value(op, "scale"), y.zero_point, a.clamp)
        if op.kind is OpKind.ADD:
            total = sum(
                (values[n] - quant[n].zero_point) * float(quant[n].scale[0] / y.scale[0]) for n in op.inputs
            )
            return _rounded(total, y.zero_point, a.clamp)
        if op.kind is OpKind.MEAN:
            scaled = (x - zero).mean((2, 3), keepdim=True) * float(quant[op.inputs[0]].scale[0] / y.scale[0])
            return _rounded(scaled, y.zero_point, a.clamp)
        if op.kind is OpKind.RESHAPE:
            return x.flatten(1)
        if op.kind is OpKind.DEQUANTIZE:
            return (x - zero) * float(quant[op.inputs[0]].scale[0])
        if op.kind is OpKind.FULLY_CONNECTED:
            return functional.linear(x, self._value(op, "weight"), self._value(op, "bias"))
        raise NotImplementedError(op.kind)

    def step(self, x: Tensor, label: Tensor, lr: float) -> float:
        """Do one step of SGD on what the selection names; return the loss."""
        assert self.selection is not None
        self.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self(x), label)
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for name, value in self.values.items():
                if value.grad is None:
                    continue
                op, _, part = name.replace("/", ".").rpartition(".")
                channels = self.selection.channels.get(op) if part == "weight" else None
                if channels is None:
                    value -= lr * value.grad
                else:
                    index = torch.as_tensor(np.array(channels))
                    # Of a depthwise convolution the input's channels come first.
                    at = (index,) if value.shape[1] == 1 < value.shape[0] else (slice(None), index)
                    value[at] = (value[at] - lr * value.grad[at]).round().clamp(-127, 127)
        return float(loss.detach())


def _rounded(x: Tensor, zero: int, clamp: tuple[float, float]) -> Tensor:
    x = x + (x.round() - x).detach() if x.requires_grad else x.round()
    return (x + zero).clamp(*clamp)


def _planes(model: Model, op: Op) -> np.ndarray:
    """Return a weight in PyTorch's layout: OIHW, or one plane a channel for a depthwise convolution."""
    weight = model.tensors[op.inputs[1]].data
    if op.kind is OpKind.CONV_2D:
        return weight.transpose(0, 3, 1, 2)
    return weight.transpose(3, 0, 1, 2) if op.kind is OpKind.DEPTHWISE_CONV_2D else weight


def _scales(model: Model, op: Op) -> np.ndarray:
    x, w, y = (model.tensors[n].quant.scale for n in (op.inputs[0], op.inputs[1], op.output))
    return np.asarray(x[0] * w / y[0])
