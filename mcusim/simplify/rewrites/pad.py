"""PAD goes into what reads it: a convolution pads by itself, without a second copy of its input."""

from __future__ import annotations

from dataclasses import replace

from mcusim.graph import CONVOLUTIONS, Op, OpKind
from mcusim.graph.ops import Pads
from mcusim.simplify.draft import NetworkDraft


def pad(network: NetworkDraft) -> bool:
    """Let one reader of a PAD read what is padded.

    A convolution pads with its input's zero point, which is what PAD writes; for float32 both write 0. A
    second PAD adds its own elements. A max pool leaves out what lies beyond the image: that is the same where
    PAD writes the least value there is, and each window meets the image.
    """
    for first in network.ops:
        if first.kind is not OpKind.PAD or not _same_zero(network, first):
            continue
        for reader in network.readers(first.output):
            taken = _taken(network, first, reader)
            if taken is not None:
                network.put(reader, taken, first)
                return True
    return False


def _same_zero(network: NetworkDraft, op: Op) -> bool:
    x, y = (network.tensors[name].quant for name in (op.inputs[0], op.output))
    return x is y or (x is not None and x.same_as(y))


def _taken(network: NetworkDraft, first: Op, reader: Op) -> Op | None:
    """Return the reader with the padding in it, or ``None`` if it cannot take it."""
    attributes, pads = reader.attributes, first.attributes.pads
    inputs = (first.inputs[0], *reader.inputs[1:])
    if reader.kind is OpKind.PAD and _same_zero(network, reader):
        both = tuple((a + c, b + d) for (a, b), (c, d) in zip(pads, attributes.pads, strict=True))
        return replace(reader, inputs=inputs, attributes=replace(attributes, pads=both))
    if len(pads) != 4 or any(pads[0]) or any(pads[3]) or reader.inputs.count(first.output) != 1:
        return None
    rows, columns = ((a + c, b + d) for (a, b), (c, d) in zip(attributes.padding, pads[1:3], strict=True))
    padding: Pads = (rows, columns)
    if reader.kind is OpKind.MAX_POOL_2D:
        if not _pools_alike(network, first, reader, padding):
            return None
    elif reader.kind not in CONVOLUTIONS:
        return None
    return replace(reader, inputs=inputs, attributes=replace(attributes, padding=padding))


def _pools_alike(network: NetworkDraft, first: Op, reader: Op, padding: Pads) -> bool:
    x, y = network.tensors[first.inputs[0]], network.tensors[reader.output]
    if x.dtype != "int8" or x.quant is None or x.quant.zero_point != -128:
        return False
    a = reader.attributes
    for side in range(2):
        starts = (i * a.stride[side] - padding[side][0] for i in range(y.shape[1 + side]))
        if any(start + a.kernel[side] <= 0 or start >= x.shape[1 + side] for start in starts):
            return False
    return True
