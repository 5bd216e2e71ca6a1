"""Losses."""

from mcusim.kernels.reference import mean_squared_error, softmax_cross_entropy

__all__ = ["mean_squared_error", "softmax_cross_entropy"]
