"""Number formats of learning weights, learning biases and error tensors: one class each, all listed here."""

from mcusim.kernels.number_formats.base import (
    ErrorFormat,
    Extra,
    FormatList,
    ParameterFormat,
    ParameterFormats,
)
from mcusim.kernels.number_formats.errors import Float32Error, Int8Error, Int16Error
from mcusim.kernels.number_formats.master import Int8Master
from mcusim.kernels.number_formats.nearest import Int8, Int32
from mcusim.kernels.number_formats.plain import PlainBias, PlainWeight
from mcusim.kernels.number_formats.residual import Int8Residual, Int32Residual
from mcusim.kernels.number_formats.stochastic import Int8Stochastic, Int32Stochastic

__all__ = ["BIASES", "ERRORS", "WEIGHTS", "ErrorFormat", "Extra", "ParameterFormat", "ParameterFormats"]

WEIGHTS = ParameterFormats(
    "weight format",
    PlainWeight(),
    Int8Stochastic(),
    Int8(),
    Int8Residual(),
    Int8Master(),
)
"""Formats of learning weights."""

BIASES = ParameterFormats(
    "bias format",
    PlainBias(),
    Int32(),
    Int32Stochastic(),
    Int32Residual(),
)
"""Formats of learning biases."""

ERRORS = FormatList[ErrorFormat](
    "error format",
    Float32Error(),
    Int16Error(),
    Int8Error(),
)
"""Formats of error tensors."""
