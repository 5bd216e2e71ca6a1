"""The documentation site builds without a warning and holds every public name and verb."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mcusim
from mcusim.cli.main import VERBS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    words = ["-m", "mkdocs", "build", "--strict", "--config-file", str(ROOT / "mkdocs.yml")]
    done = subprocess.run(
        [sys.executable, *words, "--site-dir", str(folder)],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def headings(page: Path) -> set[str]:
    return set(re.findall(r'<h[23] id="[^"]+">([^<]+)', page.read_text("utf-8")))


def test_every_public_name_is_in_the_reference(site):
    names = {name for name in mcusim.__all__ if not name.startswith("__")} - {"data"}
    assert names <= headings(site / "reference" / "python" / "index.html")


def test_every_verb_is_in_the_reference(site):
    assert set(VERBS) <= headings(site / "reference" / "command-line" / "index.html")


def test_nothing_is_fetched_from_elsewhere(site):
    """Pages are read where there is no network too."""
    for page in site.rglob("*.html"):
        fetched = re.findall(
            r'<(?:script|img|link)[^>]*(?:src|href)="(https?:[^"]+)"', page.read_text("utf-8")
        )
        assert fetched == [], page
