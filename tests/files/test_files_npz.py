"""The project's own files and the public json graphs: round trips, and damage."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mcusim.core import BadModel, SaveFailed
from mcusim.files import npz
from mcusim.files.arrays import decode_array, read_arrays
from mcusim.files.graph_json import load_graph_json
from mcusim.graph import Model
from mcusim.graph.head import replace_head


def same(a: Model, b: Model) -> bool:
    """Return True if two models are equal in everything, bit for bit."""
    fields = ("name", "ops", "inputs", "outputs", "arithmetic", "head", "preprocessing", "labels", "source")
    if any(getattr(a, f) != getattr(b, f) for f in fields) or list(a.tensors) != list(b.tensors):
        return False
    for x, y in zip(a.tensors.values(), b.tensors.values(), strict=True):
        if (x.name, x.shape, x.dtype, x.constant) != (y.name, y.shape, y.dtype, y.constant):
            return False
        if (x.quant is None) != (y.quant is None):
            return False
        if x.quant is not None and y.quant is not None:
            same_scale = x.quant.scale.dtype == y.quant.scale.dtype and x.quant.same_as(y.quant)
            if not same_scale:
                return False
        if x.data is not None and np.asarray(x.data).tobytes() != np.asarray(y.data).tobytes():
            return False
    return True


@pytest.fixture
def model(synthetic_model: Model) -> Model:
    return synthetic_model


@pytest.mark.data
@pytest.mark.parametrize("name", ["mbv2-w0.35-int8", "mcunet-5fps-int8", "proxyless-w0.3-int8"])
def test_public_models_have_their_published_counts(data_dir: Path, tmp_path: Path, name: str) -> None:
    model = load_graph_json(data_dir / "models" / f"{name}.json")
    weights, convolutions = {
        "mbv2-w0.35-int8": (238_688, 51),
        "mcunet-5fps-int8": (463_216, 42),
        "proxyless-w0.3-int8": (320_816, 60),
    }[name]
    assert (model.conv_weights, len(model.convolutions)) == (weights, convolutions)
    assert model.input.shape == (1, 128, 128, 3)
    assert model.head == "classifier"
    for variant in (model, replace_head(model, 10), replace_head(model, 10, format="int8")):
        npz.save(variant, tmp_path / "m.npz")
        assert same(npz.load_npz(tmp_path / "m.npz"), variant)


@pytest.mark.smoke
def test_all_comes_back_and_equal_models_give_equal_bytes(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    extras = {"a/b.residual": np.arange(-3, 3, dtype=np.int8), "momentum": np.zeros((500, 700), np.float32)}
    state = {"step": 12, "rng": [1, 2**100], "lr": 0.1}
    npz.save(model, path, extras=extras, state=state)
    saved = npz.read(path)
    assert same(saved.model, model)
    assert saved.state == state
    assert list(saved.extras) == list(extras)
    for name, array in extras.items():
        assert saved.extras[name].dtype == array.dtype
        assert np.array_equal(saved.extras[name], array)
    first = path.read_bytes()
    npz.save(saved.model, path, extras=saved.extras, state=saved.state)
    assert path.read_bytes() == first


def test_numpy_can_open_it_and_nothing_is_pickled(model: Model, tmp_path: Path) -> None:
    npz.save(model, tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as archive:
        assert json.loads(bytes(archive[npz.ENTRY]))["schema_version"] == 1


def test_integers_stay_integers(model: Model, tmp_path: Path) -> None:
    npz.save(model, tmp_path / "m.npz")
    clamp = npz.load_npz(tmp_path / "m.npz").ops[0].attributes.clamp
    assert clamp is not None
    assert [type(bound) for bound in clamp] == [int, int]


def rewrite(source: Path, target: Path, change: dict[str, bytes | None]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = change.get(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return target


def test_damaged_descriptions_are_errors(model: Model, tmp_path: Path) -> None:
    path, bad = tmp_path / "m.npz", tmp_path / "bad.npz"
    npz.save(model, path)
    with zipfile.ZipFile(path) as archive:
        text = archive.read(npz.ENTRY).decode()
    described = json.loads(text)
    described["model"]["ops"][0]["attributes"]["stride"] = [1, "2"]
    cases: dict[str, bytes | None] = {
        "no entry": None,
        "description is wrong": b"{",
        "schema_version": text.replace('"schema_version": 1', '"schema_version": 2').encode(),
        "stride": json.dumps(described).encode(),
        "unpickle": text.replace('"kind": "conv_2d"', '"kind": "unpickle"').encode(),
        "surprise": text.replace('"extras": [', '"surprise": 1, "extras": [').encode(),
        "lacks the array": text.replace('"extras": [', '"extras": ["gone"').encode(),
        "sram": text.replace('"arithmetic": "tflite"', '"arithmetic": "sram"').encode(),
    }
    for named, data in cases.items():
        with pytest.raises(BadModel, match=named):
            npz.load_npz(rewrite(path, bad, {npz.ENTRY: data}))


def test_damaged_arrays_are_errors(model: Model, tmp_path: Path) -> None:
    path, bad = tmp_path / "m.npz", tmp_path / "bad.npz"
    npz.save(model, path)
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("data.npy"))
        good = archive.read(name)
    stream = io.BytesIO()
    np.save(stream, np.array([{}], object), allow_pickle=True)
    huge = good.replace(b"'shape': (", b"'shape': (99999999999, ").replace(b" " * 14 + b"\n", b"\n")
    for data in (b"", good[:40], good[:-1], good + b"x", stream.getvalue(), huge, None):
        with pytest.raises(BadModel, match=r"array|lacks"):
            npz.load_npz(rewrite(path, bad, {name: data}))


def test_every_truncation_is_an_error(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    npz.save(model, path)
    data = path.read_bytes()
    for end in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:end])
        with pytest.raises(BadModel):
            npz.load_npz(path)


def test_flipped_bytes_never_escape_as_other_errors(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    npz.save(model, path)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            changed[at] = rng.integers(256)
        path.write_bytes(changed)
        try:
            npz.load_npz(path)
        except BadModel:
            continue


def test_zip_bombs_are_refused_before_they_unpack(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(200 * 1024**2))
    with pytest.raises(BadModel, match="unpacks"):
        read_arrays(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(4):
            archive.writestr(f"{i}.npy", bytes(40 * 1024**2))
    with pytest.raises(BadModel, match="unpacks"):
        read_arrays(path)


def test_fortran_order_and_version_2_headers_are_read() -> None:
    array = np.asfortranarray(np.arange(6).reshape(2, 3))
    for version in ((1, 0), (2, 0)):
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, version)
        assert np.array_equal(decode_array("a", stream.getvalue()), array)


def test_failed_save_leaves_the_old_file(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.npz"
    npz.save(model, path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SaveFailed, match="No space left"):
        npz.save(model, path, state={"step": 1})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.data
def test_damaged_json_graphs_are_errors(data_dir: Path, tmp_path: Path) -> None:
    source = data_dir / "models" / "mbv2-w0.35-int8.json"
    shutil.copy(source.with_suffix(".npz"), tmp_path / "m.npz")
    path = tmp_path / "m.json"
    with pytest.raises(BadModel, match="cannot be read"):
        load_graph_json(path)
    text = source.with_suffix(".json").read_text()
    cases = {
        "no JSON": text[:1000],
        "format": text.replace("int8-graph-v1", "int8-graph-v9"),
        "is missing": text.replace('"first_conv.weight"', '"first_conv.height"'),
        "but its output": text.replace('"out_hw"', '"out_wh"'),
        "does not exist": text.replace('"blocks.2.pointwise2"', '"blocks.2.pointwise9"', 1),
        "scale 0": text.replace('"output_scale": 0.10244515362907858', '"output_scale": 0.0').replace(
            '"input_scale": 0.10244515362907858', '"input_scale": 0.0'
        ),
        "16 groups": text.replace('"out_channels": 16', '"out_channels": 24', 1),
        "was written with": text.replace('"input_zero_point": 23', '"input_zero_point": 22', 1),
        "greater than or equal": text.replace('"stride": [\n    2', '"stride": [\n    -2', 1),
        "[Ii]nput|layers": "[]",
        "no JSON|recursion": "[" * 100_000,
    }
    for named, changed in cases.items():
        assert changed != text, named
        path.write_text(changed)
        with pytest.raises(BadModel, match=named):
            load_graph_json(path)
    path.write_text(text)
    (tmp_path / "m.npz").write_bytes(b"no zip")
    with pytest.raises(BadModel, match="damaged archive"):
        load_graph_json(path)
