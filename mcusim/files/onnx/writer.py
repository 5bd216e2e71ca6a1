"""Networks out again: a `Model` as an ``.onnx`` file in the QuantizeLinear/DequantizeLinear (QDQ) form.

Every int8 tensor is a pair of these nodes around the real numbers it stands for, every weight a constant
behind a DequantizeLinear. Inputs and outputs are float32 and planes first, as ONNX has them. ONNX Runtime
computes an op as the arithmetic profile ``float`` does, to one unit of its output's last place: it joins
nodes in its own way, and takes float32 where integers would do. Through a deep network such units add up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mcusim.core import BadModel, MissingPackage
from mcusim.files.names import NAMES
from mcusim.files.onnx import curves
from mcusim.files.onnx.file import INT32, INT64, OnnxFile
from mcusim.files.onnx.graph import NCHW, NHWC, Shape, onnx_shape
from mcusim.graph import TRAITS, Attributes, Model, Op, OpKind, OpTable
from mcusim.graph.curves import CurveName
from mcusim.graph.states import require_stateless
from mcusim.graph.traits import RESIZES, UNARY
from mcusim.graph.validate import validate

LARGE = 2**31 - 1


def to_onnx(model: Model) -> bytes:
    """Return ``model`` as the bytes of an ``.onnx`` file.

    Raises:
        BadModel: if an op has a form that ONNX cannot express, or activations have 16 bits.
        MissingPackage: if ``onnx`` is not installed.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingPackage("onnx", "writing an .onnx file", "onnx") from error
    validate(model)
    require_stateless(model, "is written with ops alone", "save it as .npz")
    for tensor in model.tensors.values():
        if tensor.dtype == "int16":
            reason = "is of 16 bits, and is computed as no ONNX runtime does"
            raise BadModel(f"{model.name}: tensor {tensor.name!r}", reason, "save it as .tflite")
    file = OnnxFile(model)
    for name in model.inputs:
        tensor = model.tensors[name]
        file.input(tensor)
    for op in model.ops:
        WRITTEN.of(op)(file, op)
    return file.finish()


Writer = Callable[[OnnxFile, Op], None]


def _rank(f: OnnxFile, op: Op) -> int:
    return len(f.model.tensors[op.output].shape)


def _raw(op: Op) -> str:
    return f"{op.output}.raw"


def _place(axis: int, rank: int) -> int:
    """Return where a stored dimension lies in ONNX's order."""
    return NHWC[axis % rank] if rank == 4 else axis % rank


def _window(a: Attributes) -> dict[str, Any]:
    (top, bottom), (left, right) = a.padding
    return {"strides": a.stride, "pads": (top, left, bottom, right)}


def _conv(f: OnnxFile, op: Op) -> None:
    x, w = (f.model.tensors[name] for name in op.inputs[:2])
    depthwise = op.kind is OpKind.DEPTHWISE_CONV_2D
    order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    groups = x.shape[3] if depthwise else x.shape[3] // w.shape[3]
    inputs = [op.inputs[0], *f.parameters(op, order)]
    a = op.attributes
    more = {"dilations": a.dilation, "group": groups, "kernel_shape": w.shape[1:3]}
    f.finished(op, f.node("Conv", inputs, _raw(op), **_window(a), **more))


def _transpose_conv(f: OnnxFile, op: Op) -> None:
    x, w, a = f.model.tensors[op.inputs[0]], f.model.tensors[op.inputs[1]], op.attributes
    ends = []
    for i in range(2):
        whole = (x.shape[1 + i] - 1) * a.stride[i] + w.shape[1 + i]
        ends.append(whole - a.padding[i][0] - a.shape[1 + i])
    pads = (a.padding[0][0], a.padding[1][0], *(max(end, 0) for end in ends))
    inputs = [op.inputs[0], *f.parameters(op, (3, 0, 1, 2))]
    more = tuple(max(-end, 0) for end in ends)
    raw = f.node("ConvTranspose", inputs, _raw(op), strides=a.stride, pads=pads, output_padding=more)
    f.finished(op, raw)


def _fully_connected(f: OnnxFile, op: Op) -> None:
    x, w = (f.model.tensors[name] for name in op.inputs[:2])
    shape = f.model.tensors[op.output].shape
    rows = _stored(f, op.inputs[0], op.output)
    if len(x.shape) != 2 or x.shape[1] != w.shape[1]:
        rows = _reshaped(f, rows, f"{op.output}.rows", (-1, w.shape[1]))
    raw = f.node("Gemm", [rows, *f.parameters(op, (0, 1))], _raw(op), transB=1)
    if len(shape) != 2:
        raw = _planes(f, _reshaped(f, raw, f"{op.output}.shaped", shape), len(shape))
    f.finished(op, raw)


