"""What normalisations multiply by and add becomes a layer that learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mcusim
from mcusim.compress.quantize import fold, run
from mcusim.core import BadModel
from mcusim.data import from_arrays
from mcusim.files.torch.reader import from_torch
from mcusim.graph import OpKind

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore:float32 examples are taken as real values")


class Normalised(nn.Module):
    """A layer normalisation between two dense layers, of a shape of any rank."""

    def __init__(self, *, channels: int = 8) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(channels, channels), nn.LayerNorm(channels)
        self.head = nn.Linear(channels, 3)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.uniform_(self.norm.bias, -0.5, 0.5)

    def forward(self, x: Any) -> Any:
        x = self.norm(self.first(x))
        return self.head(torch.relu(x).flatten(1, -2).mean(1) if x.dim() > 2 else torch.relu(x))


def made(shape: tuple[int, ...]) -> tuple[Any, np.ndarray]:
    torch.manual_seed(1)
    x = np.random.default_rng(0).normal(size=(24, *shape)).astype(np.float32)
    return Normalised(channels=shape[-1]).eval(), x


@pytest.mark.parametrize("shape", [(8,), (5, 8)])
def test_gamma_and_beta_become_weight_and_bias(shape: tuple[int, ...]) -> None:
    module, x = made(shape)
    model = fold(from_torch(module, (1, *shape)))
    (op,) = [op for op in model.ops if op.kind is OpKind.DEPTHWISE_CONV_2D]
    weight, bias = (np.asarray(model.tensors[name].data).ravel() for name in op.inputs[1:])
    assert np.array_equal(weight, module.norm.weight.detach().numpy())
    assert np.array_equal(bias, module.norm.bias.detach().numpy())
    with torch.no_grad():
        assert np.allclose(run(model, x), module(torch.tensor(x)).numpy(), atol=1e-5)


def test_normalisation_before_activation_learns_too() -> None:
    torch.manual_seed(2)
    module = nn.Sequential(nn.AvgPool2d(2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3)).eval()
    nn.init.uniform_(module[1].weight, 0.5, 1.5)
    model = fold(from_torch(module, (1, 4, 8, 8)))
    kinds = [op.kind for op in model.ops]
    assert kinds == [OpKind.AVERAGE_POOL_2D, OpKind.DEPTHWISE_CONV_2D, OpKind.CONV_2D]
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.tensor(x.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    assert np.allclose(run(model, x), theirs, atol=1e-5)


@pytest.mark.parametrize("shape", [(8,), (5, 8)])
def test_gamma_and_beta_learn_by_the_gradient_of_pytorch(shape: tuple[int, ...]) -> None:
    """One update by the mean gradient of all examples moves them as far as PyTorch's would."""
    module, x = made(shape)
    labels = np.arange(24) % 3
    twin = mcusim.quantize(from_torch(module, (1, *shape)), x)
    (op,) = [op for op in twin.ops if op.kind is OpKind.DEPTHWISE_CONV_2D]
    nn.functional.cross_entropy(module(torch.tensor(x)), torch.tensor(labels)).backward()
    session = mcusim.Session(
        twin,
        "stm32h743",
        "dense",
        sgd=mcusim.Sgd(lr=4, accumulate=24),
        formats=mcusim.Formats(weight="float32"),
    )
    learned = session.train(from_arrays(x, labels, x, labels), epochs=1, schedule="constant").model
    for name, gradient in zip(op.inputs[1:], (module.norm.weight.grad, module.norm.bias.grad), strict=True):
        moved = _real(learned.tensors[name]) - _real(twin.tensors[name])
        wanted = -4 * gradient.numpy()
        assert np.corrcoef(moved, wanted)[0, 1] > 0.95
        assert np.abs(moved - wanted).max() < 0.2 * np.abs(wanted).max()


def test_attention_that_turns_the_batch_round_is_quantised() -> None:
    """Sequences first: examples cannot be computed side by side, so each goes through alone."""
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.head = attention, nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))

    module = Attending().eval()
    with pytest.raises(BadModel, match=r"\[8\]: has no dimension for a batch.*\[1, 8\]"):
        mcusim.quantize(from_torch(nn.Linear(8, 2), (8,)), np.zeros((4, 8), np.float32))
    x = np.random.default_rng(0).normal(size=(8, 6, 8)).astype(np.float32)
    twin = mcusim.quantize(from_torch(module, (1, 6, 8)), x)
    with torch.no_grad():
        theirs = module(torch.tensor(x)).numpy()
    assert np.corrcoef(mcusim.predict(twin, x).ravel(), theirs.ravel())[0, 1] > 0.99


def _real(tensor: Any) -> np.ndarray:
    assert tensor.quant is not None
    return np.asarray(tensor.data, np.float64).ravel() * tensor.quant.scale
