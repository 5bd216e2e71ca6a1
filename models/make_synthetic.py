"""Makes models/synthetic-mbv2.npz: the small network that comes with the package.

A MobileNetV2-style network (inverted residuals, ReLU6) for 32x32 RGB, pre-trained on the source domain
of the synthetic data set, batch normalisation folded, quantised to int8 by `mcusim.compress.quantize`.

    python models/make_synthetic.py            # minutes; needs the extra "torch"

Prints the accuracy of the float and of the int8 network on both domains; for the file that ships:
source 99.83 % float, 99.83 % int8; target 53.57 % float, 53.60 % int8, of 4,000 test images each.
A rerun on the same machine gives the same bytes; other processors or PyTorch builds sum in another order
and give others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mcusim import Model, quantize
from mcusim.compress.quantize import Settings, compare, fold, from_torch, run, run_int8
from mcusim.data import Preprocessor, Split, synthetic
from mcusim.files.npz import save
from mcusim.graph import Arithmetic, OpKind, Preprocessing

NAME = "synthetic-mbv2"
SOURCE = "pre-trained by this project on its synthetic data set, models/make_synthetic.py; Apache-2.0"
SEED, TRAIN, TEST, EPOCHS, BATCH, RATE = 0, 16_000, 4_000, 16, 64, 0.1
CALIBRATION = 512
BLOCKS = (
    (16, 1, 8, 1), (8, 6, 16, 2), (16, 4, 16, 1), (16, 4, 24, 2), (24, 4, 24, 1), (24, 4, 32, 1),
    (32, 4, 32, 1),
)  # fmt: skip
"""Input channels, expansion, output channels, stride."""
PREPROCESSING = Preprocessing((128 / 255,), (128 / 255,))
"""real = (pixel - 128) / 128: with the scale 1/128 the int8 input is pixel - 128, no bit lost."""


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, channels: int, expansion: int, out: int, stride: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.expand = convolution(channels, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = convolution(hidden, hidden, 3, stride, hidden)
        self.project = convolution(hidden, out, 1)[:2]
        self.residual = stride == 1 and channels == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``[N, out, h, w]``."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


def convolution(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return convolution, batch normalisation, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(),
    )


class Network(nn.Module):
    """Stem, seven blocks, global average, classifier: 29,424 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 16, 3, 2)
        self.blocks = nn.Sequential(*(Block(*block) for block in BLOCKS))
        self.classifier = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, 10]`` of pictures ``[N, 3, 32, 32]``."""
        return self.classifier(self.blocks(self.stem(x)).mean((2, 3)))


def pretrain(network: Network, split: Split) -> None:
    """SGD with momentum, one warm-up and cosine cycle; pictures are shifted by up to two pixels."""
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = len(split) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps, pct_start=0.1)
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    network.train()
    for epoch in range(EPOCHS):
        order = torch.from_numpy(split.order(epoch, SEED))
        for batch in order[: steps * BATCH].split(BATCH):
            shift = torch.randint(-2, 3, (2,)).tolist()
            pictures = (images[batch].permute(0, 3, 1, 2).float() - 128) / 128
            loss = functional.cross_entropy(network(pictures.roll(shift, (2, 3))), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {loss.item():.3f}", flush=True)
    network.eval()


def tidy(model: Model) -> Model:
    """Name every op and its output after its module: ``blocks.1.expand``, not ``blocks.1.expand.0``."""
    new = {}
    for op in model.ops:
        label = op.name.removesuffix(".0") if op.weight else op.name
        new[op.output] = {"mean": "pool"}.get(label, f"{label}.add" if op.kind is OpKind.ADD else label)
        for name, what in zip(op.inputs[1:] if op.weight else (), ("weight", "bias"), strict=False):
            new[name] = f"{new[op.output]}.{what}"

    def named(name: str) -> str:
        return new.get(name, name)

    return replace(
        model,
        ops=tuple(
            replace(op, name=named(op.output), inputs=tuple(map(named, op.inputs)), output=named(op.output))
            for op in model.ops
        ),
        tensors={named(n): replace(t, name=named(n)) for n, t in model.tensors.items()},
        outputs=tuple(map(named, model.outputs)),
        head=None if model.head is None else named(model.op(model.head).output),
    )


def accuracy(outputs: np.ndarray, split: Split) -> float:
    """Return the fraction of examples whose largest output is the right one."""
    return float((outputs.argmax(1) == split.labels).mean())


def main() -> None:
    """Pre-train, quantise, report, save."""
    torch.set_num_threads(1)  # the order of sums does not depend on how many cores there are
    torch.manual_seed(SEED)
    source = synthetic("source", train=TRAIN, test=TEST, seed=SEED)
    target = synthetic("target", train=TEST, test=TEST, seed=SEED)
    network = Network()
    pretrain(network, source.train)
    floating = from_torch(
        network, (1, 3, 32, 32), name=NAME, preprocessing=PREPROCESSING, labels=source.labels
    )
    floating = tidy(fold(floating))
    prepare = Preprocessor(floating, (32, 32, 3))
    settings = Settings("mse", head="float32", arithmetic=Arithmetic.TFLITE)
    quantised = quantize(floating, prepare(source.train.images[:CALIBRATION]), settings)
    quantised = replace(quantised, source=SOURCE)
    print(compare(floating, quantised, prepare(source.test.images[:CALIBRATION])))
    for data in (source, target):
        inputs = prepare(data.test.images)
        print(
            f"{data.name}: float {accuracy(run(floating, inputs), data.test):.2%}, "
            f"int8 {accuracy(run_int8(quantised, inputs), data.test):.2%} of {TEST:,} test images"
        )
    path = Path(__file__).with_name(f"{NAME}.npz")
    save(quantised, path)
    print(f"{path.name}: {path.stat().st_size:,} B, {quantised}")


if __name__ == "__main__":
    main()