def _stored(f: OnnxFile, name: str, output: str, suffix: str = "") -> str:
    """Return a value with its dimensions as they are stored here: channels last."""
    if len(f.model.tensors[name].shape) != 4:
        return f.operand(name, 0)
    planes = f.operand(name, 4)
    return f.node("Transpose", [planes], f"{output}.last{suffix}", perm=NHWC)


def _planes(f: OnnxFile, value: str, rank: int) -> str:
    return f.node("Transpose", [value], f"{value}.planes", perm=NCHW) if rank == 4 else value


def _reshaped(f: OnnxFile, value: str, name: str, shape: Shape) -> str:
    return f.node("Reshape", [value, f.constant(f"{name}.shape", np.array(shape, np.int64))], name)


def _reshape(f: OnnxFile, op: Op) -> None:
    shape = f.model.tensors[op.output].shape
    found = _reshaped(f, _stored(f, op.inputs[0], op.output), f"{op.output}.shaped", shape)
    f.finished(op, _planes(f, found, len(shape)))


def _batch_matmul(f: OnnxFile, op: Op) -> None:
    sides = []
    for i, name in enumerate(op.inputs):
        side, rank = _stored(f, name, op.output, str(i)), len(f.model.tensors[name].shape)
        if op.attributes.adjoint[i]:
            turn = (*range(rank - 2), rank - 1, rank - 2)
            side = f.node("Transpose", [side], f"{op.output}.turned{i}", perm=turn)
        sides.append(side)
    f.finished(op, _planes(f, f.node("MatMul", sides, _raw(op)), _rank(f, op)))


def _pair(kind: str) -> Writer:
    def write(f: OnnxFile, op: Op) -> None:
        f.finished(op, f.node(kind, [f.operand(name, _rank(f, op)) for name in op.inputs], _raw(op)))

    return write


def _squared_difference(f: OnnxFile, op: Op) -> None:
    operands = [f.operand(name, _rank(f, op)) for name in op.inputs]
    difference = f.node("Sub", operands, f"{op.output}.difference")
    f.finished(op, f.node("Mul", [difference, difference], _raw(op)))


def _pads(op: Op, rank: int) -> list[int]:
    pads = [op.attributes.pads[i] for i in NCHW] if rank == 4 else list(op.attributes.pads)
    return [before for before, _ in pads] + [after for _, after in pads]


def _pad(f: OnnxFile, op: Op) -> None:
    output, fill = f.model.tensors[op.output], op.attributes.fill
    amounts = f.constant(f"{op.output}.pads", np.array(_pads(op, _rank(f, op)), np.int64))
    real = 0.0 if fill is None else fill
    if fill is not None and output.quant is not None:
        real = float(output.quant.scale[0]) * (fill - output.quant.zero_point)
    value = f.constant(f"{op.output}.fill", np.float32(real))
    f.finished(op, f.node("Pad", [op.inputs[0], amounts, value], _raw(op)))


def _mirror_pad(f: OnnxFile, op: Op) -> None:
    if op.attributes.symmetric:
        raise _inexpressible(op, "mirrors the edge itself")
    amounts = f.constant(f"{op.output}.pads", np.array(_pads(op, _rank(f, op)), np.int64))
    f.finished(op, f.node("Pad", [op.inputs[0], amounts], _raw(op), mode="reflect"))


def _inexpressible(op: Op, what: str) -> BadModel:
    return BadModel(
        f"op {op.name!r} ({op.kind})", f"{what}, which ONNX has no form for", "save it as .tflite or .npz"
    )


def _reduce(kind: str) -> Writer:
    def write(f: OnnxFile, op: Op) -> None:
        x, shape = f.model.tensors[op.inputs[0]], f.model.tensors[op.output].shape
        rank = len(x.shape)
        axes = sorted(_place(axis, rank) for axis in op.attributes.axes)
        names = [op.inputs[0], f.constant(f"{op.output}.axes", np.array(axes, np.int64))]
        left = [_place(i, rank) for i in range(rank) if _place(i, rank) not in axes]
        # What is left has the same order with channels first, or is brought into it.
        drops = len(shape) not in (4, rank) and left == sorted(left)
        raw = f.node(kind, names, _raw(op), keepdims=int(not drops))
        if len(shape) != rank and not drops:
            last = f.node("Transpose", [raw], f"{op.output}.last", perm=NHWC) if rank == 4 else raw
            raw = _planes(f, _reshaped(f, last, f"{op.output}.dropped", shape), len(shape))
        f.finished(op, raw)

    return write


def _pool(kind: str) -> Writer:
    def write(f: OnnxFile, op: Op) -> None:
        a = op.attributes
        f.finished(op, f.node(kind, [op.inputs[0]], _raw(op), kernel_shape=a.kernel, **_window(a)))

    return write


