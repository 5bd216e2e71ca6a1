"""The words of the field, spelled once: roles of bytes, regions of memory, phases of a step."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a byte is for. Every byte of SRAM has exactly one role, and reports show all roles."""

    INPUT = "input"
    ACTIVATION = "activation"
    """Forward working tensors, dead before the backward pass needs them."""
    FEATURE = "feature"
    """Activations, or channels of them, saved for the backward pass."""
    MASK = "mask"
    """One bit an element: was the output inside the clamp."""
    ERROR = "error"
    """Gradients with respect to activations."""
    WEIGHT = "weight"
    """Learning weights, with residuals or master weights; in flash: constants."""
    BIAS = "bias"
    HEAD = "head"
    GRADIENT = "gradient"
    OPTIMIZER = "optimizer"
    SCRATCH = "scratch"
    """Live during one op only: im2col columns, accumulators, planes of in-place ops."""
    RUNTIME = "runtime"
    """Stack, heap and static data of the firmware."""
    CODE = "code"
    QUANT = "quant"
    """Scales, multipliers and shifts."""
    CHECKPOINT = "checkpoint"
    """Learned parameters written back to flash, spare copy included."""
    REPLAY = "replay"
    """Examples that are kept to be learned again, in SRAM or flash."""
    STATE = "state"
    """What a streaming network keeps from one invocation to the next."""


SRAM_ROLES = (
    Role.INPUT, Role.ACTIVATION, Role.FEATURE, Role.MASK, Role.ERROR, Role.WEIGHT, Role.BIAS,
    Role.HEAD, Role.GRADIENT, Role.OPTIMIZER, Role.REPLAY, Role.STATE, Role.SCRATCH,
    Role.RUNTIME,
)  # fmt: skip
FLASH_ROLES = (
    Role.CODE, Role.WEIGHT, Role.BIAS, Role.HEAD, Role.QUANT, Role.CHECKPOINT, Role.REPLAY,
)  # fmt: skip


class Region(StrEnum):
    """Where a byte lies."""

    SRAM = "sram"
    FLASH = "flash"


class Phase(StrEnum):
    """Which part of a training step an op belongs to."""

    FORWARD = "forward"
    LOSS = "loss"
    BACKWARD = "backward"
    UPDATE = "update"
    STORE = "store"
    """Write-back of learned parameters to flash."""
