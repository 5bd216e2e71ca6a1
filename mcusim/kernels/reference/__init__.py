"""The slow twins: every kernel once more, as plainly as it can be written.

They define the results. The fast kernels must agree with them bit for bit.
"""

from mcusim.kernels.reference.backward import GRADIENTS, grad_bias, grad_input, grad_weight
from mcusim.kernels.reference.forward import FORWARD, forward
from mcusim.kernels.reference.loss import (
    mean_squared_error,
    pixel_cross_entropy,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from mcusim.kernels.reference.update import bias_rule, weight_rule

__all__ = [
    "FORWARD",
    "GRADIENTS",
    "bias_rule",
    "forward",
    "grad_bias",
    "grad_input",
    "grad_weight",
    "mean_squared_error",
    "pixel_cross_entropy",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "weight_rule",
]
