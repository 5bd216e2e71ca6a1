"""The pickles in which tiny-training publishes its int8 networks, read without trusting them.

A file is a zip archive as PyTorch writes it, with one ``data.pkl``: nested dicts that describe the
first convolution, the inverted-residual blocks, an optional feature-mixing convolution and the
classifier, with numpy arrays as parameters. It does not say how large its images are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.core.legible import shortened
from mcusim.files.arrays import read_archive
from mcusim.files.graph_json import graph_from_description
from mcusim.files.safe_pickle import PickledArray, load_pickle
from mcusim.graph import Model
from mcusim.graph.build import naming
from mcusim.graph.shapes import window

RESOLUTION = 128
"""Side of the input images of all published networks."""

_Config = dict[str, Any]


def load_tiny_training_pkl(path: str | Path, *, resolution: int = RESOLUTION) -> Model:
    """Load a tiny-training network; ops are called as in the json graphs (``blocks.3.depthwise`` …).

    Raises:
        BadModel: if the file is missing or damaged, if its pickle asks for anything but numpy arrays, or
            if it does not describe such a network.
    """
    path = Path(path)
    entries = read_archive(path)
    pickles = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise BadModel(str(path), f"holds {len(pickles)} pickles called data.pkl", "expected one")
    config = load_pickle(entries[pickles[0]], str(path))
    reader = _Reader(str(path), resolution)
    try:
        with naming(path):
            reader.network(config)
            return graph_from_description(reader.described(path.stem), reader.arrays, str(path))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        if isinstance(error, BadModel):
            raise
        reason = f"does not describe a tiny-training network: {shortened(repr(error))}"
        raise BadModel(str(path), reason) from error


class _Reader:
    """Walks through the configuration and notes the layers of the json graph it amounts to."""

    def __init__(self, where: str, resolution: int) -> None:
        self.where, self.resolution = where, resolution
        self.layers: list[_Config] = []
        self.arrays: dict[str, NDArray[Any]] = {}
        self.input: _Config = {}
        self.last = "input"
        self.hw: tuple[int, int] = (resolution, resolution)

    def network(self, config: _Config) -> None:
        first = config["first_conv"]
        self.input = {
            "id": "input",
            "shape": (1, int(first["in_channel"]), self.resolution, self.resolution),
            "scale": _real(first["params"]["x_scale"]),
            "zero_point": _integer(first["params"]["x_zero"]),
        }
        self.convolution("first_conv", first)
        for i, block in enumerate(config["blocks"]):
            self.block(f"blocks.{i}", block)
        if config["feature_mix"] is not None:
            self.convolution("feature_mix", config["feature_mix"])
        last = self.layers[-1]
        scale, zero_point = last["output_scale"], last["output_zero_point"]
        self.hw = (1, 1)
        self.append("avgpool", "global_avg_pool", [self.last], last["out_channels"], scale, zero_point)
        self.convolution("classifier", config["classifier"])

    def block(self, name: str, block: _Config) -> None:
        shortcut = self.last
        if block.get("se") is not None:
            raise BadModel(f"{self.where}: {name}", "has squeeze-and-excitation, which has no layout here")
        for part in ("pointwise1", "depthwise", "pointwise2"):
            if block[part] is not None:
                self.convolution(f"{name}.{part}", block[part])
        residual = block["residual"]
        if residual is None:
            return
        if "kernel_size" in residual:
            raise BadModel(
                f"{self.where}: {name}", "has a convolution in its shortcut, which is not supported"
            )
        params = residual["params"]
        channels = self.layers[-1]["out_channels"]
        scale, zero_point = _real(params["y_scale"]), _integer(params["y_zero"])
        self.append(f"{name}.add", "add", [shortcut, self.last], channels, scale, zero_point)

    def convolution(self, name: str, conv: _Config) -> None:
        params = conv["params"]
        kernel, stride = _pair(conv["kernel_size"]), _pair(conv["stride"])
        padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
        rows, columns = self.hw
        self.hw = (
            window(rows, kernel[0], stride[0], 1, (padding[0], padding[0])),
            window(columns, kernel[1], stride[1], 1, (padding[1], padding[1])),
        )
        groups, channels = _integer(conv["groups"]), _integer(conv["out_channel"])
        weight = _array(params["weight"])
        self.arrays[f"{name}.weight"] = _exact(weight, np.dtype(np.int8))
        self.arrays[f"{name}.bias"] = _exact(_array(params["bias"]).reshape(-1), np.dtype(np.int32))
        self.arrays[f"{name}.w_scales"] = _array(params["w_scales"]).reshape(-1)
        self.append(
            name, "conv2d", [self.last], channels, _real(params["y_scale"]), _integer(params["y_zero"])
        )
        self.layers[-1] |= {
            "stride": stride,
            "padding": padding,
            "groups": groups,
            "depthwise": groups > 1 and weight.shape[1] == 1,
            "weight": f"{name}.weight",
            "bias": f"{name}.bias",
            "weight_scales": f"{name}.w_scales",
            "input_scale": _real(params["x_scale"]),
            "input_zero_point": _integer(params["x_zero"]),
        }

    def append(
        self, name: str, op: str, inputs: list[str], channels: int, scale: float, zero_point: int
    ) -> None:
        self.layers.append(
            {
                "id": name,
                "op": op,
                "inputs": inputs,
                "out_channels": channels,
                "out_hw": self.hw,
                "output_scale": scale,
                "output_zero_point": zero_point,
            }
        )
        self.last = name

    def described(self, name: str) -> _Config:
        return {
            "format": "int8-graph-v1",
            "name": name,
            "source": {"repo": "github.com/mit-han-lab/tiny-training", "licence": "MIT"},
            "input": self.input,
            "head": {"layer": "classifier"},
            "layers": self.layers,
        }


def _array(value: object) -> NDArray[Any]:
    return value.array if isinstance(value, PickledArray) else np.asarray(value)


def _real(value: object) -> float:
    return float(_array(value).reshape(()) if isinstance(value, PickledArray) else value)  # type: ignore[arg-type]


def _integer(value: object) -> int:
    real = _real(value)
    if real != int(real):
        raise ValueError(f"{real} is no integer")
    return int(real)


def _pair(value: Any) -> tuple[int, int]:
    sides = (value, value) if isinstance(value, int) else tuple(value)
    if len(sides) != 2:
        raise ValueError(f"{value} is no pair")
    return int(sides[0]), int(sides[1])


def _exact(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        cast = array.astype(dtype)
    if not np.array_equal(cast, array):
        raise ValueError(f"an array of {array.dtype} holds values that are no {dtype}")
    return cast
