"""A study small enough to be carried out in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import small_network

from mcusim.files.npz import save


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a run file would hold: a small network, some pictures that can be told apart."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 4
    pictures = rng.integers(0, 128, (80, 16, 16, 3), dtype=np.uint8)
    pictures[np.arange(80), :, :, labels % 3] += (labels * 30).astype(np.uint8)[:, None, None]
    model, images = tmp_path / "small.npz", tmp_path / "pictures.npz"
    save(small_network(), model)
    np.savez(images, x_train=pictures[:60], y_train=labels[:60], x_test=pictures[60:], y_test=labels[60:])
    return {
        "model": str(model), "board": "nrf52840", "data": str(images), "update": "head", "patches": "off",
        "planner": "greedy_by_size", "training": {"epochs": 2, "validation": 0.25, "evaluate": "end"},
    }  # fmt: skip
