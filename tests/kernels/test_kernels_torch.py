"""Gradients agree with PyTorch autograd on the dequantised network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_cases import SEEDS, Case, binary, int8, pool, quant, unary, weighted

from mcusim.graph import TRAITS, Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.kernels import backward, loss
from mcusim.kernels.columns import gather
from mcusim.kernels.forward import forward

torch = pytest.importorskip("torch")
F = torch.nn.functional
torch.set_num_threads(1)
pytestmark = pytest.mark.oracle


def real(values: np.ndarray, q: Quant, axis: int | None = None) -> torch.Tensor:
    """Return dequantised values as float64."""
    scale = q.scale.astype(np.float64)
    if axis is not None and scale.size > 1:
        scale = scale.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return torch.tensor((values.astype(np.float64) - q.zero_point) * scale, requires_grad=True)


def convolve(op: Op, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Return the op on NHWC reals, without bias and clamp."""
    a = op.attributes
    if op.kind is OpKind.FULLY_CONNECTED:
        return x.reshape(-1, w.shape[1]) @ w.T
    (top, bottom), (left, right) = a.padding
    nchw = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
    oihw = w.permute(3, 0, 1, 2) if depthwise else w.permute(0, 3, 1, 2)
    groups = x.shape[3] if depthwise else 1
    return F.conv2d(nchw, oihw, None, a.stride, 0, a.dilation, groups).permute(0, 2, 3, 1)


def close(mine: np.ndarray, theirs: np.ndarray) -> None:
    theirs = np.asarray(theirs, np.float64)
    np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-5 * max(np.abs(theirs).max(initial=0), 1e-3))


def input_gradient(case: Case, g: np.ndarray, mask, inputs, index: int = 0) -> np.ndarray:
    g_x = np.empty(case.tensors[case.op.inputs[index]].shape, np.float32)
    kernel = backward.grad_input(case.op, case.tensors, Arithmetic.FLOAT, index)
    kernel(g, 1.0, mask, inputs, g_x, 1.0, False)
    return g_x


@given(weighted((OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D, OpKind.FULLY_CONNECTED)), SEEDS)
@settings(max_examples=25)
def test_weighted_ops(case, seed):
    rng, t = np.random.default_rng(seed), case.tensors
    depthwise = case.op.kind is OpKind.DEPTHWISE_CONV_2D
    x = real(case.inputs[0], t["x"].quant)
    w = real(t["w"].data, t["w"].quant, 3 if depthwise else 0)
    s_y = float(t["y"].quant.scale[0]) if t["y"].dtype == "int8" else 1.0
    g = rng.standard_normal(case.output_shape).astype(np.float32)
    bits = rng.random(g.size) < 0.7
    # g is with respect to the integers y / s_y (or to the real accumulator).
    y = convolve(case.op, x, w) / s_y
    y.backward(torch.tensor(np.where(bits.reshape(g.shape), g, 0).astype(float)))
    mask = np.packbits(bits, bitorder="little")
    s_x, s_w = float(t["x"].quant.scale[0]), t["w"].quant.scale.astype(np.float64)
    close(input_gradient(case, g, mask, (t["w"].data,)), x.grad.numpy() * s_x)

    c_in = t["x"].shape[-1]
    channels = np.sort(rng.choice(c_in, rng.integers(1, c_in + 1), replace=False)).astype(np.int32)
    scale_shape = [1] * (w.dim() - 1)
    grad = w.grad.numpy() * s_w.reshape((*scale_shape, -1) if depthwise else (-1, *scale_shape))
    theirs = gather(case.op, grad, channels, c_in)
    block = np.empty(theirs.shape, np.float32)
    features = np.ascontiguousarray(case.inputs[0][..., channels])
    kernel = backward.grad_weight(case.op, t, Arithmetic.FLOAT)
    kernel(g, 1.0, mask, features, channels, block)
    close(block, theirs)


