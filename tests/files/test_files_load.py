"""Finding models by name, and the registry of public ones."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcusim.cli.main import build
from mcusim.core import BadModel, MissingPackage, UnknownName
from mcusim.files import npz
from mcusim.files.load import IMPORTERS, available, find, load
from mcusim.files.registry import entry, registry
from mcusim.files.save import save
from mcusim.graph import Arithmetic, Model, OpKind


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synthetic_model: Model) -> Path:
    """Return a folder that is MCUSIM_DATA, with a model ``models/tiny-int8.npz`` in it."""
    monkeypatch.setenv("MCUSIM_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("mcusim.files.load.cache_dir", lambda: tmp_path / "cache")
    npz.save(synthetic_model, tmp_path / "data" / "models" / "tiny-int8.npz")
    return tmp_path


def test_names_stems_and_paths_are_found(home: Path) -> None:
    file = home / "data" / "models" / "tiny-int8.npz"
    for name in ("tiny", "tiny-int8", "tiny-int8.npz", str(file)):
        assert find(name) == file
    assert available()["tiny"] == file
    assert load("tiny").name == "synthetic"
    assert load("tiny", classes=3, head="int8", seed=5).classes == 3


def test_arithmetic_can_be_chosen(home: Path) -> None:
    assert load("tiny", arithmetic="float").arithmetic is Arithmetic.FLOAT
    with pytest.raises(UnknownName, match="did you mean tflite"):
        load("tiny", arithmetic="tflight")


def test_networks_are_saved_as_their_suffix_says(tmp_path: Path, synthetic_model: Model) -> None:
    for name in ("m.npz", "m.tflite"):
        save(synthetic_model, tmp_path / name)
        assert len(load(tmp_path / name).ops) == len(synthetic_model.ops)
    with pytest.raises(UnknownName, match="known: npz, onnx, tflite"):
        save(synthetic_model, tmp_path / "m.h5")


def test_data_folder_comes_before_the_cache(home: Path, synthetic_model: Model) -> None:
    npz.save(synthetic_model, home / "cache" / "models" / "tiny.npz")
    npz.save(synthetic_model, home / "cache" / "models" / "cached.npz")
    assert find("tiny").parent == home / "data" / "models"
    assert find("cached").parent == home / "cache" / "models"


def test_unknown_names_suggest_the_nearest(home: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean tiny"):
        load("tinny")
    (home / "model.h5").write_bytes(b"")
    with pytest.raises(UnknownName, match=r"\.npz"):
        load(home / "model.h5")
    with pytest.raises(BadModel, match="no such file"):
        load(home / "nothing.npz")
    with pytest.raises(BadModel, match=r"mcusim fetch mbv2-w0\.35"):
        load("mbv2-w0.35")


def test_registry_names_each_file_fully() -> None:
    known = registry()
    assert {"cifar-10", "mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3"} <= set(known)
    assert len({e.file for e in known.values()}) == len(known)
    assert all(e.licence and e.what and e.url.startswith("https://") for e in known.values())
    with pytest.raises(UnknownName, match=r"cifar-10"):
        entry("cifar10")


@pytest.mark.parametrize(
    "text", ["[a", "[a]\nwhat = 1", '[a]\nwhat = ""\nextra = 1', "a = 1", '[a]\nfile = "../../etc"']
)
def test_malformed_registries_are_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(BadModel, match=r"r\.toml"):
        registry(tmp_path / "r.toml")
    with pytest.raises(BadModel, match="cannot be read"):
        registry(tmp_path / "gone.toml")


@pytest.mark.parametrize(("package", "suffix"), [("onnx", "onnx"), ("flatbuffers", "tflite")])
def test_missing_packages_are_named_with_their_extra(
    home: Path, monkeypatch: pytest.MonkeyPatch, synthetic_model: Model, package: str, suffix: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    path = home / f"m.{suffix}"
    path.write_bytes(b"")
    reads_or_writes = load if suffix == "onnx" else partial(save, synthetic_model)
    with pytest.raises(MissingPackage, match=rf"{package}.*mcusim\[{suffix}\]"):
        reads_or_writes(path)


def test_every_name_of_an_op_is_read_by_the_readers():
    from mcusim.files.names import NAMES
    from mcusim.files.onnx.operators import RULES as ONNX
    from mcusim.files.onnx.operators import SEVERAL
    from mcusim.files.torch.operators import RULES as TORCH

    assert {n for _, names in NAMES.items() for n in names.onnx} <= {*ONNX, *SEVERAL}
    assert {n for _, names in NAMES.items() for n in names.torch} <= set(TORCH)
    # A convolution in groups is told from others by its shapes.
    several = (OpKind.GROUPED_CONV_2D,)
    codes = [n.tflite.code for kind, n in NAMES.items() if n.tflite is not None and kind not in several]
    assert len(set(codes)) == len(codes)


def test_what_no_reader_foresaw_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind every reader: each of them is made to fail as nobody thought of."""

    def failing(path: Path) -> Model:
        raise KeyError("a\nb" + "x" * 1000)

    for suffix in IMPORTERS.names():
        file = tmp_path / f"m.{suffix}"
        file.write_bytes(b"?")
        with monkeypatch.context() as patch:
            patch.setitem(IMPORTERS._own, suffix, failing)
            message = r"m\.\w+: cannot be read: KeyError: .*\.\.\..*export it again"
            with pytest.raises(BadModel, match=message) as found:
                load(file)
            assert len(str(found.value)) < 400 + len(str(file))
            assert str(found.value).isprintable()
            done = CliRunner().invoke(build(), ["plan", "--model", str(file), "--board", "stm32f746"])
            assert (done.exit_code, "cannot be read: KeyError" in done.stderr) == (2, True)


def test_names_out_of_files_are_legible_in_messages() -> None:
    name = "long" * 100 + "\x1b[31m"
    error = BadModel(f"tensor '{name}'", f"is the board's and has 'short'; the network's is {name[:3]!r}")
    assert str(error).isprintable()
    assert len(error.thing) < 120
    assert error.thing.startswith("tensor 'longlong")
    assert error.thing.endswith("[31m'")
    assert error.reason == "is the board's and has 'short'; the network's is 'lon'"
