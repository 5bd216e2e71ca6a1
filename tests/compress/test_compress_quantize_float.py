"""The float forward, folding and the way from PyTorch, held against PyTorch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from mcusim.compress.quantize import fold, from_torch, quantize, run
from mcusim.core import BadModel
from mcusim.engine.inference import activations
from mcusim.graph import Model, OpKind

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle
nn = torch.nn


class Everything(nn.Module):
    """Every operation that the importer knows, in one network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, (1, 0), dilation=(1, 2))
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 16, (3, 2), groups=8, bias=False)
        self.point = nn.Conv2d(16, 8, 1, 2)
        self.mix = nn.Conv2d(16, 8, 1)
        self.hidden = nn.Linear(8 * 5 * 5, 12)
        self.norm1 = nn.BatchNorm1d(12)
        self.out = nn.Linear(12, 5)
        self.scale = nn.Parameter(torch.rand(8, 1, 1) + 0.5)

    def forward(self, x: Any) -> Any:
        f = nn.functional
        x = f.relu6(self.norm(self.stem(f.pad(x, (1, 2, 0, 1)))))
        x = f.hardswish(self.depthwise(x))
        x = f.max_pool2d(x, 2, 1, 1)
        y = self.point(x) * self.scale
        gate = f.hardsigmoid(f.adaptive_avg_pool2d(y, 1))
        y = f.silu(y * gate) - 0.25
        z = f.avg_pool2d(f.leaky_relu(torch.tanh(torch.sigmoid(y) - 0.5), 0.3), 2, 1)
        z = f.interpolate(z, y.shape[2:], mode="bilinear")
        z = z + f.interpolate(f.interpolate(z, (3, 2)), y.shape[2:], mode="bilinear", align_corners=True)
        x = f.relu(self.mix(torch.cat([y, z], 1)))
        x = x.permute(0, 1, 3, 2).permute(0, 1, 3, 2)
        x = torch.dropout(self.norm1(self.hidden(x.flatten(1))), 0.5, False)
        return f.softmax(self.out(x.relu()), -1)


def settled(module: Any) -> Any:
    """Give a module's batch normalisation something to do."""
    generator = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(layer.bias, -0.5, 0.5, generator=generator)
    return module.eval()


def imported(module: Any, shape: tuple[int, ...]) -> Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return from_torch(module, shape)


