"""Backward kernels of all ops."""

from mcusim.kernels.reference import grad_bias, grad_input, grad_weight

__all__ = ["grad_bias", "grad_input", "grad_weight"]
