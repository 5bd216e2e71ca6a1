"""Forward kernels of all ops, prepared from a network's constants."""

from mcusim.kernels.reference import forward

__all__ = ["forward"]
