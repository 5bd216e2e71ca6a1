"""Slow loops that do the work of an op element by element and count while they compute."""

from __future__ import annotations

from itertools import product

import numpy as np

from mcusim.graph import DTYPES, Op, OpKind, Tensor


class Counter:
    """Counts operations; remembers which elements of which tensor were touched."""

    def __init__(self) -> None:
        self.macs = self.requants = self.int_ops = self.float_ops = self.im2col = 0
        self.read: dict[str, set] = {}
        self.written: dict[str, set] = {}

    def load(self, tensor: str, array: np.ndarray, index: tuple) -> float:
        self.read.setdefault(tensor, set()).add(index)
        return float(array[index])

    def store(self, tensor: str, array: np.ndarray, index: tuple, value: float) -> None:
        self.written.setdefault(tensor, set()).add(index)
        array[index] = value

    def read_bytes(self, tensor: str, element: int = 1) -> int:
        return len(self.read.get(tensor, ())) * element

    def written_bytes(self, tensor: str, element: int = 1) -> int:
        return len(self.written.get(tensor, ())) * element


def taps(op: Op, x: Tensor, y: Tensor, window: tuple[int, int]):
    """Yield (output row, column, window row, column, input row, column) for every tap inside the input."""
    a = op.attributes
    for oy, ox in product(range(y.shape[1]), range(y.shape[2])):
        for ky, kx in product(range(window[0]), range(window[1])):
            iy = oy * a.stride[0] - a.padding[0][0] + ky * a.dilation[0]
            ix = ox * a.stride[1] - a.padding[1][0] + kx * a.dilation[1]
            if 0 <= iy < x.shape[1] and 0 <= ix < x.shape[2]:
                yield oy, ox, ky, kx, iy, ix