def outputs(module: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()


def test_every_operation_computes_what_pytorch_computes() -> None:
    torch.manual_seed(0)
    module = settled(Everything())
    model = imported(module, (1, 3, 20, 21))
    x = np.random.default_rng(0).normal(size=(3, 20, 21, 3)).astype(np.float32)
    want = outputs(module, x)
    np.testing.assert_allclose(run(model, x), want, rtol=1e-4, atol=1e-5)
    folded = fold(model)
    np.testing.assert_allclose(run(folded, x), want, rtol=1e-4, atol=1e-5)
    kinds = [op.kind for op in folded.ops]
    assert OpKind.PAD not in kinds
    assert OpKind.RELU not in kinds
    # What is left are the constants that belong to no convolution: hard sigmoid and the -0.25.
    assert sum(op.kind is OpKind.MUL for op in model.ops) - kinds.count(OpKind.MUL) == 3


class Curves(nn.Module):
    """Functions of one and of two elements."""

    def __init__(self) -> None:
        super().__init__()
        self.prelu = nn.PReLU(4, 0.2)
        self.gelu = nn.GELU("tanh")

    def forward(self, x: Any) -> Any:
        f = nn.functional
        x = torch.maximum(f.gelu(f.elu(self.prelu(x))), self.gelu(x) / 2)
        x = torch.minimum(x, f.hardtanh(x)) + torch.exp(torch.clamp(x, 0, 1))
        return torch.log(torch.sqrt(torch.abs(x) + 0.5)) * torch.rsqrt(torch.abs(x) + 0.5)


def test_functions_of_elements_compute_what_pytorch_computes() -> None:
    module = Curves().eval()
    model = imported(module, (1, 4, 5, 6))
    x = np.random.default_rng(0).normal(size=(3, 5, 6, 4)).astype(np.float32)
    want = outputs(module, x).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(run(model, x), want, rtol=1e-4, atol=1e-5)


class Moved(nn.Module):
    """Everything that cuts, repeats or shuffles elements."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor([3, 0, 2, 1]))

    def forward(self, x: Any) -> Any:
        f = nn.functional
        a, b, c = x.split([1, 2, 1], 1)
        a, b = a.expand(-1, 2, -1, -1), b.flip((2,))
        x = torch.cat([a, b, c.repeat(1, 4, 1, 1)[:, 1:, :, :]], 1)[:, :, 1:, ::2]
        first, second = x[:, :4].chunk(2, 3)
        x = f.pixel_shuffle(f.pad(first, (1, 2, 1, 0), value=0.5).index_select(1, self.order), 2)
        y = f.pixel_unshuffle(f.pad(second, (1, 1, 1, 0), "reflect"), 2)
        return torch.cat([x.flatten(1), y.flatten(1), torch.stack([y[:, 0], y[:, 3]], 1).flatten(1)], 1)


def test_what_moves_elements_computes_what_pytorch_computes() -> None:
    module = Moved().eval()
    model = imported(module, (1, 4, 6, 8))
    x = np.random.default_rng(0).normal(size=(3, 6, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(run(model, x), outputs(module, x), rtol=1e-5, atol=1e-6)


class Attending(nn.Module):
    """A block of a transformer over pixels, and what else multiplies matrices or spreads windows."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = nn.Conv2d(4, 8, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(8, 6, 3, 2, 1, 1)
        self.norm = nn.LayerNorm(6)
        self.qkv = nn.Linear(6, 18)
        self.out = nn.Linear(6, 6)

    def forward(self, x: Any) -> Any:
        f = nn.functional
        x = self.up(f.relu(self.groups(x)))
        x = self.norm(x.flatten(2).transpose(1, 2))
        q, k, v = (p.reshape(1, -1, 2, 3).transpose(1, 2) for p in self.qkv(x).chunk(3, -1))
        mixed = f.scaled_dot_product_attention(q, k, v)
        other = torch.softmax(q @ k.transpose(2, 3), -1) @ v
        x = x + self.out((mixed + other).transpose(1, 2).reshape(1, -1, 6))
        return f.log_softmax(x.sum(1) + x.amax(1) - x.amin(1), -1)


def test_a_transformer_computes_what_pytorch_computes() -> None:
    torch.manual_seed(0)
    module = Attending().eval()
    model = imported(module, (1, 4, 3, 2))
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 4)).astype(np.float32)
    want = np.concatenate([outputs(module, example[None]) for example in x])
    np.testing.assert_allclose(run(model, x), want, rtol=1e-4, atol=1e-5)
    small = quantize(model, x)
    quant = small.input.quant
    assert quant is not None
    stored = np.clip(np.rint(x / quant.scale[0]) + quant.zero_point, -128, 127).astype(np.int8)
    found = activations(small, stored)[small.outputs[0]].astype(np.float32)
    real = (found - small.output.quant.zero_point) * small.output.quant.scale[0]
    assert np.abs(real - np.maximum(run(model, x), -16)).max() < 0.5


def test_what_is_compared_is_quantised_with_one_scale() -> None:
    class Compared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.least = nn.Parameter(torch.full((1, 4, 1, 1), 0.3))

        def forward(self, x: Any) -> Any:
            return torch.maximum(torch.minimum(x, x * 3), self.least)

    model = imported(Compared().eval(), (1, 4, 5, 6))
    x = np.random.default_rng(0).normal(size=(8, 5, 6, 4)).astype(np.float32)
    small = quantize(model, x)
    for op in small.ops:
        if op.kind in (OpKind.MINIMUM, OpKind.MAXIMUM):
            quants = [small.tensors[name].quant for name in (*op.inputs, op.output)]
            assert all(q is not None and q.same_as(quants[0]) for q in quants)
    quant = small.input.quant
    assert quant is not None
    stored = np.clip(np.rint(x / quant.scale[0]) + quant.zero_point, -128, 127).astype(np.int8)
    found = activations(small, stored)[small.outputs[0]]
    real = (found.astype(np.float32) - small.output.quant.zero_point) * small.output.quant.scale[0]
    assert np.abs(real - run(model, x)).max() < 0.06  # a step is 0.03


