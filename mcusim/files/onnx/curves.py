"""ONNX operators on single numbers that take parameters, and those that become a table of 256 values.

Operator definitions, defaults of attributes among them: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcusim.files.onnx.graph import OnnxGraph, Value
from mcusim.files.onnx.proto import Node
from mcusim.graph import Attributes, OpKind
from mcusim.graph.curves import CurveName

NAMED: Mapping[str, tuple[CurveName, tuple[tuple[str, float], ...]]] = {
    "Erf": (CurveName.ERF, ()),
    "Softplus": (CurveName.SOFTPLUS, ()),
    "Softsign": (CurveName.SOFTSIGN, ()),
    "Mish": (CurveName.MISH, ()),
    "Selu": (CurveName.SELU, (("alpha", 1.6732631921768188), ("gamma", 1.0507010221481323))),
    "Celu": (CurveName.CELU, (("alpha", 1.0),)),
    "Elu": (CurveName.ELU, (("alpha", 1.0),)),
    "ThresholdedRelu": (CurveName.THRESHOLD, (("alpha", 1.0),)),
    "Shrink": (CurveName.SHRINK, (("lambd", 0.5), ("bias", 0.0))),
    "Sin": (CurveName.SINE, ()),
    "Cos": (CurveName.COSINE, ()),
}
"""By operator: its curve, and its attributes with their defaults, which are alpha and beta."""


def curve(g: OnnxGraph, node: Node) -> Value:
    """One of the operators above."""
    found, given = NAMED[node.kind]
    alpha, beta = (*(float(node.attributes.get(name, value)) for name, value in given), 1.0, 1.0)[:2]
    if found is CurveName.ELU and alpha == 1:
        return g.pend(node, OpKind.ELU, [g.value(node, 0)])
    if found is CurveName.THRESHOLD:
        beta = 0.0
    return drawn(g, node, found, alpha, beta)


def drawn(g: OnnxGraph, node: Node, found: CurveName, alpha: float, beta: float) -> Value:
    """Return one curve of a node's input."""
    return g.pend(node, OpKind.CURVE, [g.value(node, 0)], curve=found, alpha=alpha, beta=beta)


def gelu(g: OnnxGraph, node: Node) -> Value:
    """Gelu."""
    approximate = node.attributes.get("approximate", "none") == "tanh"
    return g.pend(node, OpKind.GELU, [g.value(node, 0)], approximate=approximate)


def leaky_relu(g: OnnxGraph, node: Node) -> Value:
    """LeakyRelu."""
    alpha = float(node.attributes.get("alpha", 0.01))
    return g.pend(node, OpKind.LEAKY_RELU, [g.value(node, 0)], alpha=alpha)


def written(a: Attributes) -> tuple[str, dict[str, Any]] | None:
    """Return the operator that a CURVE is in ONNX, and its attributes; None if there is none."""
    assert a.curve is not None
    if a.curve is CurveName.HARD_SIGMOID:
        return "HardSigmoid", {"alpha": a.alpha, "beta": a.beta}
    if (a.curve is CurveName.THRESHOLD and a.beta) or (a.curve is CurveName.SOFTPLUS and a.alpha != 1):
        return None
    for name, (found, given) in NAMED.items():
        if found is a.curve:
            named = zip((parameter for parameter, _ in given), (a.alpha, a.beta), strict=False)
            return name, dict(named)
    return None
