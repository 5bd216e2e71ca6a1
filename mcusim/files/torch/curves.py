"""PyTorch's functions of single numbers that become a table of 256 values.

Definitions: https://pytorch.org/docs/stable/nn.functional.html
"""

from __future__ import annotations

from collections.abc import Callable
from math import isclose
from typing import Any

from mcusim.files.torch.graph import TorchGraph
from mcusim.files.torch.layout import Held
from mcusim.files.torch.layout import stored as memory
from mcusim.graph import OpKind
from mcusim.graph.curves import CurveName

SELU = (1.6732632423543772, 1.0507009873554805)
"""alpha and scale."""


def drawn(g: TorchGraph, node: Any, curve: CurveName, x: Any, alpha: float = 1.0, beta: float = 1.0) -> Held:
    """Add one curve; in whatever order the numbers lie."""
    held = g.held(x)
    shape = memory(g.shape(x), held.order)
    name = g.op(node, OpKind.CURVE, (held.name,), shape, curve=curve, alpha=alpha, beta=beta)
    return Held(name, held.order)


def plain(curve: CurveName) -> Callable[..., Held]:
    """Return the rule of a curve without parameters."""
    return lambda g, node, x: drawn(g, node, curve, x)


def hard_shrink(g: TorchGraph, node: Any, x: Any, edge: Any = 0.5) -> Held:
    """Hardshrink."""
    return drawn(g, node, CurveName.SHRINK, x, float(edge), 0.0)


def soft_shrink(g: TorchGraph, node: Any, x: Any, edge: Any = 0.5) -> Held:
    """Softshrink."""
    return drawn(g, node, CurveName.SHRINK, x, float(edge), float(edge))


def elu(g: TorchGraph, node: Any, x: Any, alpha: Any = 1, scale: Any = 1, narrow: Any = 1) -> Held:
    """elu: ``scale`` and what is inside the exponential make of it what celu and selu are."""
    if (alpha, scale, narrow) == (1, 1, 1):
        held = g.held(x)
        return Held(g.op(node, OpKind.ELU, (held.name,), memory(g.shape(x), held.order)), held.order)
    if narrow == 1:
        curve = CurveName.ELU if scale == 1 else CurveName.SELU
        return drawn(g, node, curve, x, float(alpha), float(scale))
    if scale == 1 and isclose(alpha * narrow, 1, rel_tol=1e-6):
        return celu(g, node, x, alpha)
    raise g.fail(node, f"is scaled by {alpha}, {scale}, {narrow}")


def celu(g: TorchGraph, node: Any, x: Any, alpha: Any = 1) -> Held:
    """Celu."""
    return drawn(g, node, CurveName.CELU, x, float(alpha))


def selu(g: TorchGraph, node: Any, x: Any) -> Held:
    """Selu."""
    return drawn(g, node, CurveName.SELU, x, *SELU)


def softplus(g: TorchGraph, node: Any, x: Any, beta: Any = 1, threshold: Any = 20) -> Held:
    """softplus: beyond the threshold it is linear, which differs by less than float32 can tell."""
    if threshold < 15:
        raise g.fail(node, f"is linear beyond {threshold}")
    return drawn(g, node, CurveName.SOFTPLUS, x, float(beta))


def threshold(g: TorchGraph, node: Any, x: Any, edge: Any, value: Any) -> Held:
    """Threshold."""
    return drawn(g, node, CurveName.THRESHOLD, x, float(edge), float(value))


PLAIN = {
    "erf": CurveName.ERF, "mish": CurveName.MISH, "mish_": CurveName.MISH,
    "log_sigmoid": CurveName.LOG_SIGMOID, "sin": CurveName.SINE, "cos": CurveName.COSINE,
}  # fmt: skip
RULES: dict[str, Callable[..., Held]] = {
    **{name: plain(curve) for name, curve in PLAIN.items()},
    "elu": elu, "elu_": elu, "celu": celu, "celu_": celu, "selu": selu, "selu_": selu,
    "softplus": softplus, "threshold": threshold,
    "hardshrink": hard_shrink, "softshrink": soft_shrink,
}  # fmt: skip
"""By operation."""
