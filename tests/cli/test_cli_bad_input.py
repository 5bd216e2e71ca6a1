"""Everything a user can get wrong: one line on stderr, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

BOARD = ("--board", "nrf52840")
SHIPPED = ("--model", "synthetic-mbv2", *BOARD)


def edited(model: Path, target: Path, change) -> Path:
    """Copy a model file, its json entry changed."""
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.startswith("mcusim.json"):
                data = np.frombuffer(content, np.uint8) if name.endswith(".npy") else content
                found = json.loads(bytes(data))
                change(found["model"])
                content = json.dumps(found).encode()
            new.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--model", "synthetic-mbv3", *BOARD), "did you mean synthetic-mbv2"),
        (("--model", "mbv2-w0.35", *BOARD), "mcusim fetch mbv2-w0.35"),
        (("--model", "synthetic-mbv2", "--board", "nrf52480"), "did you mean nrf52840"),
        pytest.param((*SHIPPED, "--update", "dynamik"), "did you mean dynamic", marks=pytest.mark.smoke),
        ((*SHIPPED, "--update", "dynamic:ratoi=0.1"), "did you mean ratio"),
        ((*SHIPPED, "--update", "dynamic:ratio=much"), "is not float"),
        ((*SHIPPED, "--error", "float16"), "did you mean float32"),
        ((*SHIPPED, "--weight", "int4"), "did you mean int8"),
        ((*SHIPPED, "--head", "int16"), "head"),
        ((*SHIPPED, "--residency", "flsh"), "did you mean flash"),
        ((*SHIPPED, "--planner", "greedy"), "greedy_by_size"),
        ((*SHIPPED, "--update", "dense-8"), "'8' in 'dense-8': is no parameter"),
        ((*SHIPPED, "--patches", "²:stem"), "patches '²:stem'"),
        ((*SHIPPED, "--update", "dynamic:layers=²"), "'²': is not known"),
        ((*SHIPPED, "--patches", "many"), "is not auto, off or COUNT:OP"),
        ((*SHIPPED, "--patches", "2:nowhere"), "cannot be run in patches"),
        ((*SHIPPED, "--profile", "cortex-m4"), "did you mean cortex-m4-"),
        ((*SHIPPED, "--profile", "cortex-m7-cubeai-10.0-balanced"), "is for cortex-m7"),
        ((*SHIPPED, "--sram", "lots"), "is not a number of bytes"),
        ((*SHIPPED, "--sram", "-5"), "is not"),
        ((*SHIPPED, "--sram", "2 parsec"), "is not a number of bytes"),
        ((*SHIPPED, "--sram", "1MiB"), "SRAM of 1MiB: is more than the 262,144 B"),
        ((*SHIPPED, "--momentum", "1.5"), "momentum"),
        ((*SHIPPED, "--accumulate", "0"), "accumulate"),
        ((*SHIPPED, "--seed", "99999999999"), "seed"),
        ((*SHIPPED, "--classes", "0"), "classes"),
        ((*SHIPPED, "--feature", "chequer"), "did you mean checker?"),
        ((*SHIPPED, "--bias", "int32-rs"), "did you mean int32-sr"),
    ],
)
def test_options_of_plan(refused, options, says):
    assert says in refused("plan", *options)


def test_usage_errors_exit_with_2_as_well(run):
    for arguments in (
        ["plan"],
        ["plan", *SHIPPED, "--bogus"],
        ["nothing"],
        ["plan", *SHIPPED, "--seed", "x"],
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr
        assert "Traceback" not in result.stderr


def test_model_files(refused, model: Path, tmp_path: Path):
    whole = model.read_bytes()

    def says(path: Path) -> str:
        return str(refused("plan", "--model", path, *BOARD))

    assert "no such file" in says(tmp_path / "missing.npz")
    for name, content in (("empty", b""), ("cut", whole[: len(whole) // 2]), ("junk", b"PK" * 100)):
        (tmp_path / f"{name}.npz").write_bytes(content)
        assert name in says(tmp_path / f"{name}.npz")
    (tmp_path / "model.zip").write_bytes(whole)
    assert "model file type" in says(tmp_path / "model.zip")
    for name, content in (("cut.tflite", b"\0\0\0\0TFL3"), ("bad.json", b"{"), ("bad.pkl", b"junk")):
        (tmp_path / name).write_bytes(content)
        assert name in says(tmp_path / name)


def test_networks_that_make_no_sense(refused, model: Path, tmp_path: Path):
    def shape(data):
        data["tensors"][-1]["shape"] = [1, 99]

    def op(data):
        data["ops"][0]["kind"] = "teleport"

    def head(data):
        data["head"] = "nowhere"

    for change in (shape, op, head):
        path = edited(model, tmp_path / f"{change.__name__}.npz", change)
        assert change.__name__ in refused("plan", "--model", path, *BOARD)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_that_make_no_sense(refused, model: Path, tmp_path: Path, scale: float):
    with np.load(model) as file:
        arrays = {name: file[name] for name in file.files}
    found = [name for name in arrays if "scale" in name]
    assert found
    arrays[found[0]] = np.full_like(arrays[found[0]], scale)
    np.savez(tmp_path / "scales.npz", **arrays)
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(tmp_path / "scales.npz") as new:
        entries = {n: old.read(n) for n in old.namelist()}
        entries[f"{found[0]}.npy"] = new.read(f"{found[0]}.npy")
    with zipfile.ZipFile(tmp_path / "scales.npz", "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    assert "scale" in refused("plan", "--model", tmp_path / "scales.npz", *BOARD)


class Evil:
    """Runs a program when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_hostile_pickles(refused, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Evil()))
    with zipfile.ZipFile(tmp_path / "zipped.pkl", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil()))
    for name in ("plain.pkl", "zipped.pkl"):
        refused("plan", "--model", tmp_path / name, *BOARD)
    assert not (tmp_path / "pwned").exists()