def _concat(f: OnnxFile, op: Op) -> None:
    rank = _rank(f, op)
    parts = [f.operand(name, rank) for name in op.inputs]
    f.finished(op, f.node("Concat", parts, _raw(op), axis=_place(op.attributes.axes[0], rank)))


def _transpose(f: OnnxFile, op: Op) -> None:
    order = op.attributes.axes
    if len(order) == 4:  # of ONNX's dimensions, where both are planes first
        order = tuple(NHWC[order[NCHW[i]]] for i in range(4))
    f.finished(op, f.node("Transpose", [op.inputs[0]], _raw(op), perm=order))


def _slice(f: OnnxFile, op: Op, axes: Shape, cuts: list[tuple[int, int, int]]) -> None:
    rank = _rank(f, op)
    ends = [first + step * count for first, step, count in cuts]
    parts = {
        "starts": [first for first, _, _ in cuts],
        "ends": [end if end >= 0 else -LARGE for end in ends],
        "axes": [_place(axis, rank) for axis in axes],
        "steps": [step for _, step, _ in cuts],
    }
    names = [f.constant(f"{op.output}.{name}", np.array(v, np.int64)) for name, v in parts.items()]
    f.finished(op, f.node("Slice", [op.inputs[0], *names], _raw(op)))


def _strided_slice(f: OnnxFile, op: Op) -> None:
    a = op.attributes
    _slice(f, op, a.axes, list(zip(a.begin, a.step, a.shape, strict=True)))


def _reverse(f: OnnxFile, op: Op) -> None:
    shape = f.model.tensors[op.inputs[0]].shape
    sizes = [shape[axis] for axis in op.attributes.axes]
    _slice(f, op, op.attributes.axes, [(size - 1, -1, size) for size in sizes])


def _tile(f: OnnxFile, op: Op) -> None:
    counts = op.attributes.repeats
    counts = tuple(counts[i] for i in NCHW) if len(counts) == 4 else counts
    repeats = f.constant(f"{op.output}.repeats", np.array(counts, np.int64))
    f.finished(op, f.node("Tile", [op.inputs[0], repeats], _raw(op)))


def _gather(f: OnnxFile, op: Op) -> None:
    indices = f.constant(f"{op.output}.indices", np.array(op.attributes.indices, np.int64))
    axis = _place(op.attributes.axes[0], _rank(f, op))
    f.finished(op, f.node("Gather", [op.inputs[0], indices], _raw(op), axis=axis))


def _blocks(kind: str) -> Writer:
    return lambda f, op: f.finished(op, f.node(kind, [op.inputs[0]], _raw(op), blocksize=op.attributes.block))


def _convert(f: OnnxFile, op: Op) -> None:
    """What is stored in another way is the same real numbers."""
    f.finished(op, f.operand(op.inputs[0], _rank(f, op)))


def _unary(kind: str) -> Writer:
    def write(f: OnnxFile, op: Op) -> None:
        more: dict[str, Any] = {}
        if op.kind is OpKind.LEAKY_RELU:
            more["alpha"] = op.attributes.alpha
        if op.kind is OpKind.GELU:
            more["approximate"] = "tanh" if op.attributes.approximate else "none"
        f.finished(op, f.node(kind, [op.inputs[0]], _raw(op), **more))

    return write


def _curve(f: OnnxFile, op: Op) -> None:
    a = op.attributes
    if a.curve is CurveName.CLIP:
        bounds = [f.constant(f"{op.output}.{v:g}", np.float32(v)) for v in (a.alpha, a.beta)]
        f.finished(op, f.node("Clip", [op.inputs[0], *bounds], _raw(op)))
        return
    found = curves.written(op.attributes)
    if found is None:
        raise _inexpressible(op, f"is the function {op.attributes.curve}")
    f.finished(op, f.node(found[0], [op.inputs[0]], _raw(op), **found[1]))


def _clamp(f: OnnxFile, op: Op) -> None:
    assert op.traits.activation is not None
    bounds = [
        f.constant(f"{op.output}.{side}", np.float32(bound)) if np.isfinite(bound) else ""
        for side, bound in zip(("floor", "ceiling"), op.traits.activation, strict=True)
    ]
    f.finished(op, f.node("Clip", [op.inputs[0], *bounds], _raw(op)))


def _rsqrt(f: OnnxFile, op: Op) -> None:
    root = f.node("Sqrt", [op.inputs[0]], f"{op.output}.root")
    f.finished(op, f.node("Reciprocal", [root], _raw(op)))


