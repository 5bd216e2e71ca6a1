"""The small networks of kinds that once went wrong, which lie beside the shared data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def case(name: str) -> Path:
    """Return the file of a case; skips the test where there are none."""
    file = Path(os.environ.get("MCUSIM_DATA", "data")).parent / "cases" / name
    if not file.is_file():
        pytest.skip(f"no file {name} in a folder 'cases' beside MCUSIM_DATA")
    return file