@given(binary(), SEEDS, st.integers(0, 1))
def test_binary_ops(case, seed, index):
    t = case.tensors
    a, b = (real(v, t[n].quant) for v, n in zip(case.inputs, "ab", strict=True))
    # Where both are equal all goes to the first; nothing passes a division by zero.
    divisor = torch.where(b == 0, 1.0, b)
    y = {
        OpKind.ADD: lambda: a + b, OpKind.SUB: lambda: a - b, OpKind.MUL: lambda: a * b,
        OpKind.DIV: lambda: torch.where(b == 0, 0.0, a / divisor),
        OpKind.MINIMUM: lambda: torch.where(a <= b, a, b), OpKind.MAXIMUM: lambda: torch.where(a >= b, a, b),
        OpKind.SQUARED_DIFFERENCE: lambda: (a - b) ** 2,
        OpKind.PRELU: lambda: torch.where(a >= 0, a, a * b),
    }[case.op.kind]()  # fmt: skip
    g = np.random.default_rng(seed).standard_normal(case.output_shape).astype(np.float32)
    (y / float(t["y"].quant.scale[0])).backward(torch.tensor(g.astype(float)))
    grad = (a, b)[index].grad
    theirs = (torch.zeros_like((a, b)[index]) if grad is None else grad).numpy() * float(
        t["ab"[index]].quant.scale[0]
    )
    close(input_gradient(case, g, None, case.inputs, index), theirs)


@given(pool(), SEEDS)
def test_pools(case, seed):
    t, a = case.tensors, case.op.attributes
    x = real(case.inputs[0], t["x"].quant)
    g = np.random.default_rng(seed).standard_normal(case.output_shape).astype(np.float32)
    if case.op.kind is OpKind.MEAN:
        y = x.mean(tuple(a.axes), keepdim=True)
    else:
        if case.op.kind is OpKind.MAX_POOL_2D:
            return  # ties: see the next test
        (top, bottom), (left, right) = a.padding
        pad = (left, right, top, bottom)
        sums = F.avg_pool2d(F.pad(x.permute(0, 3, 1, 2), pad), a.kernel, a.stride)
        counts = F.avg_pool2d(F.pad(torch.ones_like(x).permute(0, 3, 1, 2), pad), a.kernel, a.stride)
        y = (sums / counts).permute(0, 2, 3, 1)
    (y / float(t["y"].quant.scale[0])).backward(torch.tensor(g.astype(float)))
    close(input_gradient(case, g, None, (case.inputs[0],)), x.grad.numpy() * float(t["x"].quant.scale[0]))


