"""Functions of one number that no device library has, and that a table of 256 values gives all the same."""

from __future__ import annotations

from enum import StrEnum


class CurveName(StrEnum):
    """Which function a CURVE is; what it computes says ``mcusim.kernels.reference.curves``."""

    ERF = "erf"
    SOFTPLUS = "softplus"
    SOFTSIGN = "softsign"
    MISH = "mish"
    SELU = "selu"
    CELU = "celu"
    ELU = "elu"
    LOG_SIGMOID = "log_sigmoid"
    THRESHOLD = "threshold"
    SHRINK = "shrink"
    HARD_SIGMOID = "hard_sigmoid"
    CLIP = "clip"
    SINE = "sine"
    COSINE = "cosine"
