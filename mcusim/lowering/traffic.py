"""Which bytes of which tensors an op moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mcusim.core import Kind, Phase, Work, is_kind
from mcusim.lowering.action import Action


class Traffic(NamedTuple):
    """Distinct bytes of one tensor that an op reads and writes, each counted once however often."""

    tensor: str
    read: int
    written: int


Moved = dict[str, int]
"""Bytes of each tensor."""


def moved(
    action: Action, phase: Phase, reads: Iterable[str], writes: Iterable[str], scratch: str | None,
    mask: str | None, sizes: Mapping[str, int], partly: Mapping[str, int],
) -> tuple[Moved, Moved]:  # fmt: skip
    """Return what an op reads, and what it writes, of each tensor in SRAM.

    Scratch is written and read; a mask is written by the forward pass and read by the backward pass.
    DMA, not the core, brings the input, and channel numbers are written once a stage, not in a step.

    Args:
        action, phase, reads, writes, scratch, mask: of the op.
        sizes: bytes of every tensor; those that are missing are empty.
        partly: bytes touched of tensors that are not touched whole.
    """
    if action is Action.LOAD:
        return {}, {}
    read = {name: sizes.get(name, 0) for name in reads}
    written = {name: sizes.get(name, 0) for name in writes if not is_kind(name, Kind.CHANNELS)}
    if scratch is not None:
        read[scratch] = written[scratch] = sizes[scratch]
    if mask is not None:
        (written if phase is Phase.FORWARD else read)[mask] = sizes[mask]
    for name, count in partly.items():
        for side in (read, written):
            if name in side:
                side[name] = count
    return read, written


def counted(work: Work, action: Action, read: Moved, written: Moved) -> Work:
    """Return work that was counted with all constants in flash, with the bytes that an op really moves."""
    flash = work.flash_read
    if flash and action in (Action.FORWARD, Action.GRAD_INPUT):
        flash -= sum(count for name, count in read.items() if is_kind(name, Kind.VALUE))
    return work.moving(sum(read.values()), sum(written.values()), flash)
