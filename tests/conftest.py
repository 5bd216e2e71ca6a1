"""What every test can use: the real data where it is there, and the Hypothesis profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.pop("COLUMNS", None)  # workers of pytest-xdist have one; tables are to be as wide as in a pipe

settings.register_profile(
    "default", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long",
    deadline=None,
    max_examples=20_000,
    stateful_step_count=50,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("default")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file for ``-m smoke`` that has no such test: importing all takes longer than the suite."""
    if config.option.markexpr != "smoke" or not collection_path.name.startswith("test_"):
        return None
    return "mark.smoke" not in collection_path.read_text("utf-8") or None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real inputs; the test is skipped where there is none."""
    folder = os.environ.get("MCUSIM_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MCUSIM_DATA does not name a folder with the real models and data")
    return Path(folder)