def connections(op: Op, tensors: dict[str, Tensor]):
    """Yield (input index, weight index, output index) of every multiply-accumulate of a weighted op."""
    x, w, y = tensors[op.inputs[0]], tensors[op.inputs[1]], tensors[op.output]
    if op.kind is OpKind.FULLY_CONNECTED:
        for o, i in product(range(w.shape[0]), range(w.shape[1])):
            yield (0, i), (o, i), (0, o)
        return
    if op.kind is OpKind.TRANSPOSE_CONV:  # a convolution from what it gives to what it takes
        for iy, ix, ky, kx, oy, ox in taps(op, y, x, w.shape[1:3]):
            for o, i in product(range(w.shape[0]), range(w.shape[3])):
                yield (0, iy, ix, i), (o, ky, kx, i), (0, oy, ox, o)
        return
    for oy, ox, ky, kx, iy, ix in taps(op, x, y, w.shape[1:3]):
        if op.kind is OpKind.DEPTHWISE_CONV_2D:
            multiplier = w.shape[3] // x.shape[3]
            for c in range(w.shape[3]):
                yield (0, iy, ix, c // multiplier), (0, ky, kx, c), (0, oy, ox, c)
        else:
            depth = w.shape[3]
            each = w.shape[0] * depth // x.shape[3]
            for o, i in product(range(w.shape[0]), range(depth)):
                yield (0, iy, ix, o // each * depth + i), (o, ky, kx, i), (0, oy, ox, o)


def forward(op: Op, tensors: dict[str, Tensor], x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Counter:
    """Run a weighted op, bias, rescaling and clamp included."""
    count = Counter()
    y = tensors[op.output]
    acc = np.zeros(y.shape)
    for i, k, o in connections(op, tensors):
        acc[o] += count.load("x", x, i) * count.load("w", w, k)
        count.macs += 1
    out = np.zeros(y.shape)
    for o in np.ndindex(*y.shape):
        value = acc[o] + count.load("b", b, o[-1:])
        count.int_ops += 1
        if y.dtype == "int8":
            value = round(value * 0.01)
            count.requants += 1
            value = value if value > -128 else -128
            value = value if value < 127 else 127
            count.int_ops += 2
        count.store("y", out, o, value)
    if op.kind is OpKind.CONV_2D:
        window = tensors[op.inputs[1]].shape[1:3]
        for _ in product(range(y.shape[1]), range(y.shape[2]), range(window[0]), range(window[1])):
            count.im2col += tensors[op.inputs[0]].shape[3]
    return count


def grad_input(op: Op, tensors: dict[str, Tensor], g: np.ndarray, w: np.ndarray) -> Counter:
    """Scale the masked output gradient, then scatter it over the weights."""
    count = Counter()
    scaled = np.zeros(g.shape)
    for o in np.ndindex(*g.shape):
        count.int_ops += 1  # mask bit
        scaled[o] = count.load("g", g, o) * 0.5
        count.float_ops += 1
    gx = np.zeros(tensors[op.inputs[0]].shape)
    for i, k, o in connections(op, tensors):
        gx[i] += scaled[o] * count.load("w", w, k)
        count.macs += 1
    for i in np.ndindex(*gx.shape):
        count.store("gx", gx, i, gx[i])
    return count


def grad_weight(
    op: Op, tensors: dict[str, Tensor], x: np.ndarray, g: np.ndarray, channels: list[int],
    pixels: list[int] | None = None,
) -> Counter:  # fmt: skip
    """Correlate the selected input channels with the output gradient, at all or some pixels."""
    count = Counter()

    def saved(i: tuple) -> bool:
        return i[-1] in channels and (pixels is None or i[1] * x.shape[2] + i[2] in pixels)

    features = np.zeros(x.shape)
    for i in np.ndindex(*x.shape):
        if saved(i):
            features[i] = count.load("x", x, i) - 3
            count.int_ops += 1  # zero point
    gw = np.zeros(tensors[op.inputs[1]].shape)
    scaled: dict[tuple, float] = {}
    for i, k, o in connections(op, tensors):
        if not saved(i):
            continue
        if o not in scaled:
            count.int_ops += 1  # mask bit
            scaled[o] = count.load("g", g, o) * 0.5
            count.float_ops += 1
        count.store("gw", gw, k, gw[k] + features[i] * scaled[o])
        count.macs += 1
    if pixels is not None:
        for k in np.ndindex(*gw.shape):
            depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
            if (k[-1] * x.shape[3] // gw.shape[3] if depthwise else k[-1]) in channels:
                count.store("gw", gw, k, gw[k] * x.shape[1] * x.shape[2] / len(pixels))
                count.float_ops += 1
    return count


def grad_bias(g: np.ndarray) -> Counter:
    """Sum the scaled, masked output gradient over pixels."""
    count = Counter()
    gb = np.zeros(g.shape[-1])
    for o in np.ndindex(*g.shape):
        count.int_ops += 1
        count.store("gb", gb, o[-1:], gb[o[-1]] + count.load("g", g, o) * 0.5)
        count.float_ops += 2
    return count


def update(w: np.ndarray, gradient: np.ndarray, positions: list[tuple]) -> Counter:
    """SGD on int8 weights: rate x factor x gradient, subtract, round, clamp."""
    count = Counter()
    for p in positions:
        step = 0.1 * 0.5 * count.load("gw", gradient, p)
        value = round(count.load("w", w, p) - step)
        count.float_ops += 4
        value = value if value > -127 else -127
        value = value if value < 127 else 127
        count.int_ops += 2
        count.store("w", w, p, value)
    return count


def elementwise(op: Op, tensors: dict[str, Tensor]) -> Counter:
    """Run an op without weights."""
    count = Counter()
    y = tensors[op.output]
    inputs = [np.ones(tensors[n].shape) for n in op.inputs]
    out = np.zeros(y.shape)
    if op.kind in (OpKind.ADD, OpKind.MUL):
        for o in np.ndindex(*y.shape):
            a, b = count.load("a", inputs[0], o), count.load("b", inputs[1], o)
            if op.kind is OpKind.ADD:
                a, b = a * 2, b * 2
                count.requants += 2
            value = a + b if op.kind is OpKind.ADD else a * b
            count.int_ops += 1
            count.store("y", out, o, value * 0.5)
            count.requants += 1
            count.int_ops += 2
    elif op.kind is OpKind.MEAN:
        for i in np.ndindex(*inputs[0].shape):
            out[(0,) * (out.ndim - 1) + i[-1:]] += count.load("a", inputs[0], i)
            count.int_ops += 1
        for o in np.ndindex(*y.shape):
            count.store("y", out, o, out[o] / 4)
            count.requants += 1
            count.int_ops += 2
    else:
        x = tensors[op.inputs[0]]
        for oy, ox, _, _, iy, ix in taps(op, x, y, op.attributes.kernel):
            for c in range(y.shape[3]):
                out[0, oy, ox, c] += count.load("a", inputs[0], (0, iy, ix, c))
                count.int_ops += 1
        for o in np.ndindex(*y.shape):
            if op.kind is OpKind.AVERAGE_POOL_2D:
                count.requants += 1
            count.store("y", out, o, out[o])
            count.int_ops += 2
    return count


def element_bytes(tensor: Tensor) -> int:
    """Bytes of one element."""
    return DTYPES[tensor.dtype]
