"""Eighteen architectures that people quantise, written small: what makes each of them special is in it."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 4


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
    )  # fmt: skip


class LeNet(nn.Module):
    """Tanh, average pooling, three dense layers (LeCun et al., 1998)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)
        )
        self.classifier = nn.Sequential(
            nn.Linear(400, 60), nn.Tanh(), nn.Linear(60, 40), nn.Tanh(), nn.Linear(40, CLASSES)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))


class AlexNet(nn.Module):
    """Strided stem, overlapping and adaptive pooling, dropout (Krizhevsky et al., 2012)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2), nn.Conv2d(8, 12, 3, 1, 1),
            nn.ReLU(inplace=True), nn.MaxPool2d(3, 2), nn.Conv2d(12, 16, 3, 1, 1), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(16 * 9, 32), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(32, CLASSES)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Vgg(nn.Module):
    """Pairs of 3x3 convolutions between poolings (Simonyan and Zisserman, 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 8), conv(8, 8), nn.MaxPool2d(2), conv(8, 12), conv(12, 12), nn.MaxPool2d(2), conv(12, 16),
            nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(16 * 16, 32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(x.view(x.size(0), -1))


class Residual(nn.Module):
    """Two convolutions and what goes around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.down = (
            nn.Identity() if stride == 1
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )  # fmt: skip
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.down(x))


class ResNet(nn.Module):
    """Residual blocks, maximum pooling with padding in the stem (He et al., 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(Residual(8, 8, 1), Residual(8, 16, 2))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))


class MobileNetV1(nn.Module):
    """Depthwise separable convolutions (Howard et al., 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 8, 3, 2),
            conv(8, 8, groups=8),
            conv(8, 16, 1),
            conv(16, 16, 3, 2, groups=16),
            conv(16, 24, 1),
        )
        self.fc = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(functional.adaptive_avg_pool2d(self.body(x), 1).reshape(x.shape[0], -1))


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; an activation, and perhaps squeeze and excitation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        activation: type[nn.Module],
        gate: nn.Module | None = None,
    ) -> None:
        super().__init__()
        inner = 3 * inputs
        self.expand = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), activation()
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            activation(),
        )
        self.squeeze = None
        if gate is not None:
            self.squeeze = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(inner, 8, 1), activation(), nn.Conv2d(8, inner, 1), gate
            )
        self.project = nn.Sequential(nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(self.expand(x))
        if self.squeeze is not None:
            y = y * self.squeeze(y)
        y = self.project(y)
        return x + y if self.skips else y


class MobileNetV2(nn.Module):
    """Inverted residuals with ReLU6 (Sandler et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
            InvertedResidual(8, 8, 1, nn.ReLU6), InvertedResidual(8, 12, 2, nn.ReLU6),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean([2, 3]))


class MobileNetV3(nn.Module):
    """Hard swish, squeeze and excitation with a hard sigmoid (Howard et al., 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(),
            InvertedResidual(8, 8, 1, nn.ReLU, nn.Hardsigmoid()),
            InvertedResidual(8, 12, 2, nn.Hardswish, nn.Hardsigmoid()),
        )  # fmt: skip
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(12, 24), nn.Hardswish(), nn.Linear(24, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


class ShuffleUnit(nn.Module):
    """Channels split in two, half of them changed, all of them shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(conv(half, half, 1), conv(half, half, groups=half), conv(half, half, 1))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        y = torch.cat((left, self.branch(right)), 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class ShuffleNet(nn.Module):
    """Channel split and shuffle (Ma et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), ShuffleUnit(8), ShuffleUnit(8), conv(8, 16, 1))
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x).mean([2, 3]))


class Fire(nn.Module):
    """Squeeze, then two expansions side by side."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(inputs, squeeze, 1), nn.ReLU(inplace=True))
        self.small, self.large = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([functional.relu(self.small(x)), functional.relu(self.large(x))], 1)


class SqueezeNet(nn.Module):
    """Fire modules, pooling that rounds up, a convolution as classifier (Iandola et al., 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(8, 4, 8),
            Fire(16, 4, 8),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(16, CLASSES, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        nn.init.constant_(self.classifier[1].bias, 0.5)  # else random scores are all cut off

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)


class DenseNet(nn.Module):
    """Every layer sees all before it; normalisation comes first (Huang et al., 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(8 + 4 * i), nn.ReLU(), nn.Conv2d(8 + 4 * i, 4, 3, padding=1, bias=False)
            )
            for i in range(3)
        )
        self.transition = nn.Sequential(
            nn.BatchNorm2d(20),
            nn.ReLU(),
            nn.Conv2d(20, 10, 1, bias=False),
            nn.AvgPool2d(2),
            nn.BatchNorm2d(10),
        )
        self.fc = nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        y = functional.relu(self.transition(torch.cat(found, 1)))
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(y, (1, 1)), 1))


class EfficientNet(nn.Module):
    """SiLU, squeeze and excitation with a sigmoid (Tan and Le, 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU(),
            InvertedResidual(8, 8, 1, nn.SiLU, nn.Sigmoid()),
            InvertedResidual(8, 12, 2, nn.SiLU, nn.Sigmoid()),
        )  # fmt: skip
        self.pool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


class ConvNextBlock(nn.Module):
    """Depthwise, layer normalisation over channels, two dense layers with GELU, a scale a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand, self.project = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.project(functional.gelu(self.expand(self.norm(y))))
        return x + (self.scale * y).permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """Convolutions arranged as a transformer is (Liu et al., 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(ConvNextBlock(8), ConvNextBlock(8))
        self.norm, self.fc = nn.LayerNorm(8, eps=1e-6), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.blocks(self.stem(x)).mean([-2, -1])))


class Inception(nn.Module):
    """Windows of several sizes side by side, a pooled branch with stride 1 (Szegedy et al., 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3, 2)
        self.one, self.three = conv(8, 4, 1), nn.Sequential(conv(8, 4, 1), conv(4, 6))
        self.five = nn.Sequential(conv(8, 4, 1), conv(4, 4, 5))
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(8, 4, 1))
        self.fc = nn.Linear(18, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(y, 1), 1))


