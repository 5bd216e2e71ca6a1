"""Floor 3: the same network with fewer ops and tensors, before a step is made of it."""

from mcusim.simplify.simplify import Simplified, simplified

__all__ = ["Simplified", "simplified"]
