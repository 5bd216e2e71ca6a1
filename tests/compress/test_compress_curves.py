"""Functions that become a table of 256 values: as PyTorch computes them, with its slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import mcusim  # noqa: E402
from mcusim.compress.quantize.forward import run  # noqa: E402
from mcusim.core import BadModel, UnknownName  # noqa: E402
from mcusim.data import from_arrays  # noqa: E402
from mcusim.files.torch.reader import from_torch  # noqa: E402
from mcusim.graph import Attributes, Op, OpKind  # noqa: E402
from mcusim.graph.curves import CurveName  # noqa: E402
from mcusim.kernels.reference.curves import slope_of, value_of  # noqa: E402

F = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore:float32 examples are taken as real values")
FUNCTIONS: dict[str, tuple[Callable[..., Any], CurveName]] = {
    "erf": (torch.erf, CurveName.ERF),
    "softplus": (F.softplus, CurveName.SOFTPLUS),
    "softplus, narrower": (lambda x: F.softplus(x, beta=2), CurveName.SOFTPLUS),
    "softsign": (F.softsign, CurveName.SOFTSIGN),
    "mish": (F.mish, CurveName.MISH),
    "selu": (F.selu, CurveName.SELU),
    "celu": (lambda x: F.celu(x, alpha=0.7), CurveName.CELU),
    "elu": (lambda x: F.elu(x, alpha=0.7), CurveName.ELU),
    "log of sigmoid": (F.logsigmoid, CurveName.LOG_SIGMOID),
    "threshold": (lambda x: F.threshold(x, 0.3, -0.5), CurveName.THRESHOLD),
    "hard shrink": (lambda x: F.hardshrink(x, 0.4), CurveName.SHRINK),
    "soft shrink": (lambda x: F.softshrink(x, 0.4), CurveName.SHRINK),
    "hard sigmoid": (F.hardsigmoid, CurveName.HARD_SIGMOID),
    "clip": (lambda x: torch.clamp(x, -0.4, 0.7), CurveName.CLIP),
    "sine": (torch.sin, CurveName.SINE),
    "cosine": (torch.cos, CurveName.COSINE),
}


SPELLED: dict[CurveName, dict[str, float]] = {
    CurveName.SOFTSIGN: {}, CurveName.HARD_SIGMOID: {"alpha": 1 / 6, "beta": 0.5},
    CurveName.CLIP: {"alpha": -0.4, "beta": 0.7},
}  # fmt: skip
"""What is read from PyTorch as the ops that it amounts to."""


class Between(torch.nn.Module):  # type: ignore[misc]
    """A function between two layers."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.function, self.first = function, torch.nn.Conv2d(3, 8, 3, stride=2)
        self.last = torch.nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        return self.last(self.function(self.first(x)).mean((2, 3)))


def test_every_curve_is_one_of_pytorch() -> None:
    assert {curve for _, curve in FUNCTIONS.values()} == {*CurveName}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_is_read_and_has_the_slope_of_pytorch(name: str) -> None:
    function, curve = FUNCTIONS[name]
    module, x = Between(function).eval(), np.random.default_rng(0).normal(0, 2, (2, 3, 9, 9))
    model = from_torch(module, (1, 3, 9, 9))
    plain = Op("op", OpKind.CURVE, ("x",), "y", Attributes(curve=curve, **SPELLED.get(curve, {})))
    op = next((op for op in model.ops if op.kind is OpKind.CURVE), plain)
    assert op is not plain or curve in SPELLED
    assert op.attributes.curve is curve
    x = x.astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.tensor(x)).numpy()
    ours = np.concatenate([run(model, x[i : i + 1].transpose(0, 2, 3, 1)) for i in range(2)])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    at = torch.linspace(-6.03, 6.01, 200, dtype=torch.float64, requires_grad=True)
    value = function(at)
    (slope,) = torch.autograd.grad(value.sum(), at)
    points = at.detach().numpy().astype(np.float32)
    np.testing.assert_allclose(value_of(op, points), value.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(slope_of(op, points), slope.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mish", "softplus", "selu"])
def test_a_network_with_one_is_quantised_and_learns(name: str) -> None:
    x = np.random.default_rng(1).normal(size=(32, 3, 9, 9)).astype(np.float32)
    module, labels = Between(FUNCTIONS[name][0]).eval(), (x.mean((1, 2, 3)) > 0).astype(int)
    inputs = x.transpose(0, 2, 3, 1)
    twin = mcusim.quantize(module, inputs, arithmetic="float")
    theirs = module(torch.tensor(x)).detach().numpy().argmax(1)
    ours = mcusim.predict(twin, inputs).argmax(1)
    assert (ours == theirs).mean() > 0.8
    run_of = mcusim.Session(twin, "stm32h743", "dense", sgd=mcusim.Sgd(lr=0.05)).train(
        from_arrays(inputs, labels), epochs=4
    )
    assert run_of.rows[-1]["loss"] < run_of.rows[0]["loss"]


def test_a_function_with_a_parameter_that_means_nothing_is_refused() -> None:
    from mcusim.graph.validate import _check_attributes

    for attributes in (Attributes(curve=CurveName.CELU, alpha=0.0), Attributes()):
        with pytest.raises(BadModel):
            _check_attributes(Op("op", OpKind.CURVE, ("x",), "y", attributes), "op")


def test_an_arithmetic_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownName, match="tflite"):
        mcusim.quantize(Between(torch.erf).eval(), np.zeros((1, 9, 9, 3), np.float32), arithmetic="tflit")
