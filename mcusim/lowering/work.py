"""Exact work counts of graph ops, forward and backward, at batch 1.

What is counted, so that every cycle model reads the same numbers:

* ``macs``: multiply-accumulates whose tap falls inside the input; taps on padding do nothing.
* ``requants``: accumulators, or operands of an ADD, rescaled by a multiplier and shift.
* ``int_ops``, ``float_ops``: additions, comparisons, products on single elements beside the above.
* ``im2col_bytes``: bytes written into im2col columns by a convolution whose window is not 1x1,
  padding included, because a column is filled whole.
* ``sram_*``, ``flash_*``: *distinct* bytes touched, each counted once however often it is loaded. All
  constants are counted as read from flash; the builder of a step moves those that lie in SRAM there.

tests/lowering/test_lowering_work.py holds them against slow loops that count while they compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Literal

from mcusim.core import Work
from mcusim.graph import DTYPES, QUANTISED, Op, OpKind, Tensor
from mcusim.graph.traits import Family
from mcusim.kernels.columns import groups
from mcusim.lowering.counts import FORWARD, GRADIENT, scattered, windows

Tensors = Mapping[str, Tensor]
WINDOWED = (OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D)
STEM_CHANNELS = 4
What = Literal["grad_input", "grad_bias", "grad_weight", "update", "update_bias"]


def kind_of(op: Op, tensors: Tensors) -> str:
    """Return the name of the loop nest that a kernel library has for ``op``.

    Windows over few channels, such as those of a picture, have no inner loop over channels: ``stem``.
    """
    few = op.kind in WINDOWED and tensors[op.inputs[0]].shape[-1] <= STEM_CHANNELS
    if few and tensors[op.inputs[1]].shape[1:3] != (1, 1):
        return "stem"
    if op.kind is OpKind.CONV_2D:
        window = tensors[op.inputs[1]].shape[1:3]
        unpadded = op.attributes.padding == ((0, 0), (0, 0))
        return "pointwise" if window == (1, 1) and unpadded else "conv"
    return op.traits.loops


def forward_work(op: Op, tensors: Tensors) -> Work:
    """Return the work of an op's forward pass."""
    work = _other(op, tensors) if op.kind in FORWARD else _weighted(op, tensors)
    return _in_float(work) if tensors[op.output].dtype == "float32" else work


def backward_work(
    op: Op,
    tensors: Tensors,
    what: What,
    channels: int = 0,
    error_bytes: int = 4,
    kept: int | None = None,
) -> Work:
    """Return the work of one backward op of ``op``.

    Args:
        op: the op of the network.
        tensors: its tensors.
        what: which gradient, or which update of parameters.
        channels: selected input channels (``grad_weight``, ``update``).
        error_bytes: bytes of an element of an error tensor; below 4, gradients are rounded when stored.
        kept: pixels of the input that were saved (``grad_weight``); all if ``None``.
    """
    match what:
        case "grad_input":
            return _grad_input(op, tensors, error_bytes)
        case "grad_bias":
            return _grad_bias(op, tensors, error_bytes)
        case "grad_weight":
            return _grad_weight(op, tensors, channels, error_bytes, kept)
        case "update":
            element = DTYPES[tensors[op.inputs[1]].dtype]
            return _update(_gradient_elements(op, tensors, channels), element)
        case "update_bias":
            return _update(tensors[op.output].shape[-1], 4)


def _shape_of(op: Op, tensors: Tensors) -> tuple[int, int, int]:
    """Return (valid taps, input pixels touched, window positions used) of a weighted op."""
    if op.kind is OpKind.FULLY_CONNECTED:
        rows = tensors[op.output].elements // tensors[op.output].shape[-1]
        return rows, rows, 1
    x, weight, y = (tensors[name] for name in (op.inputs[0], op.inputs[1], op.output))
    if op.kind is OpKind.TRANSPOSE_CONV:
        return scattered(op, x, weight, y), x.shape[1] * x.shape[2], weight.shape[1] * weight.shape[2]
    return windows(op, tensors, (weight.shape[1], weight.shape[2]))


