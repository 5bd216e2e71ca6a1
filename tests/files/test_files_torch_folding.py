"""PyTorch modules that make constants, recurrent ones among them: the numbers of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mcusim
from mcusim.core import BadModel
from mcusim.data import from_arrays
from mcusim.engine.inference import Inference
from mcusim.files.torch.reader import from_torch, load_exported
from mcusim.graph import OpKind

torch = pytest.importorskip("torch")
from mcusim.compress.quantize import run  # noqa: E402

nn = torch.nn
ROWS = (1, 6, 8)


class Of(nn.Module):  # type: ignore[misc, name-defined]
    """A function of the input and of layers."""

    def __init__(self, function: Callable[..., Any], *layers: Any) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        return self.function(x, *self.layers)


def recurrent(kind: str, **more: Any) -> Of:
    torch.manual_seed(0)
    return Of(lambda x, layer: layer(x)[0], getattr(nn, kind)(8, 5, batch_first=True, **more))


CASES: dict[str, tuple[tuple[int, ...], Any]] = {
    "positions": (ROWS, Of(lambda x: x + torch.arange(48.0).view(1, 6, 8) / 10)),
    "a range by steps": (ROWS, Of(lambda x: x * torch.arange(1, 17, 2))),
    "waves": (ROWS, Of(lambda x: x + torch.sin(torch.arange(8.0) * 0.1 + 1))),
    "ones like it": (ROWS, Of(lambda x: x - torch.ones_like(x) * 2)),
    "numbers in the code": ((1, 4, 3, 5), Of(lambda x: x * torch.tensor([1.0, 2, 3, 4]).view(1, 4, 1, 1))),
    "a matrix in the code": ((1, 12), Of(lambda x: x @ torch.ones(12, 3))),
    "parts of a parameter": (ROWS, Of(lambda x, w: x @ w.weight.split([3, 5])[1].t(), nn.Linear(8, 8))),
    "unbound": ((1, 3, 8), Of(lambda x: torch.mul(*x.unbind(1)[:2]))),
    "lstm": (ROWS, recurrent("LSTM")),
    "two lstm layers": (ROWS, recurrent("LSTM", num_layers=2)),
    "lstm both ways": (ROWS, recurrent("LSTM", bidirectional=True)),
    "gru": (ROWS, recurrent("GRU")),
    "gru without biases": (ROWS, recurrent("GRU", bias=False)),
    "rnn": (ROWS, recurrent("RNN")),
    "rnn of relu": (ROWS, recurrent("RNN", nonlinearity="relu")),
    "normalised before": (
        (1, 8, 6),
        Of(lambda x, n, g: g(n(x).transpose(1, 2))[0], nn.BatchNorm1d(8), nn.GRU(8, 3, batch_first=True)),
    ),
    "the other way": ((1, 12), Of(lambda x: 1 - x)),
    "negative": ((1, 12), Of(lambda x: -x)),
    "quotient": ((1, 12), Of(lambda x: 2 / (x.abs() + 1))),
    "square": ((1, 12), Of(lambda x: x**2)),
    "root": ((1, 12), Of(lambda x: (x.abs() + 1) ** -0.5)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_computes_what_pytorch_computes(name: str) -> None:
    shape, module = CASES[name]
    torch.manual_seed(1)
    x = torch.randn(shape)
    with torch.no_grad():
        wanted = module.eval()(x).numpy()
    model = from_torch(module, shape)
    given = x.numpy().transpose(0, 2, 3, 1) if len(shape) == 4 else x.numpy()
    found = run(model, given.reshape(model.input.shape) if name != "normalised before" else given)
    wanted = wanted.transpose(0, 2, 3, 1) if wanted.ndim == 4 else wanted
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


class Classifier(nn.Module):  # type: ignore[misc, name-defined]
    """The last moment of a GRU, classified."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(8, 12, batch_first=True), nn.Linear(12, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.gru(x)[0][:, -1])


def test_a_gru_is_quantised_with_each_weight_once_and_its_classifier_learns() -> None:
    torch.manual_seed(0)
    module = Classifier().eval()
    x = torch.randn(64, 9, 8)
    with torch.no_grad():
        wanted = module(x).argmax(1).numpy()
    model = mcusim.quantize(module, x.numpy(), shape=(1, 9, 8))
    weights = {op.weight for op in model.ops if op.kind is OpKind.FULLY_CONNECTED}
    assert len(weights) == 3  # of the inputs, of what it remembers, and of the classifier
    session = mcusim.Session(model, "stm32f746", "head", sgd=mcusim.Sgd(lr=0.02))
    items = [item for item in session.plan().flash.items if item.role == "weight"]
    assert 36 * 8 + 36 * 12 <= sum(item.bytes for item in items) < 2 * (36 * 8 + 36 * 12)
    infer = Inference(model)
    quant = model.input.quant
    assert quant is not None
    steps = np.clip(np.rint(x.numpy() / quant.scale[0]) + quant.zero_point, -128, 127).astype(np.int8)
    found = np.concatenate([infer(steps[i : i + 8]).copy() for i in range(0, 64, 8)]).argmax(1)
    assert (found == wanted).mean() > 0.9
    losses = [row["loss"] for row in session.train(from_arrays(x.numpy(), wanted), epochs=3).rows]
    assert losses[-1] < losses[0]


def test_a_constant_that_cannot_be_is_one_line(tmp_path: Any) -> None:
    huge = Of(lambda x: x + torch.zeros(1, 5000, 5000).sum())
    with pytest.raises(BadModel, match=r"zeros.*makes a constant of shape \(1, 5000, 5000\)"):
        from_torch(huge, (1, 2))
    with pytest.raises(BadModel, match="exponent 3"):
        from_torch(Of(lambda x: x**3), (1, 4))


def test_a_saved_program_folds_without_pytorch(tmp_path: Any) -> None:
    shape, module = CASES["positions"]
    program = torch.export.export(module, (torch.zeros(shape),))
    torch.export.save(program, tmp_path / "m.pt2")
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(run(load_exported(tmp_path / "m.pt2"), x), run(from_torch(module, shape), x))
