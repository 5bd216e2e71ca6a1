"""Trained networks out of the folders of their runs."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.core import BadRun
from mcusim.files.tflite.reader import parse_tflite
from mcusim.session.exporting import export_network, is_network

pytest.importorskip("flatbuffers")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "spectra.npz"
    x = np.random.default_rng(0).normal(size=(30, 49, 10, 1)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(30) % 12)
    return path


def run(*arguments):
    """Run the program; return what it printed."""
    result = CliRunner().invoke(build(), [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.data
def test_a_trained_network_leaves_as_the_file_it_came_from(data_dir, data, tmp_path):
    source = data_dir / "tflite" / "mlperftiny_kws_ref_model.tflite"
    train = ("train", "--board", "stm32h743", "--data", data, "--update", "head", "--model", source)
    run(*train, "--out", tmp_path / "own")
    out = tmp_path / "out.tflite"
    said = run("export", tmp_path / "own", out)
    assert " ".join(said.split()) == f"{out}: {source} with the weights of {tmp_path / 'own'}"
    found, trained = mcusim.load(out), mcusim.load(tmp_path / "own" / "model.npz")
    assert parse_tflite(out.read_bytes(), "out").source == mcusim.load(source).source
    assert all(
        np.array_equal(t.data, found.tensors[n].data) for n, t in trained.tensors.items() if t.constant
    )
    assert len(out.read_bytes()) == len(source.read_bytes())
    again = tmp_path / "again.tflite"
    run("export", tmp_path / "own" / "model.npz", again, "--like", source)
    assert again.read_bytes() == out.read_bytes()
    run(*train, "--classes", 13, "--out", tmp_path / "fresh")
    assert "written anew, for" in run("export", tmp_path / "fresh", out)
    assert mcusim.load(out).classes == 13


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(BadRun, match=r"has no model\.npz"):
        export_network(tmp_path, tmp_path / "out.tflite")


def test_the_suffix_says_whether_network_or_trace(tmp_path):
    assert is_network(tmp_path / "a.tflite")
    assert is_network(tmp_path / "a.npz")
    assert not is_network(tmp_path / "a.json")