def _has_columns(op: Op, kind: str) -> bool:
    """True if kernels gather im2col columns for ``op``, of some kind."""
    return op.kind is OpKind.CONV_2D and kind != "pointwise"


def _macs(op: Op, tensors: Tensors, taps: int) -> int:
    weight = tensors[op.inputs[1]].shape
    return taps * (weight[-1] if op.kind is OpKind.DEPTHWISE_CONV_2D else weight[0] * weight[-1])


def _weighted(op: Op, tensors: Tensors) -> Work:
    x, weight, y = tensors[op.inputs[0]], tensors[op.inputs[1]], tensors[op.output]
    taps, pixels, positions = _shape_of(op, tensors)
    channels = weight.shape[-1] if op.kind is OpKind.FULLY_CONNECTED else x.shape[-1]
    kind = kind_of(op, tensors)
    window = 1 if op.kind is OpKind.FULLY_CONNECTED else weight.shape[1] * weight.shape[2]
    columns = y.elements // y.shape[-1] * window * channels * DTYPES[x.dtype] if _has_columns(op, kind) else 0
    bias = tensors[op.inputs[2]].bytes if op.bias else 0
    constants = weight.bytes // window * positions + bias
    clamps = 2 * y.elements if op.attributes.clamp is not None and y.dtype != "int32" else 0
    return Work(
        kind,
        macs=_macs(op, tensors, taps),
        outputs=y.elements,
        weight_bytes=weight.bytes,
        input_bytes=x.bytes,
        requants=0 if y.dtype == "int32" else y.elements,
        int_ops=(y.elements if op.bias else 0) + clamps,
        im2col_bytes=columns,
        sram_read=pixels * channels * DTYPES[x.dtype],
        sram_written=y.bytes,
        flash_read=constants,
    )


def _other(op: Op, tensors: Tensors) -> Work:
    y = tensors[op.output]
    inputs = [tensors[name] for name in dict.fromkeys(op.inputs)]
    macs, requants, int_ops, float_ops = FORWARD.of(op)(op, tensors)
    still = op.traits.family is Family.VIEW
    read = 0 if still else sum(t.bytes for t in inputs if not t.constant)
    return Work(
        kind_of(op, tensors),
        macs=macs,
        outputs=y.elements,
        input_bytes=sum(t.bytes for t in inputs),
        requants=requants,
        int_ops=int_ops,
        float_ops=float_ops,
        sram_read=read,
        sram_written=0 if still else y.bytes,
        flash_read=sum(t.bytes for t in inputs if t.constant),
    )


def _in_float(work: Work) -> Work:
    """Return the same work in float32: no rescaling; element operations and MACs become float ones."""
    return replace(
        work, macs=0, float_macs=work.macs, requants=0, int_ops=0, float_ops=work.int_ops + work.float_ops
    )


def mask_bytes(op: Op, output: Tensor) -> int:
    """Return the bytes of the clamp mask that the backward pass of ``op`` reads; 0 if it needs none."""
    clamps = op.attributes.clamp is not None and output.dtype in QUANTISED
    return (output.elements + 7) // 8 if clamps and op.traits.masked else 0


def _error_bytes(tensor: Tensor, error_bytes: int) -> int:
    return tensor.elements * (error_bytes if tensor.dtype in QUANTISED else 4)


def _grad_input(op: Op, tensors: Tensors, error_bytes: int) -> Work:
    x, y = tensors[op.inputs[0]], tensors[op.output]
    mask = mask_bytes(op, y)
    read, written = _error_bytes(y, error_bytes) + mask, _error_bytes(x, error_bytes)
    macs = weight_bytes = 0
    if op.traits.family in (Family.FILTER, Family.PRODUCT):  # as many as forward
        macs, weight_bytes = FORWARD.of(op)(op, tensors)[0], tensors[op.inputs[1]].bytes
    elif op.traits.weighted:
        weight_bytes = tensors[op.inputs[1]].bytes
        macs = _macs(op, tensors, _shape_of(op, tensors)[0])
    return Work(
        f"grad_input.{kind_of(op, tensors)}",
        float_macs=macs,
        outputs=x.elements,
        weight_bytes=weight_bytes,
        input_bytes=read,
        requants=x.elements if error_bytes < 4 and x.dtype in QUANTISED else 0,
        int_ops=y.elements if mask else 0,
        float_ops=GRADIENT.of(op)(x, y),
        sram_read=read,
        sram_written=written,
        flash_read=weight_bytes,
    )


