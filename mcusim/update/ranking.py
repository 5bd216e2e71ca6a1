"""Layers ranked by how much learning there gains for the memory it takes: offline, reusable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, UnknownName
from mcusim.core.files import replacing
from mcusim.core.frozen import FrozenDict
from mcusim.graph import Model
from mcusim.update.channels import Layer, layers, require
from mcusim.update.policy import observed
from mcusim.update.statistics import Statistics

FORMAT = "mcusim layer ranking 1"
MOST_BYTES = 1 << 22
METRICS = ("rgn", "lara")


def reweighted(norms: NDArray[np.float64], layer: Layer) -> NDArray[np.float64]:
    """Return the re-weighted gradient norm of each channel: norm / (C_W + C_A), both in elements.

    Source: arXiv 2510.19675 (TraDy).
    """
    return norms / (layer.channel_weights + layer.channel_features)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The importance of each layer of one network.

    Attributes:
        model: name of the network.
        metric: ``rgn``: the sum over a layer's channels of the re-weighted gradient norm (TraDy,
            arXiv 2510.19675); ``lara``: their mean, what one drawn channel is expected to gain, so that
            wide layers do not win by width alone. (MeDyate, arXiv 2510.20979, calls its metric LaRa;
            its exact form was not at hand, this one is this project's reading of its purpose.)
        importance: op name -> importance, in execution order.
    """

    model: str
    metric: str
    importance: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "importance", FrozenDict(dict(self.importance)))

    @classmethod
    def of(cls, model: Model, statistics: Statistics, metric: str = "rgn") -> Ranking:
        """Return the ranking from gradient norms gathered in a short training of any task.

        Raises:
            UnknownName: if the metric is not known.
            BadArgument: if no gradient norm was gathered.
        """
        if metric not in METRICS:
            raise UnknownName("layer metric", metric, METRICS)
        importance = {}
        for op, item in layers(model).items():
            norms, seen = observed(statistics, "gradient-norm", item)
            if seen.any():
                mean = float(reweighted(norms, item)[seen].mean())
                importance[op] = mean * item.channels if metric == "rgn" else mean
        if not importance:
            raise BadArgument("a ranking of layers", "has no gradient norms", "train some steps first")
        return cls(model.name, metric, importance)

    def top(self, share: float = 0.97) -> tuple[str, ...]:
        """Return the fewest layers whose importance is this share of the total, in execution order.

        The published share is 0.97: 35 layers of MobileNetV2-w0.35, 27 of MCUNet, 43 of ProxylessNAS.
        """
        wanted = share * sum(self.importance.values())
        order = sorted(self.importance, key=lambda op: -self.importance[op])
        chosen: set[str] = set()
        total = 0.0
        for op in order:
            if chosen and total >= wanted:
                break
            chosen.add(op)
            total += self.importance[op]
        return tuple(op for op in self.importance if op in chosen)

    def spelled(self, model: Model, share: float = 0.97) -> str:
        """Return ``top`` as the ``layers`` parameter of a scheme: numbers, since names may hold anything.

        Raises:
            UnknownName: if the model does not have a layer of the ranking.
        """
        numbers = {op: number for number, op in enumerate(layers(model))}
        return "+".join(str(numbers[require(model, op).op]) for op in self.top(share))

    def save(self, path: str | Path) -> None:
        """Write the ranking as JSON.

        Raises:
            SaveFailed: if the file cannot be written.
        """
        data = {
            "format": FORMAT, "model": self.model, "metric": self.metric, "importance": dict(self.importance),
        }  # fmt: skip
        with replacing(path) as file:
            file.write(json.dumps(data, indent=1, allow_nan=False).encode())

    @classmethod
    def load(cls, path: str | Path) -> Ranking:
        """Read a ranking.

        Raises:
            BadArgument: if the file is missing or is no ranking.
        """
        try:
            with open(path, "rb") as file:
                data = json.loads(file.read(MOST_BYTES))
            if data["format"] != FORMAT or data["metric"] not in METRICS:
                raise ValueError(f"its format is {data['format']!r}")
            importance = {str(op): float(value) for op, value in data["importance"].items()}
            if not importance or not all(0 <= value < np.inf for value in importance.values()):
                raise ValueError("an importance is negative or not finite")
            return cls(str(data["model"]), str(data["metric"]), importance)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise BadArgument(f"ranking {path}", f"cannot be read: {error}", "make it anew") from error