@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.integers(0, 1))
def test_max_pool(seed, kernel, stride, padding):
    rng = np.random.default_rng(seed)
    # All values differ, so that there are no ties.
    x = (rng.permutation(7 * 6 * 4) - 84).astype(np.int8).reshape(1, 7, 6, 4)
    padding = min(padding, kernel // 2)
    q = quant(rng)
    leaf = torch.tensor(x.astype(float), requires_grad=True)
    y = F.max_pool2d(leaf.permute(0, 3, 1, 2), kernel, stride, padding).permute(0, 2, 3, 1)
    g = rng.standard_normal(tuple(y.shape)).astype(np.float32)
    y.backward(torch.tensor(g.astype(float)))
    tensors = {"x": Tensor("x", x.shape, "int8", q), "y": Tensor("y", g.shape, "int8", q)}
    a = Attributes(kernel=(kernel,) * 2, stride=(stride,) * 2, padding=((padding,) * 2,) * 2)
    case = Case(Op("op", OpKind.MAX_POOL_2D, ("x",), "y", a), tensors, (x,))
    close(input_gradient(case, g, None, (x, y.detach().numpy().astype(np.int8))), leaf.grad.numpy())


@given(unary(), SEEDS)
def test_single_elements(case, seed):
    t, kind = case.tensors, case.op.kind
    if t["x"].dtype != "int8" or kind is OpKind.CURVE:  # see tests/compress/test_compress_curves.py
        return
    x = real(case.inputs[0], t["x"].quant)
    g = np.random.default_rng(seed).standard_normal(case.output_shape).astype(np.float32)
    if kind in (OpKind.LOGISTIC, OpKind.TANH):
        # The derivative is taken from the output; a fine scale makes it nearly exact.
        fine = TRAITS[kind].scale
        t["y"] = Tensor("y", t["y"].shape, "int8", fine)
        case = replace(case, op=replace(case.op, attributes=Attributes()))
        y = case.output()
        forward(case.op, t, Arithmetic.TFLITE)(case.inputs, y)
        mine = input_gradient(case, g, None, (y,))
        y = torch.sigmoid(x) if kind is OpKind.LOGISTIC else torch.tanh(x)
        factor = float(t["x"].quant.scale[0]) / float(fine.scale[0])
        y.backward(torch.tensor(g.astype(float)))
        assert np.abs(mine - x.grad.numpy() * factor).max() <= 0.02 * np.abs(g).max() * factor
        return
    if TRAITS[kind].reads == ("output",):
        # From the output: what was put in follows from it, so that nothing is lost to rounding.
        inverses = {OpKind.SQRT: torch.square, OpKind.RSQRT: lambda y: y**-2.0, OpKind.EXP: torch.log}
        positive = replace(t["y"], quant=Quant.of(float(t["y"].quant.scale[0]), -128))
        y = np.maximum(case.inputs[0], -127).astype(np.int8)
        t["y"] = positive
        x = inverses[kind](real(y, positive.quant)).detach().requires_grad_()
        function = {OpKind.SQRT: torch.sqrt, OpKind.RSQRT: torch.rsqrt, OpKind.EXP: torch.exp}[kind]
        (function(x) / float(positive.quant.scale[0])).backward(torch.tensor(g.astype(float)))
        close(input_gradient(case, g, None, (y,)), x.grad.numpy() * float(t["x"].quant.scale[0]))
        return
    if kind is OpKind.LOG:
        x = real(np.maximum(case.inputs[0], -127), Quant.of(float(t["x"].quant.scale[0]), -128))
        t["x"] = replace(t["x"], quant=Quant.of(float(t["x"].quant.scale[0]), -128))
        case = replace(case, inputs=(np.maximum(case.inputs[0], -127).astype(np.int8),))
    slope = float(np.float32(case.op.attributes.alpha))
    functions = {
        OpKind.HARD_SWISH: F.hardswish,
        OpKind.LEAKY_RELU: lambda x: torch.where(x >= 0, x, slope * x),
        OpKind.ELU: F.elu,
        OpKind.GELU: F.gelu,
        OpKind.ABS: torch.abs,
        OpKind.LOG: torch.log,
    }
    y = functions.get(kind, lambda x: x * 1.0)(x)
    (y / float(t["y"].quant.scale[0])).backward(torch.tensor(g.astype(float)))
    close(input_gradient(case, g, None, case.inputs), x.grad.numpy() * float(t["x"].quant.scale[0]))


@given(SEEDS)
def test_ops_that_move_elements(seed):
    rng = np.random.default_rng(seed)
    q = quant(rng)
    x, z = int8(rng, 1, 3, 4, 5), int8(rng, 1, 3, 4, 2)
    leaf, other = real(x, q), real(z, q)
    pads = tuple(tuple(int(v) for v in rng.integers(0, 3, 2)) for _ in range(3))
    flat = [v for pair in reversed(pads) for v in pair]
    order = tuple(int(v) for v in rng.permutation(4))
    cases = (
        (OpKind.PAD, Attributes(pads=((0, 0), *pads)), F.pad(leaf, flat), ("x",)),
        (OpKind.TRANSPOSE, Attributes(axes=order), leaf.permute(order), ("x",)),
        (OpKind.PAD, Attributes(pads=((0, 0), *pads), fill=7), F.pad(leaf, flat), ("x",)),
        (
            OpKind.STRIDED_SLICE, Attributes(axes=(1, 3), begin=(2, 0), step=(-2, 2), shape=(2, 2)),
            leaf.flip(1)[:, ::2, :, 0:4:2], ("x",),
        ),
        (OpKind.TILE, Attributes(repeats=(1, 2, 1, 3)), leaf.repeat(1, 2, 1, 3), ("x",)),
        (
            OpKind.GATHER, Attributes(axes=(3,), indices=(4, 4, 0)),
            leaf.index_select(3, torch.tensor([4, 4, 0])), ("x",),
        ),
        (OpKind.REVERSE, Attributes(axes=(1, 2)), leaf.flip(1, 2), ("x",)),
        (
            OpKind.MIRROR_PAD, Attributes(pads=((0, 0), (2, 1), (1, 1), (0, 0))),
            F.pad(leaf.permute(0, 3, 1, 2), (1, 1, 2, 1), "reflect").permute(0, 2, 3, 1), ("x",),
        ),
        (
            OpKind.SPACE_TO_DEPTH, Attributes(block=1), leaf * 1.0, ("x",),
        ),
        (OpKind.DEPTH_TO_SPACE, Attributes(block=1), leaf * 1.0, ("x",)),
        (OpKind.CONCATENATION, Attributes(axes=(3,)), torch.cat((other, leaf), 3), ("z", "x")),
        (OpKind.RESHAPE, Attributes(shape=(1, 60)), leaf.reshape(1, 60), ("x",)),
        (
            OpKind.RESIZE_NEAREST_NEIGHBOR, Attributes(shape=(1, 6, 8, 5)),
            F.interpolate(leaf.permute(0, 3, 1, 2), (6, 8), mode="nearest").permute(0, 2, 3, 1), ("x",),
        ),
        (
            OpKind.RESIZE_BILINEAR, Attributes(shape=(1, 6, 8, 5), half_pixel_centers=True),
            F.interpolate(leaf.permute(0, 3, 1, 2), (6, 8), mode="bilinear").permute(0, 2, 3, 1), ("x",),
        ),
    )  # fmt: skip
    for kind, attributes, y, inputs in cases:
        g = rng.standard_normal(tuple(y.shape)).astype(np.float32)
        (theirs,) = torch.autograd.grad(y, leaf, torch.tensor(g.astype(float)))
        tensors = {
            "x": Tensor("x", x.shape, "int8", q), "z": Tensor("z", z.shape, "int8", q),
            "y": Tensor("y", g.shape, "int8", q),
        }  # fmt: skip
        case = Case(Op("op", kind, inputs, "y", attributes), tensors, ())
        close(input_gradient(case, g, None, (), len(inputs) - 1), theirs.numpy())


@given(SEEDS, st.integers(2, 9))
def test_softmax(seed, classes):
    rng = np.random.default_rng(seed)
    q = quant(rng)
    x = real(int8(rng, 2, classes), q)
    y = torch.softmax(1.5 * x, 1)
    g = rng.standard_normal((2, classes)).astype(np.float32)
    y.backward(torch.tensor(g.astype(float)))
    tensors = {"x": Tensor("x", g.shape, "int8", q), "y": Tensor("y", g.shape, "float32")}
    op = Op("op", OpKind.SOFTMAX, ("x",), "y", Attributes(beta=1.5))
    mine = input_gradient(Case(op, tensors, ()), g, None, (y.detach().numpy().astype(np.float32),))
    # Near p = 1 the difference g - Σ g p cancels in float32.
    np.testing.assert_allclose(mine, x.grad.numpy() * float(q.scale[0]), rtol=1e-3, atol=1e-6)


def compared(
    op: Op, tensors: dict[str, Tensor], y: torch.Tensor, leaf: torch.Tensor, rng: np.random.Generator, *,
    inputs: tuple[np.ndarray, ...] = (), index: int = 0,
) -> None:  # fmt: skip
    """Compare the gradient of a leaf with autograd's; ``y`` is in the output's integers."""
    g = rng.standard_normal(tuple(y.shape)).astype(np.float32)
    (theirs,) = torch.autograd.grad(y, leaf, torch.tensor(g.astype(float)))
    mine = input_gradient(Case(op, tensors, ()), g, None, inputs, index)
    close(mine, theirs.numpy() * float(tensors[op.inputs[index]].quant.scale[0]))


@given(SEEDS, st.integers(0, 1), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=20)
def test_products_of_matrices(seed, index, first, second, shared):
    rng = np.random.default_rng(seed)
    a, b = int8(rng, 1, 2, 3, 4), int8(rng, 1, 1 if shared else 2, 4, 5)
    a, b = (np.ascontiguousarray(np.swapaxes(v, 2, 3)) if t else v for v, t in ((a, first), (b, second)))
    quants = [quant(rng) for _ in range(3)]
    tensors = {n: Tensor(n, v.shape, "int8", q) for n, v, q in zip("ab", (a, b), quants, strict=False)}
    tensors["y"] = Tensor("y", (1, 2, 3, 5), "int8", quants[2])
    p, q = real(a, quants[0]), real(b, quants[1])
    y = (p.transpose(2, 3) if first else p) @ (q.transpose(2, 3) if second else q)
    op = Op("op", OpKind.BATCH_MATMUL, ("a", "b"), "y", Attributes(adjoint=(first, second)))
    compared(op, tensors, y / float(quants[2].scale[0]), (p, q)[index], rng, inputs=(a, b), index=index)


@given(SEEDS, st.sampled_from([OpKind.GROUPED_CONV_2D, OpKind.TRANSPOSE_CONV]), st.integers(1, 2))
@settings(max_examples=20)
def test_convolutions_in_groups_and_transposed(seed, kind, stride):
    """With respect to the input, and to the weights of some channels."""
    rng = np.random.default_rng(seed)
    grouped = kind is OpKind.GROUPED_CONV_2D
    x, w = int8(rng, 1, 5, 6, 4), int8(rng, 6, 3, 2, 2 if grouped else 4)
    quants = [quant(rng), Quant(rng.uniform(1e-3, 1e-2, 6).astype(np.float32), 0, 0), quant(rng)]
    leaf, weight = real(x, quants[0]), real(w, quants[1], 0)
    nchw = leaf.permute(0, 3, 1, 2)
    if grouped:
        y = F.conv2d(F.pad(nchw, (0, 1, 1, 0)), weight.permute(0, 3, 1, 2), None, stride, 0, 1, 2)
    else:
        y = F.conv_transpose2d(nchw, weight.permute(3, 0, 1, 2), None, stride)[:, :, 1:, :-1]
    y = y.permute(0, 2, 3, 1)
    tensors = {
        "x": Tensor("x", x.shape, "int8", quants[0]), "w": Tensor("w", w.shape, "int8", quants[1], w),
        "y": Tensor("y", tuple(y.shape), "int8", quants[2]),
    }  # fmt: skip
    padding = ((1, 0), (0, 1))
    a = Attributes(stride=(stride,) * 2, padding=padding, shape=() if grouped else tuple(y.shape))
    op = Op("op", kind, ("x", "w"), "y", a)
    g = rng.standard_normal(tensors["y"].shape).astype(np.float32)
    units = y / float(quants[2].scale[0])
    (real_gradient,) = torch.autograd.grad(units, weight, torch.tensor(g.astype(float)), retain_graph=True)
    compared(op, tensors, units, leaf, rng, inputs=(w,))
    channels = np.array([0, 1, 3], np.int32)
    theirs = real_gradient.numpy() * quants[1].scale.astype(float).reshape(-1, 1, 1, 1)
    theirs = gather(op, theirs, channels, 4)
    block, features = np.empty(theirs.shape, np.float32), np.ascontiguousarray(x[..., channels])
    backward.grad_weight(op, tensors, Arithmetic.FLOAT)(g, 1.0, None, features, channels, block)
    close(block, theirs)


@given(SEEDS, st.sampled_from([OpKind.SUM, OpKind.REDUCE_MAX, OpKind.REDUCE_MIN, OpKind.L2_NORMALIZATION]))
@settings(max_examples=30)
def test_reductions_and_lengths(seed, kind):
    rng = np.random.default_rng(seed)
    # All values differ, so that there are no ties.
    x = (rng.permutation(3 * 4 * 5) - 30).astype(np.int8).reshape(1, 3, 4, 5)
    q = quant(rng)
    y_quant = q if TRAITS[kind].scale == "input" else quant(rng)
    leaf = real(x, q)
    axes = (1, 3) if kind is not OpKind.L2_NORMALIZATION else (3,)
    y = {
        OpKind.SUM: lambda: leaf.sum(axes), OpKind.REDUCE_MAX: lambda: leaf.amax(axes),
        OpKind.REDUCE_MIN: lambda: leaf.amin(axes), OpKind.L2_NORMALIZATION: lambda: F.normalize(leaf, dim=3),
    }[kind]()  # fmt: skip
    tensors = {"x": Tensor("x", x.shape, "int8", q), "y": Tensor("y", tuple(y.shape), "int8", y_quant)}
    op = Op("op", kind, ("x",), "y", Attributes(axes=axes))
    compared(op, tensors, y / float(y_quant.scale[0]), leaf, rng, inputs=(x,))


@given(SEEDS, st.integers(2, 9))
def test_log_softmax(seed, classes):
    rng = np.random.default_rng(seed)
    q, fine = quant(rng), Quant.of(2.0**-12)
    x = real(int8(rng, 2, classes), Quant.of(float(q.scale[0]) * 0.05, q.zero_point))
    y = torch.log_softmax(x, 1)
    stored = np.clip(np.rint(y.detach().numpy() * 2**12), -(2**31), 0).astype(np.int32)
    tensors = {
        "x": Tensor("x", stored.shape, "int8", Quant.of(float(q.scale[0]) * 0.05, q.zero_point)),
        "y": Tensor("y", stored.shape, "int8", fine),
    }
    g = rng.standard_normal(stored.shape).astype(np.float32)
    (y * 2**12).backward(torch.tensor(g.astype(float)))
    mine = input_gradient(Case(Op("op", OpKind.LOG_SOFTMAX, ("x",), "y"), tensors, ()), g, None, (stored,))
    theirs = x.grad.numpy() * float(q.scale[0]) * 0.05
    np.testing.assert_allclose(mine, theirs, rtol=5e-3, atol=5e-3 * np.abs(theirs).max())


@given(SEEDS)
@settings(max_examples=10)
def test_a_whole_network(seed):
    """Convolution, depthwise, pointwise, residual addition, mean, float head, cross-entropy."""
    rng = np.random.default_rng(seed)
    c, classes = 8, 5
    shapes = {"c1": (c, 3, 3, 3), "c2": (1, 3, 3, c), "c3": (c, 1, 1, c)}
    t = {"x": Tensor("x", (1, 6, 6, 3), "int8", Quant.of(0.02, 5))}
    for name, shape in shapes.items():
        scale = rng.uniform(0.002, 0.004, c).astype(np.float32)
        axis = 3 if shape[0] == 1 else 0
        t[f"{name}.w"] = Tensor(f"{name}.w", shape, "int8", Quant(scale, 0, axis), int8(rng, *shape))
        bias = rng.integers(-500, 500, c).astype(np.int32)
        t[f"{name}.b"] = Tensor(f"{name}.b", (c,), "int32", None, bias)
        t[name] = Tensor(name, (1, 6, 6, c), "int8", Quant.of(0.01, int(rng.integers(-100, 0))))
    t["sum"] = Tensor("sum", (1, 6, 6, c), "int8", Quant.of(0.015, -20))
    t["mean"] = Tensor("mean", (1, 1, 1, c), "int8", t["sum"].quant)
    t["real"] = Tensor("real", (1, 1, 1, c), "float32")
    head = rng.standard_normal((classes, c)).astype(np.float32)
    t["h.w"], t["y"] = Tensor("h.w", head.shape, "float32", None, head), Tensor("y", (1, classes), "float32")
    same = Attributes(padding=((1, 1), (1, 1)))
    ops = [
        Op("c1", OpKind.CONV_2D, ("x", "c1.w", "c1.b"), "c1", same),
        Op("c2", OpKind.DEPTHWISE_CONV_2D, ("c1", "c2.w", "c2.b"), "c2", same),
        Op("c3", OpKind.CONV_2D, ("c2", "c3.w", "c3.b"), "c3"),
        Op("sum", OpKind.ADD, ("c1", "c3"), "sum"),
        Op("mean", OpKind.MEAN, ("sum",), "mean", Attributes(axes=(1, 2))),
        Op("real", OpKind.DEQUANTIZE, ("mean",), "real", Attributes(clamp=None)),
        Op("y", OpKind.FULLY_CONNECTED, ("real", "h.w"), "y", Attributes(clamp=None)),
    ]
    values, masks = {"x": int8(rng, 1, 6, 6, 3)}, {}
    for op in ops:
        values[op.output] = np.empty(t[op.output].shape, t[op.output].dtype)
        masked = op.name in ("c1", "c2", "c3", "sum")
        masks[op.name] = np.zeros(-(-values[op.output].size // 8), np.uint8) if masked else None
        inputs = tuple(values[n] for n in op.inputs if n in values)
        forward(op, t, Arithmetic.FLOAT)(inputs, values[op.output], masks[op.name])

    # PyTorch: straight through the rounding, with our masks and the values the integers stand for.
    leaves = {n: real(t[n].data, t[n].quant, 3 if n == "c2.w" else 0) for n in ("c1.w", "c2.w", "c3.w")}
    leaves["h.w"] = torch.tensor(head.astype(float), requires_grad=True)
    reals = {"x": real(values["x"], t["x"].quant)}
    for op in ops[:4]:
        sources = [reals[n] for n in op.inputs if n in reals]
        y = sum(sources) if op.kind is OpKind.ADD else convolve(op, sources[0], leaves[op.inputs[1]])
        bits = np.unpackbits(masks[op.name], count=y.numel(), bitorder="little").reshape(tuple(y.shape))
        y = y * torch.tensor(bits.astype(float))
        exact = real(values[op.output], t[op.output].quant).detach()
        reals[op.output] = y + (exact - y).detach()
    mean = reals["sum"].mean((1, 2), keepdim=True)
    mean = mean + (real(values["mean"], t["mean"].quant) - mean).detach()
    logits = mean.reshape(1, c) @ leaves["h.w"].T
    F.cross_entropy(logits, torch.tensor([3])).backward()

    g = {"y": np.empty((1, classes), np.float32)}
    loss.SoftmaxCrossEntropy()(values["y"].reshape(-1), 3, g["y"].reshape(-1))
    for op in reversed(ops):
        if op.weight is not None:
            source = values[op.inputs[0]]
            channels = np.arange(source.shape[-1], dtype=np.int32)
            theirs = leaves[op.weight].grad.numpy()
            if t[op.weight].quant is not None:
                axis = 3 if op.name == "c2" else 0
                scale = t[op.weight].quant.scale.astype(np.float64)
                theirs = theirs * scale.reshape([-1 if i == axis else 1 for i in range(4)])
            theirs = gather(op, theirs, channels, source.shape[-1])
            block = np.empty(theirs.shape, np.float32)
            kernel = backward.grad_weight(op, t, Arithmetic.FLOAT)
            kernel(g[op.output], 1.0, masks[op.name], source, channels, block)
            close(block, theirs)
        activations = [n for n in op.inputs if n in values and n != "x"]
        for index, name in enumerate(activations):
            first = name not in g
            g_x = g.setdefault(name, np.empty(values[name].shape, np.float32))
            needs = (t[op.weight].data,) if op.weight is not None else ()
            kernel = backward.grad_input(op, t, Arithmetic.FLOAT, index)
            kernel(g[op.output], 1.0, masks[op.name], needs, g_x, 1.0, not first)
