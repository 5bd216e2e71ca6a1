"""The published static sparse-update configurations.

Source: tiny-training, arXiv 2206.15472 (code: github.com/mit-han-lab/tiny-training, MIT): found there
by an evolutionary search for each network and memory budget. Layers are numbered over all
convolutions from 0, head excluded; a ratio is the fraction of a layer's input channels that learn,
those with the largest L2 norm of their integer weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mcusim.core import BadArgument, UnknownName
from mcusim.graph import Model
from mcusim.graph.outputs import heads
from mcusim.update.channels import biases, channel_norms, last, layer
from mcusim.update.fixed import Fixed
from mcusim.update.policy import top
from mcusim.update.selection import Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics

CONVOLUTION_COUNTS = {"mbv2": 51, "mcunet": 42, "proxyless": 60}
"""Convolutions of MobileNetV2-w0.35, MCUNet-5fps and ProxylessNAS-w0.3, without the head."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One published configuration: how many last biases learn, and layer number -> channel ratio."""

    biases: int
    ratios: Mapping[int, float]


def _all(*numbers: int) -> dict[int, float]:
    return dict.fromkeys(numbers, 1.0)


CONFIGURATIONS: Mapping[str, Configuration] = {
    "mbv2-49kb": Configuration(16, {36: 1, 39: 1, 41: 1 / 4, 42: 1 / 8, 45: 1 / 8, 48: 1 / 8, 49: 1 / 8}),
    "mbv2-73kb": Configuration(
        20, {32: 1 / 8, 33: 1 / 2, 36: 1 / 2, 39: 1, 41: 1 / 4, 42: 1 / 8, 45: 1 / 8, 48: 1}
    ),
    "mbv2-99kb": Configuration(25, _all(27, 30, 33, 36, 39) | {42: 1 / 8, 45: 1 / 2, 48: 1}),
    "mbv2-123kb": Configuration(31, _all(27, 30, 33, 36, 39) | {42: 1 / 2, 45: 1, 48: 1}),
    "mbv2-138kb": Configuration(34, _all(27, 30, 33, 36, 39, 42, 45, 48)),
    "mcunet-49kb": Configuration(20, {24: 1 / 4, 27: 1 / 2, 30: 1 / 2}),
    "mcunet-74kb": Configuration(21, {21: 1, 24: 1, 27: 1 / 2, 30: 1}),
    "mcunet-99kb": Configuration(22, _all(21, 24, 27, 30) | {36: 1 / 8, 39: 1 / 4}),
    "mcunet-124kb": Configuration(24, {21: 1 / 4} | _all(24, 27, 30) | {33: 1 / 2, 39: 1 / 2}),
    "mcunet-148kb": Configuration(23, _all(21, 24, 27, 30, 36) | {39: 1 / 2}),
    "proxyless-49kb": Configuration(21, {39: 1 / 4, 42: 1, 45: 1, 51: 1 / 8, 54: 1 / 4, 57: 1 / 4}),
    "proxyless-74kb": Configuration(
        28, {33: 1 / 2, 36: 1 / 4} | _all(39, 42, 45) | {51: 1 / 2, 54: 1 / 4, 57: 1 / 2}
    ),
    "proxyless-98kb": Configuration(25, {36: 1, 39: 1 / 2, 42: 1, 45: 1, 48: 1 / 4, 51: 1 / 2, 54: 1, 57: 1}),
    "proxyless-120kb": Configuration(32, _all(36, 39, 42, 45) | {48: 1 / 2} | _all(51, 54, 57)),
    "proxyless-148kb": Configuration(45, _all(36, 39, 42, 45, 48, 51, 54, 57)),
}
"""All published configurations by name."""


@dataclass(frozen=True, slots=True)
class Static(Fixed):
    """A configuration of tiny-training (arXiv 2206.15472), e.g. ``static:mbv2-99kb``, and the head."""

    positional: ClassVar[str] = "configuration"
    configuration: str

    def __post_init__(self) -> None:
        if self.configuration not in CONFIGURATIONS:
            raise UnknownName("static configuration", self.configuration, CONFIGURATIONS)

    @property
    def name(self) -> str:
        """Canonical text."""
        return spelled("static", self)

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return the channels of largest weight norm of the listed layers, and the last biases.

        Raises:
            BadArgument: if the configuration is for another network.
        """
        family, chosen = self.configuration.split("-")[0], CONFIGURATIONS[self.configuration]
        ops = model.convolutions
        if len(ops) != CONVOLUTION_COUNTS[family]:
            raise BadArgument(
                f"configuration {self.configuration}",
                f"is for a network of {CONVOLUTION_COUNTS[family]} convolutions, {model.name} has {len(ops)}",
                "use one for this network, or 'dynamic' with stage=none,policy=weight-norm",
            )
        channels = {
            ops[number].name: top(
                channel_norms(model, ops[number]), int(layer(model, ops[number]).channels * ratio)
            )
            for number, ratio in chosen.ratios.items()
        }
        return Selection(channels, biases(model, last(model, chosen.biases)), head=bool(heads(model)))
