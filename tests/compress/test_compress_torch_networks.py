"""Architectures that people have: each is read as PyTorch computes it, quantised and trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch_networks import CLASSES, NETWORKS, made  # noqa: E402

import mcusim  # noqa: E402
from mcusim.compress.quantize.fold import fold  # noqa: E402
from mcusim.compress.quantize.forward import run  # noqa: E402
from mcusim.data import from_arrays  # noqa: E402
from mcusim.files.torch.reader import from_torch  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:float32 examples are taken as real values")


def examples(name: str, count: int, seed: int = 0) -> np.ndarray:
    """Return inputs as PyTorch takes them."""
    shape = NETWORKS[name][1]
    return np.random.default_rng(seed).normal(size=(count, *shape[1:])).astype(np.float32)


def here(x: np.ndarray) -> np.ndarray:
    """Return inputs or outputs of PyTorch with channels last."""
    return np.moveaxis(x, 1, -1) if x.ndim > 2 else x


def test_there_are_eighteen():
    assert len(NETWORKS) == 18


def test_the_page_says_the_same():
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line[:2] == "| "
    ]
    said = {row[0]: row[2] for row in rows[1:]}
    assert said == dict.fromkeys(NETWORKS, "yes")


@pytest.mark.parametrize("name", NETWORKS)
def test_each_computes_what_pytorch_computes(name):
    module, x = made(name), examples(name, 3)
    with torch.no_grad():
        theirs = here(module(torch.tensor(x)).numpy())
    model = from_torch(module, NETWORKS[name][1], name=name)
    for network in (model, fold(model)):
        ours = np.concatenate([run(network, here(x[i : i + 1])) for i in range(3)])
        np.testing.assert_allclose(ours, theirs.reshape(ours.shape), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_is_quantised_and_trains(name):
    x = here(examples(name, 16))
    twin = mcusim.quantize(made(name), x)
    task = NETWORKS[name][2]
    labels = {
        "classification": np.arange(16) % CLASSES, "segmentation": (x.sum(-1) > 0).astype(np.int64),
    }.get(task)  # fmt: skip
    session = mcusim.Session(twin, "stm32h743", "dense", sgd=mcusim.Sgd(lr=0.005))
    result = session.train(from_arrays(x, labels), epochs=2)
    assert result.plan.fits
    assert result.plan.settings.task == task
    assert result.rows[-1]["loss"] < result.rows[0]["loss"]


@pytest.mark.parametrize("name", ["TCN", "ConvNeXt"])
def test_counting_dimensions_in_another_order_moves_nothing(name):
    model = from_torch(made(name), NETWORKS[name][1])
    assert not [op.name for op in model.ops if op.kind == "transpose"]


def test_a_transformer_learns_as_a_whole_inside_512_kib():
    x = here(examples("CCT", 16))
    twin = mcusim.quantize(made("CCT"), x)
    with torch.no_grad():
        theirs = made("CCT")(torch.tensor(examples("CCT", 16))).numpy()
    assert np.corrcoef(mcusim.predict(twin, x).ravel(), theirs.ravel())[0, 1] > 0.999
    session = mcusim.Session(twin, "stm32h743", "dense", sgd=mcusim.Sgd(lr=0.005), sram=512 * 1024)
    run = session.train(from_arrays(x, np.arange(16) % CLASSES), epochs=2)
    assert run.plan.fits
    learned = {
        op.name
        for op in twin.ops
        if op.weight and not run.model.tensors[op.weight].same_as(twin.tensors[op.weight])
    }
    dense = {op.name for op in twin.ops if op.kind == "fully_connected"}
    assert "norm.scaled" in learned
    assert {"blocks.0.qkv", "blocks.0.out", "blocks.1.mlp.0", "classifier"} <= learned & dense