def _softmax(kind: str) -> Writer:
    def write(f: OnnxFile, op: Op) -> None:
        rank, x = _rank(f, op), op.inputs[0]
        if op.attributes.beta != 1:
            factor = f.constant(f"{op.output}.beta", np.float32(op.attributes.beta))
            x = f.node("Mul", [x, factor], f"{op.output}.scaled")
        axis = _place(op.attributes.axes[0] if op.attributes.axes else -1, rank)
        f.finished(op, f.node(kind, [x], _raw(op), axis=axis))

    return write


def _l2_normalization(f: OnnxFile, op: Op) -> None:
    axis = _place(-1, _rank(f, op))
    f.finished(op, f.node("LpNormalization", [op.inputs[0]], _raw(op), axis=axis, p=2))


def _resize(f: OnnxFile, op: Op) -> None:
    a, linear = op.attributes, op.kind is OpKind.RESIZE_BILINEAR
    way = "align_corners" if a.align_corners else "half_pixel" if a.half_pixel_centers else "asymmetric"
    named = {"mode": "linear" if linear else "nearest", "coordinate_transformation_mode": way}
    if not linear:
        named["nearest_mode"] = "floor" if way == "asymmetric" else "round_prefer_ceil"
    sizes = f.constant(f"{op.output}.sizes", np.array(onnx_shape(a.shape), np.int64))
    f.finished(op, f.node("Resize", [op.inputs[0], "", "", sizes], _raw(op), **named))


def _arg_max(f: OnnxFile, op: Op) -> None:
    x, output = f.model.tensors[op.inputs[0]], f.model.tensors[op.output]
    axis = _place(op.attributes.axes[0], len(x.shape))
    if len(output.shape) == 3 and axis != 1:
        raise _inexpressible(op, f"chooses along dimension {axis} of planes")
    place = f.node("ArgMax", [op.inputs[0]], _raw(op), axis=axis, keepdims=0)
    f.node("Cast", [place], op.output, to=INT64 if output.dtype == "int64" else INT32)


WRITTEN: OpTable[Writer] = OpTable(
    "writers of ONNX",
    {
        **dict.fromkeys((OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D, OpKind.GROUPED_CONV_2D), _conv),
        OpKind.FULLY_CONNECTED: _fully_connected,
        OpKind.TRANSPOSE_CONV: _transpose_conv,
        OpKind.BATCH_MATMUL: _batch_matmul,
        OpKind.ADD: _pair("Add"),
        OpKind.SUB: _pair("Sub"),
        OpKind.MUL: _pair("Mul"),
        OpKind.DIV: _pair("Div"),
        OpKind.MINIMUM: _pair("Min"),
        OpKind.MAXIMUM: _pair("Max"),
        OpKind.PRELU: _pair("PRelu"),
        OpKind.SQUARED_DIFFERENCE: _squared_difference,
        OpKind.PAD: _pad,
        OpKind.MIRROR_PAD: _mirror_pad,
        OpKind.MEAN: _reduce("ReduceMean"),
        OpKind.SUM: _reduce("ReduceSum"),
        OpKind.REDUCE_MAX: _reduce("ReduceMax"),
        OpKind.REDUCE_MIN: _reduce("ReduceMin"),
        OpKind.AVERAGE_POOL_2D: _pool("AveragePool"),
        OpKind.MAX_POOL_2D: _pool("MaxPool"),
        OpKind.RESHAPE: _reshape,
        OpKind.CONCATENATION: _concat,
        OpKind.TRANSPOSE: _transpose,
        OpKind.STRIDED_SLICE: _strided_slice,
        OpKind.REVERSE: _reverse,
        OpKind.TILE: _tile,
        OpKind.GATHER: _gather,
        OpKind.DEPTH_TO_SPACE: _blocks("DepthToSpace"),
        OpKind.SPACE_TO_DEPTH: _blocks("SpaceToDepth"),
        **dict.fromkeys((OpKind.QUANTIZE, OpKind.DEQUANTIZE), _convert),
        **{kind: _unary(NAMES[kind].onnx[0]) for kind in UNARY if NAMES[kind].onnx},
        **{kind: _clamp for kind in UNARY if TRAITS[kind].activation},
        OpKind.RSQRT: _rsqrt,
        OpKind.CURVE: _curve,
        OpKind.SOFTMAX: _softmax("Softmax"),
        OpKind.LOG_SOFTMAX: _softmax("LogSoftmax"),
        OpKind.L2_NORMALIZATION: _l2_normalization,
        **dict.fromkeys(RESIZES, _resize),
        OpKind.ARG_MAX: _arg_max,
    },
    {kind: "has no operator of ONNX" for kind in {*UNARY} - {OpKind.RSQRT} if not NAMES[kind].onnx},
)
"""By kind: what writes an op's nodes."""