class TemporalBlock(nn.Module):
    """Two dilated causal convolutions over time, and what goes around them."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.pad = 2 * dilation
        self.one = nn.Conv1d(inputs, outputs, 3, padding=self.pad, dilation=dilation)
        self.two = nn.Conv1d(outputs, outputs, 3, padding=self.pad, dilation=dilation)
        self.down = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.one(x)[:, :, : -self.pad])
        y = functional.relu(self.two(y)[:, :, : -self.pad])
        return functional.relu(y + self.down(x))


class Tcn(nn.Module):
    """Temporal blocks over a signal (Bai et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(TemporalBlock(6, 8, 1), TemporalBlock(8, 8, 2), TemporalBlock(8, 12, 4))
        self.pool, self.fc = nn.AdaptiveAvgPool1d(1), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.blocks(x)).squeeze(-1))


class Autoencoder(nn.Module):
    """Dense layers to a bottleneck and back (MLPerf Tiny's anomaly detection)."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (64, 32, 8, 32, 64)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-2])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class UNet(nn.Module):
    """Down, up by transposed convolution, joined with what was there before (Ronneberger et al., 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = conv(3, 8), conv(8, 16)
        self.pool, self.up = nn.MaxPool2d(2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.three, self.last = conv(16, 8), nn.Conv2d(8, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.one(x)
        two = self.up(self.two(self.pool(one)))
        return self.last(self.three(torch.cat([one, two], 1)))


class DsCnn(nn.Module):
    """Keywords in spectrograms: a large first window, separable blocks (Zhang et al., 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 12, (10, 4), (2, 2), (5, 1), bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Dropout(0.2),
        )
        self.body = nn.Sequential(
            conv(12, 12, groups=12), conv(12, 12, 1), conv(12, 12, groups=12), conv(12, 12, 1)
        )
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(self.stem(x))
        return functional.softmax(self.fc(functional.avg_pool2d(y, y.shape[2:]).flatten(1)), dim=1)


class Attention(nn.Module):
    """Attention of two heads and a small perceptron, each behind a normalisation, with a way around."""

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        rows, width = x.shape[1:]
        parts = self.qkv(self.one(x)).chunk(3, -1)
        query, key, value = (
            p.reshape(-1, rows, self.heads, width // self.heads).transpose(1, 2) for p in parts
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).reshape(-1, rows, width))
        return x + self.mlp(self.two(x))


class Cct(nn.Module):
    """Tokens by convolution, attention, pooling by learned shares (Hassani et al., 2021)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.tokens = nn.Sequential(
            conv(3, width), nn.MaxPool2d(3, 2, 1), conv(width, width), nn.MaxPool2d(3, 2, 1)
        )
        self.position = nn.Parameter(0.2 * torch.randn(1, 64, width))
        self.blocks = nn.Sequential(Attention(width), Attention(width))
        self.norm, self.pool, self.classifier = (
            nn.LayerNorm(width),
            nn.Linear(width, 1),
            nn.Linear(width, CLASSES),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.blocks(self.tokens(x).flatten(2).transpose(1, 2) + self.position))
        shares = torch.softmax(self.pool(x), 1)
        return self.classifier((shares.transpose(1, 2) @ x).squeeze(1))


IMAGE = (1, 3, 32, 32)
NETWORKS: dict[str, tuple[type[nn.Module], tuple[int, ...], str]] = {
    "LeNet": (LeNet, IMAGE, "classification"),
    "AlexNet": (AlexNet, IMAGE, "classification"),
    "VGG": (Vgg, IMAGE, "classification"),
    "ResNet": (ResNet, IMAGE, "classification"),
    "MobileNetV1": (MobileNetV1, IMAGE, "classification"),
    "MobileNetV2": (MobileNetV2, IMAGE, "classification"),
    "MobileNetV3": (MobileNetV3, IMAGE, "classification"),
    "ShuffleNetV2": (ShuffleNet, IMAGE, "classification"),
    "SqueezeNet": (SqueezeNet, IMAGE, "classification"),
    "DenseNet": (DenseNet, IMAGE, "classification"),
    "EfficientNet": (EfficientNet, IMAGE, "classification"),
    "ConvNeXt": (ConvNext, IMAGE, "classification"),
    "Inception": (Inception, IMAGE, "classification"),
    "TCN": (Tcn, (1, 6, 40), "classification"),
    "autoencoder": (Autoencoder, (1, 64), "reconstruction"),
    "U-Net": (UNet, IMAGE, "segmentation"),
    "DS-CNN": (DsCnn, (1, 1, 49, 10), "classification"),
    "CCT": (Cct, IMAGE, "classification"),
}
"""By name: the module, the shape of its input (planes first), and what it learns."""


def made(name: str) -> nn.Module:
    """Return a network with the weights of a seed, its normalisations as after a short training."""
    torch.manual_seed(0)
    module, shape, _ = NETWORKS[name]
    network = module()
    network.train()
    with torch.no_grad():
        for _ in range(5):
            network(torch.randn(8, *shape[1:]))
    return network.eval()