def _grad_bias(op: Op, tensors: Tensors, error_bytes: int) -> Work:
    y = tensors[op.output]
    mask = mask_bytes(op, y)
    read = _error_bytes(y, error_bytes) + mask
    return Work(
        "grad_bias",
        outputs=y.shape[-1],
        input_bytes=read,
        int_ops=y.elements if mask else 0,
        float_ops=2 * y.elements,  # scale and sum
        sram_read=read,
        sram_written=4 * y.shape[-1],
    )


def _gradient_elements(op: Op, tensors: Tensors, channels: int) -> int:
    """Return how many weights ``channels`` input channels of a weighted op have."""
    weight = tensors[op.inputs[1]].shape
    outputs = weight[op.traits.channel_axis] // groups(op, tensors)
    return channels * prod(weight[1:-1]) * outputs


def errors_met(op: Op, tensors: Tensors, kept: int) -> tuple[int, int]:
    """Return how many output pixels, of how many, a weight gradient reads if ``kept`` pixels were saved.

    A pointwise op reads the errors of those pixels. Windows meet almost all errors, so all are read.
    """
    x, y, weight = (tensors[name].shape for name in (op.inputs[0], op.output, op.inputs[1]))
    pointwise = weight[1:3] == op.attributes.stride == (1, 1) and x[1:3] == y[1:3]
    return (kept if pointwise else y[1] * y[2], y[1] * y[2])


def _grad_weight(op: Op, tensors: Tensors, channels: int, error_bytes: int, kept: int | None) -> Work:
    """Of an input whose pixels are pruned, multiply-accumulates are the mean over the phases of the pattern,
    rounded up.
    """
    x, y, weight = tensors[op.inputs[0]], tensors[op.output], tensors[op.inputs[1]].shape
    taps = _shape_of(op, tensors)[0]
    elements = _gradient_elements(op, tensors, channels)
    count = groups(op, tensors)
    # A channel sees only the errors of its group, and the most that they can see if each is of another one.
    used = y.elements * min(channels, count) // count
    fully = op.kind is OpKind.FULLY_CONNECTED
    pixels = taps if fully else x.shape[1] * x.shape[2]
    mask = mask_bytes(op, y)
    if kept is not None:
        met, outputs = errors_met(op, tensors, kept)
        used, mask = used * met // outputs, -(-mask * met // outputs)
        taps, pixels = -(-taps * kept // pixels), kept
    read = pixels * channels * DTYPES[x.dtype] + used * _error_bytes(y, error_bytes) // y.elements + mask
    outputs_seen = weight[op.traits.channel_axis] // count
    return Work(
        f"grad_weight.{kind_of(op, tensors)}",
        float_macs=taps * channels * outputs_seen,
        outputs=elements,
        input_bytes=read,
        int_ops=pixels * channels + (used if mask else 0),  # x - zero point, mask bits
        # The scale s[c]; what makes a sum over the kept pixels one over all.
        float_ops=used + (elements if kept is not None else 0),
        sram_read=read,
        sram_written=4 * elements,
    )


def _update(elements: int, element_bytes: int) -> Work:
    """SGD: rate x QAS factor x gradient, subtract, round; two comparisons of the clamp."""
    moved = elements * element_bytes
    return Work(
        "update", outputs=elements, input_bytes=4 * elements, int_ops=2 * elements, float_ops=4 * elements,
        sram_read=4 * elements + moved, sram_written=moved,
    )  # fmt: skip
