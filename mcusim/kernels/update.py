"""Updates of learned parameters."""

from mcusim.kernels.reference import bias_rule, weight_rule

__all__ = ["bias_rule", "weight_rule"]
