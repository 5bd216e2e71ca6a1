"""The command line in this process, without the real data, with a cache of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import small_network
from typer.testing import CliRunner

from mcusim.cli.main import build
from mcusim.files.npz import save

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No real data, no user's cache."""
    monkeypatch.delenv("MCUSIM_DATA", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def run() -> Callable[..., Any]:
    """Run the command line with arguments; return exit code, stdout and stderr."""
    app, runner = build(), CliRunner()

    def call(*arguments: object) -> Any:
        return runner.invoke(app, [str(a) for a in arguments])

    return call


@pytest.fixture
def answer(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run a verb with ``--json``, on a machine that is never slow; return its one object."""
    monkeypatch.setattr("mcusim.cli.progress.PAUSE_S", inf)

    def call(*arguments: object, exits: int = 0) -> dict[str, Any]:
        result = run(*arguments, "--json")
        assert result.exit_code == exits, result.stderr
        assert result.stderr == ""
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return call


@pytest.fixture
def refused(run: Callable[..., Any]) -> Callable[..., str]:
    """Run a verb that must fail as a user expects; return the one line it says."""

    def call(*arguments: object, exits: int = 2) -> str:
        result = run(*arguments)
        assert result.exit_code == exits, (result.stdout, result.stderr, result.exception)
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
        return str(result.stderr)

    return call


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with four classes, in a file."""
    path = tmp_path_factory.mktemp("models") / "small.npz"
    save(small_network(), path)
    return path


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of four classes, told apart by their colour."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 4
    colours = rng.integers(40, 216, (4, 1, 1, 3))
    pictures = np.clip(colours[labels] + rng.normal(0, 20, (40, 16, 16, 3)), 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("images") / "colours.npz"
    np.savez(path, train_images=pictures, train_labels=labels, test_images=pictures, test_labels=labels)
    return path


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with a file in tests/golden; ``MCUSIM_GOLDEN=write`` rewrites the file."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("MCUSIM_GOLDEN") == "write":
            path.write_text(text)
        assert text == path.read_text()

    return compare
