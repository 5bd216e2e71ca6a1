"""The tiny-training pickles: rebuilt from the json graphs, and hostile ones."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcusim.core import BadModel
from mcusim.files.graph_json import load_graph_json
from mcusim.files.safe_pickle import PickledArray, load_pickle
from mcusim.files.tiny_training_pkl import load_tiny_training_pkl


def as_config(folder: Path, name: str) -> dict[str, Any]:
    """Return the nested dicts that tiny-training pickles, made from a json graph."""
    graph = json.loads((folder / f"{name}-int8.json").read_text())
    arrays = np.load(folder / f"{name}-int8.npz")

    def conv(layer: dict[str, Any]) -> dict[str, Any]:
        kernel = layer["kernel"]
        return {
            "in_channel": layer["in_channels"],
            "out_channel": layer["out_channels"],
            "kernel_size": kernel[0] if kernel[0] == kernel[1] else tuple(kernel),
            "stride": layer["stride"][0],
            "groups": layer["groups"],
            "params": {
                "weight": arrays[layer["weight"]],
                "bias": arrays[layer["bias"]].astype(np.float64),
                "w_scales": arrays[layer["weight_scales"]],
                "x_scale": np.float64(layer["input_scale"]),
                "x_zero": np.array(layer["input_zero_point"]),
                "y_scale": np.array([layer["output_scale"]]),
                "y_zero": layer["output_zero_point"],
            },
        }

    layers = {layer["id"]: layer for layer in graph["layers"]}
    blocks: list[dict[str, Any]] = []
    for i in range(1 + max(layer.get("block", -1) for layer in graph["layers"])):
        block: dict[str, Any] = {}
        for part in ("pointwise1", "depthwise", "pointwise2"):
            found = layers.get(f"blocks.{i}.{part}")
            block[part] = conv(found) if found else None
        add = layers.get(f"blocks.{i}.add")
        block["residual"] = add and {
            "params": {
                "x_scale": np.float64(add["input_scales"][0]),
                "x_zero": add["input_zero_points"][0],
                "y_scale": np.float64(add["output_scale"]),
                "y_zero": add["output_zero_point"],
            }
        }
        blocks.append(block)
    return {
        "first_conv": conv(layers["first_conv"]),
        "blocks": blocks,
        "feature_mix": None,
        "classifier": conv(layers["classifier"]),
    }


def write(path: Path, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
    return path


@pytest.mark.data
@pytest.mark.parametrize("name", ["mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_pickle_and_json_hold_the_same_network(
    data_dir: Path, tmp_path: Path, name: str, protocol: int
) -> None:
    data = pickle.dumps(as_config(data_dir / "models", name), protocol)
    if protocol == 2:  # as numpy 1 wrote it
        data = data.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")
    ours = load_tiny_training_pkl(write(tmp_path / f"{name}.pkl", data))
    reference = load_graph_json(data_dir / "models" / f"{name}-int8.npz")
    assert ours.ops == reference.ops
    assert (ours.inputs, ours.outputs, ours.head) == (reference.inputs, reference.outputs, reference.head)
    for name, tensor in reference.tensors.items():
        other = ours.tensors[name]
        assert (other.shape, other.dtype) == (tensor.shape, tensor.dtype)
        assert tensor.quant is not None
        assert tensor.quant.same_as(other.quant)
        assert np.array_equal(np.asarray(other.data), np.asarray(tensor.data))


class Evil:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("thing", "named"),
    [
        (Evil(os.system, "true"), "system"),
        (Evil(eval, "1"), "eval"),
        (Evil(getattr, "x", "upper"), "getattr"),
        (Evil(np.load, "x"), "load"),
        (Evil(np.array, [1]), "array"),
        (Path("x"), "PosixPath|PurePosixPath|_reconstructor"),
        (np.array([None, {}], object), "array of 'O8'"),
        (np.zeros(2, "datetime64[s]"), "array of 'M8'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_other_target_is_refused_by_name(tmp_path: Path, thing: Any, named: str) -> None:
    for protocol in range(6):
        path = write(tmp_path / "evil.pkl", pickle.dumps({"first_conv": thing}, protocol))
        with pytest.raises(BadModel, match=named) as caught:
            load_tiny_training_pkl(path)
        assert caught.value.way_out == "only numpy arrays are allowed in a model's pickle"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80\x04N",
        b"\x80\x02cnumpy\ndtype\n}\x8c\x01ak\x01sb.",  # sets the state of a stand-in
        b"\x80\x02N" + b"r\xff\xff\xff\x7f" + b".",  # a memo of 2**31 entries
        b"\x80\x05\x96\xff\xff\xff\xff\x01\0\0\0.",  # a bytearray of 8 GiB
        # Frames within frames: found by the fuzzer, where the unpickler in C jumps to a memo of gigabytes.
        b"\x80\x04" + b"\x95\x85\0\0\0\0\0\0\0}\x94(\x8c\x08segments\x94]\x94\x8c\x0ddevice_trace\x04" * 90,
        b"\x80\x02" + b"\x82\x01.",  # an extension
        b"Pabc\n.",  # a persistent id
        b"cnumpy\nndarray\n(I1000000000000\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(tR(I1\n(I-1\ntcnumpy\ndtype\n(Vi1\ntRI00\nC\x01atb.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x00.",  # 2**56 bytes that are not there
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    ],
)
def test_damaged_pickles_are_errors(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadModel):
        load_tiny_training_pkl(write(tmp_path / "bad.pkl", data))


def test_arrays_come_out_as_they_went_in() -> None:
    arrays = [
        np.arange(6, dtype=np.int8).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.float64(1.5),
        np.zeros((0, 3)),
    ]
    for protocol in range(5):
        for array, loaded in zip(arrays, load_pickle(pickle.dumps(arrays, protocol), "x"), strict=True):
            found = loaded.array if isinstance(loaded, PickledArray) else loaded
            assert np.array_equal(found, array)


def test_config_without_blocks_is_an_error(tmp_path: Path) -> None:
    for config in ({}, [], 5, {"first_conv": None}, {"first_conv": {"in_channel": "x", "params": {}}}):
        with pytest.raises(BadModel, match="does not describe"):
            load_tiny_training_pkl(write(tmp_path / "bad.pkl", pickle.dumps(config)))


def test_file_without_a_pickle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="cannot be read"):
        load_tiny_training_pkl(tmp_path / "missing.pkl")
    (tmp_path / "text.pkl").write_text("hello")
    with pytest.raises(BadModel, match="damaged archive"):
        load_tiny_training_pkl(tmp_path / "text.pkl")
    with zipfile.ZipFile(tmp_path / "empty.pkl", "w"):
        pass
    with pytest.raises(BadModel, match="0 pickles"):
        load_tiny_training_pkl(tmp_path / "empty.pkl")
