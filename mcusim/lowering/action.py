"""What an op of a step does."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What the engine does for an op of a step."""

    LOAD = "load"
    """The input arrives in SRAM (from a sensor or DMA)."""
    FRONT_END = "front_end"
    """The samples of a sound become the input."""
    REPLAY = "replay"
    """An example is kept, or one that was kept is learned again."""
    FORWARD = "forward"
    CROP = "crop"
    """Copy a spatial patch out of a tensor."""
    PASTE = "paste"
    """Copy a finished patch into its place in the whole tensor."""
    KEEP = "keep"
    """A state takes the value that it has in the next invocation."""
    SAVE = "save"
    """Keep the selected channels and pixels of an activation for the backward pass."""
    LOSS = "loss"
    PERTURB = "perturb"
    """Move parameters along a random direction: first one way, then the other."""
    PROBE = "probe"
    """The loss of the parameters as they were first moved."""
    ESTIMATE = "estimate"
    """Put moved parameters back, and step along the direction by the difference of the losses."""
    GRAD_INPUT = "grad_input"
    GRAD_BIAS = "grad_bias"
    """Gradient of the bias; applied at once unless gradients are accumulated."""
    GRAD_WEIGHT = "grad_weight"
    """Gradient of one selected channel after the other, each applied at once unless accumulated."""
    OBSERVE = "observe"
    """Gather the statistics a scheme selects by, and what selecting costs in every step."""
    UPDATE = "update"
    """Apply accumulated gradients; runs once every ``Step.accumulate`` steps."""
