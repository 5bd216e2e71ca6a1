"""The memory figure of tiny-training: a second, named accounting, to compare with published numbers.

Source: arXiv 2206.15472 and its code (github.com/mit-han-lab/tiny-training, partial_backward). It counts
what learning adds to inference and nothing else: a one-bit mask for every output element and a 32-bit
bias for every output channel of the convolutions whose bias learns, 8 bits for every saved feature and
every learning weight, and the 8-bit features before the head. The head's weights, gradients, the forward
peak, im2col, master weights and the masks of additions count as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mcusim.graph import Model
from mcusim.graph.outputs import heads
from mcusim.update.channels import layers
from mcusim.update.selection import Scope, Selection


@dataclass(frozen=True, slots=True)
class Accounting:
    """The parts of tiny-training's figure, in bits, as they are counted there."""

    mask_bits: int
    bias_bits: int
    feature_bits: int
    weight_bits: int
    head_bits: int

    @property
    def bits(self) -> int:
        """The whole figure in bits."""
        return self.mask_bits + self.bias_bits + self.feature_bits + self.weight_bits + self.head_bits

    @property
    def kilobytes(self) -> float:
        """The whole figure in KB of 1024 bytes, as published."""
        return self.bits / 8 / 1024


def accounting(model: Model, selection: Selection | Scope) -> Accounting:
    """Return tiny-training's memory figure for one selection, or for the most a scheme selects."""
    known = layers(model)
    outputs = [model.tensors[model.op(name).output].shape for name in selection.biases]
    chosen = [
        (known[name], channels if isinstance(channels, int) else len(channels))
        for name, channels in selection.channels.items()
    ]
    named = heads(model) if selection.head else ()
    return Accounting(
        mask_bits=sum(prod(shape) for shape in outputs),
        bias_bits=sum(shape[-1] for shape in outputs) * 32,
        feature_bits=sum(item.channel_features * count for item, count in chosen) * 8,
        weight_bits=sum(item.channel_weights * count for item, count in chosen) * 8,
        head_bits=sum(model.tensors[model.op(name).inputs[0]].shape[-1] * 8 for name in named),
    )