def test_batch_norm_is_folded_into_convolutions() -> None:
    torch.manual_seed(1)
    module = settled(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU6(),
            nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.BatchNorm2d(4), nn.ReLU(),
        )
    )  # fmt: skip
    model = imported(module, (1, 3, 9, 9))
    folded = fold(model)
    assert [op.kind for op in folded.ops] == [OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D]
    assert [op.attributes.clamp for op in folded.ops] == [(0, 6), (0, float("inf"))]
    x = np.random.default_rng(1).normal(size=(2, 9, 9, 3)).astype(np.float32)
    np.testing.assert_allclose(run(folded, x).transpose(0, 3, 1, 2), outputs(module, x), rtol=1e-4, atol=1e-5)


def test_nothing_is_folded_that_someone_else_reads() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Any) -> Any:
            y = self.conv(x)
            return torch.relu(y) + self.norm(y)

    module = settled(Shared())
    folded = fold(imported(module, (1, 3, 4, 4)))
    assert sorted(op.kind for op in folded.ops) == ["add", "conv_2d", "depthwise_conv_2d", "relu"]
    x = np.random.default_rng(1).normal(size=(2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(run(folded, x).transpose(0, 3, 1, 2), outputs(module, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.AdaptiveAvgPool2d(3), (1, 4, 9, 9)),
        (nn.Hardtanh(-0.4, 0.6), (1, 4, 9, 9)),
        (nn.Hardtanh(-0.4, float("inf")), (1, 4, 9)),
        (nn.GroupNorm(2, 4), (1, 4, 5, 6)),
        (nn.GroupNorm(2, 4, affine=False), (1, 4, 5)),
        (nn.InstanceNorm2d(4, affine=True), (1, 4, 5, 6)),
        (nn.InstanceNorm1d(4), (1, 4, 5)),
        (nn.AvgPool2d(3, 2, padding=1), (1, 4, 9, 9)),
        (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), (1, 4, 9, 9)),
        (nn.AvgPool2d(2, ceil_mode=True), (1, 4, 9, 9)),
        (nn.MaxPool2d(2, ceil_mode=True), (1, 4, 9, 8)),
        (nn.MaxPool2d(3, 2, padding=1), (1, 4, 9, 8)),
        (nn.Conv2d(4, 2, 3, padding="same", dilation=2), (1, 4, 9, 9)),
        (nn.Conv1d(4, 2, 3, stride=2, padding=1), (1, 4, 9)),
        (nn.Conv1d(4, 4, 3, groups=4, dilation=2), (1, 4, 9)),
        (nn.Sequential(nn.Conv1d(4, 4, 1), nn.BatchNorm1d(4), nn.MaxPool1d(2)), (1, 4, 9)),
        (nn.Sequential(nn.Conv1d(4, 4, 1), nn.AvgPool1d(3, 3)), (1, 4, 9)),
        (nn.LayerNorm(9), (1, 4, 9)),
        (nn.Linear(9, 5), (1, 4, 9)),
    ],
)
def test_windows_over_pictures_and_signals_give_what_pytorch_gives(module: Any, shape: Any) -> None:
    module = settled(module)
    x = np.random.default_rng(1).normal(size=(1, *shape[1:])).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.from_numpy(x)).numpy()
    model = imported(module, shape)
    last = model.input.shape != shape  # channels
    ours = run(model, np.ascontiguousarray(np.moveaxis(x, 1, -1)) if last else x)
    np.testing.assert_allclose(
        ours, np.moveaxis(theirs, 1, -1) if theirs.ndim == 4 else theirs, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (nn.ConvTranspose2d(4, 4, 3, groups=2), "groups"),
        (nn.AdaptiveAvgPool2d(2), "windows of several sizes"),
        (nn.AvgPool2d(2, divisor_override=3), "divisor"),
        (nn.MaxPool2d(2, dilation=2), "dilated"),
        (nn.Softplus(threshold=3), "linear beyond 3"),
        (nn.FractionalMaxPool2d(2, output_size=3), "not supported"),
    ],
)
def test_unsupported_operations_are_named(module: Any, why: str) -> None:
    with pytest.raises(BadModel, match=why):
        imported(module, (1, 4, 9, 9))


def test_a_module_needs_a_shape_and_must_export() -> None:
    with pytest.raises(BadModel, match="input shape"):
        from_torch(nn.ReLU())

    class Broken(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("no")

    with pytest.raises(BadModel, match="cannot be exported"):
        imported(Broken(), (1, 4))
