"""Data as people have it, from the command line: folders of all sizes, float pictures, planes first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BOARD = ("--board", "nrf52840")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of four classes, no two of one size."""
    image = pytest.importorskip("PIL.Image")
    for label, name in enumerate("abcd"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(4):
            pixels = np.full((9 + 3 * i + label, 30 - 4 * i, 3), 60 * label + i, np.uint8)
            image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    return tmp_path / "set"


@pytest.mark.parametrize("verb", ["train", "search"])
def test_a_folder_of_pictures_of_all_sizes(answer: Any, model: Path, folder: Path, verb: str) -> None:
    more = ("--update", "head") if verb == "train" else ("--steps", "4", "--blocks", "1")
    found = answer(verb, "--model", model, *BOARD, "--data", folder, *more)
    if verb == "train":
        assert found["steps"] == 12
    else:
        assert found["options"]


def floats(tmp_path: Path, images: Path, scale: float, *, planes: bool = False) -> Path:
    data = np.load(images)
    x, y = data["train_images"].astype(np.float32) * scale, data["train_labels"]
    x = np.moveaxis(x, -1, 1) if planes else x
    path = tmp_path / "floats.npz"
    np.savez(path, train_images=x, train_labels=y, test_images=x, test_labels=y)
    return path


@pytest.mark.filterwarnings("default:float32 examples")
def test_planes_first_learn_what_planes_last_learn(
    tmp_path: Path, images: Path, model: Path, run: Any
) -> None:
    found = []
    for planes in (False, True):
        data = floats(tmp_path, images, 1 / 255, planes=planes)
        result = run("train", "--model", model, *BOARD, "--update", "last-1", "--data", data, "--json")
        assert result.exit_code == 0, result.stderr
        found.append(json.loads(result.stdout)["metric"])
    assert found[0] == found[1]


def test_what_is_done_with_float_pictures_is_said_in_lines(tmp_path: Path, images: Path, model: Path) -> None:
    data = floats(tmp_path, images, 1.0)
    words = ["train", "--model", str(model), *BOARD, "--update", "head", "--limit", "2", "--data", str(data)]
    done = subprocess.run(
        [sys.executable, "-m", "mcusim", *words], capture_output=True, text=True, check=True
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(said) == 2
    assert said[0].startswith("note: float32 examples are taken as real values of the input: mean 0.5")
    assert "% of the values of float32 examples saturate" in said[1]
