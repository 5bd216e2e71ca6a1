"""The classifier whose output is its accumulator, in the three operators that it is exported as.

TFLite has no form for it; see `mcusim.files.tflite.writer`. CAST, a float32 FULLY_CONNECTED whose weights
and biases are integers, and MUL by the scale of a logit are that one op again, so that a saved file loads
as what it was. The weights' own scale is kept as the scale of the float32 tensor, which runtimes do not read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mcusim.core import BadModel
from mcusim.graph import Attributes, Op, OpKind, Quant, Tensor

CAST = "CAST"
_PARTS = (CAST, "FULLY_CONNECTED", "MUL")


@dataclass(slots=True)
class _Product:
    """What was read of one classifier so far."""

    x: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None


class Accumulators:
    """Collects the operators of such classifiers while a file is read."""

    def __init__(self, tensors: dict[str, Tensor], ops: list[Op], unsigned: set[str]) -> None:
        self._tensors, self._ops, self._unsigned = tensors, ops, unsigned
        self._open: dict[str, _Product] = {}
        """By the float32 tensor that the next operator reads."""

    def holds(self, name: str) -> bool:
        """Return whether a tensor lies inside a classifier that is not complete."""
        return name in self._open

    def takes(self, name: str, inputs: list[str]) -> bool:
        """Return whether an operator belongs to such a classifier."""
        begins = name == CAST and len(inputs) == 1 and self._tensors[inputs[0]].dtype == "int8"
        return begins or any(map(self.holds, inputs))

    def add(self, name: str, inputs: list[str], outputs: list[str]) -> None:
        """Take one operator.

        Raises:
            BadModel: without a thing: if it continues no such classifier.
        """
        (output,) = outputs
        at = next((name for name in inputs if self.holds(name)), None)
        if at is None:
            x = self._tensors[inputs[0]]
            if x.quant is None or self._tensors[output].dtype != "float32":
                raise BadModel("", f"turns {x.dtype} into {self._tensors[output].dtype}", "use DEQUANTIZE")
            self._open[output] = _Product(x)
            return
        product, others = self._open.pop(at), [self._tensors[name] for name in inputs if name != at]
        expected = _PARTS[1 if product.weight is None else 2]
        if name != expected or not others or not all(tensor.constant for tensor in others):
            raise BadModel("", f"works on integers as float32, {at!r}", "quantise the network as a whole")
        if product.weight is None:
            product.weight, product.bias = others[0], others[1] if len(others) > 1 else None
            self._open[output] = product
        else:
            self._close(product, others[0], output)

    def _close(self, product: _Product, scale: Tensor, output: str) -> None:
        """Add the one op that it was."""
        weight, x = product.weight, product.x
        assert weight is not None
        assert weight.data is not None
        assert scale.data is not None
        integers = np.rint(weight.data)
        bias = np.zeros(len(integers)) if product.bias is None else np.asarray(product.bias.data)
        whole = np.array_equal(integers, weight.data) and np.array_equal(np.rint(bias), bias)
        if not whole or np.abs(integers).max() > 127 or scale.data.size != 1 or weight.quant is None:
            raise BadModel("", f"multiplies integers by {weight.name!r}", "quantise the network as a whole")
        assert x.quant is not None
        stored = 128 if x.name in self._unsigned else 0
        shift = (x.quant.zero_point + stored) * integers.sum(1, dtype=np.float64)
        unit = Quant(scale.data.reshape(1).astype(np.float32), 0)
        parts = [
            Tensor(weight.name, weight.shape, "int8", weight.quant, integers.astype(np.int8)),
            Tensor(f"{output}/bias", bias.shape, "int32", unit, (bias + shift).astype(np.int32)),
        ]
        for part in parts:
            assert part.data is not None
            part.data.flags.writeable = False
            self._tensors[part.name] = part
        self._tensors[output] = replace(self._tensors[output], dtype="int32", quant=unit)
        names = (x.name, *(part.name for part in parts))
        self._ops.append(Op(output, OpKind.FULLY_CONNECTED, names, output, Attributes(clamp=None)))