def test_data(refused, model: Path, images: Path, tmp_path: Path):
    def says(data: object, *options: object) -> str:
        return str(refused("train", "--model", model, *BOARD, "--data", data, *options))

    assert "did you mean cifar10" in says("cifar")
    assert "MCUSIM_DATA" in says("cifar10")
    (tmp_path / "empty").mkdir()
    assert "empty" in says(tmp_path / "empty")
    assert "does not exist" in says(tmp_path / "nothing" / "there")
    batches = tmp_path / "cifar-10-batches-bin"
    batches.mkdir()
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    for name in names:
        (batches / name).write_bytes(bytes(3073 * 3 + 1))
    assert "no multiple of the record length" in says(batches)
    for name in names:
        (batches / name).write_bytes(b"\x0b" + bytes(3072))
    assert "label 11" in says(batches)
    (batches / names[-1]).unlink()
    assert "batch" in says(batches)
    with np.load(images) as file:
        arrays = dict(file)
    np.savez(tmp_path / "far.npz", **{**arrays, "train_labels": arrays["train_labels"] * 1000})
    assert "classes" in says(tmp_path / "far.npz", "--classes", "4")
    np.savez(tmp_path / "below.npz", **{**arrays, "train_labels": arrays["train_labels"] - 1})
    assert "-1" in says(tmp_path / "below.npz")
    np.savez(tmp_path / "objects.npz", **{**arrays, "train_labels": np.array([{}], object)})
    assert "objects.npz" in says(tmp_path / "objects.npz")


def test_training_options(refused, model: Path, images: Path):
    def says(*options: object) -> str:
        return str(refused("train", "--model", model, *BOARD, "--data", images, *options))

    assert "epochs" in says("--epochs", "0")
    assert "limit 0: is not at least 1" in says("--limit", "0")
    assert "lr" in says("--lr", "nan")
    assert "constant" in says("--schedule", "constan")
    assert "first" in says("--trace", "frist")
    assert "needs" in says("--resume")
    assert "folder" in says("--trace", "all")
    assert "--shift -1: is not in [0, 1,024]" in says("--shift", "-1")
    assert "warm" in says("--warmup", "-1")


def test_out_that_cannot_be_written(refused, model: Path, images: Path, tmp_path: Path, monkeypatch):
    arguments = ("train", "--model", model, *BOARD, "--data", images, "--limit", "4", "--out")
    (tmp_path / "file").write_text("mine")
    assert "cannot be written" in refused(*arguments, tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "mine"

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in refused(*arguments, tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_resume_from_something_else(refused, answer, model: Path, images: Path, tmp_path: Path):
    arguments = ("train", "--model", model, *BOARD, "--data", images, "--limit", "4", "--out", tmp_path)
    assert "no checkpoint" in refused(*arguments, "--resume")
    answer(*arguments)
    assert "holds a run" in refused(*arguments)
    assert "settings" in refused(*arguments, "--seed", "1", "--resume")
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:100])
    assert "cannot be read" in refused(*arguments, "--resume")
    assert answer(*arguments, "--overwrite")["steps"] == 4


def test_unknown_downloads(refused):
    assert "did you mean mbv2-w0.35" in refused("fetch", "mbv2-w035")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["plan", *SHIPPED, "--sram", "lots"], b"error: --sram: size 'lots'"),
        (["plan", *SHIPPED, "--bogus"], b"No such option"),
        (["fetch", "nothing"], b"error: public model or data set"),
    ],
)
def test_in_a_real_process(command, says):
    done = subprocess.run([sys.executable, "-m", "mcusim", *command], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    assert says in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors before the program starts")
def test_nobody_listens():
    """Started with stdout and stderr closed, as a daemon may be, it does what it is asked."""
    command = f"{shlex.quote(sys.executable)} -m mcusim boards >&- 2>&-"
    assert subprocess.run(command, shell=True, check=False).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_behind_stdout():
    command = [sys.executable, "-m", "mcusim", "plan", *SHIPPED, "--json", "--no-suggest"]
    # With PYTHONUNBUFFERED nothing would be left to write at exit.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"error: ")
    assert b"No space left" in done.stderr
