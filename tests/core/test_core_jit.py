"""Compiled code that cannot be kept, or was damaged, costs time and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = """
import sys, warnings
warnings.simplefilter("always")
from mcusim.core.jit import njit

@njit(cache=True)
def double(x):
    return 2 * x

@njit(cache=True)
def triple(x):
    return 3 * x

print(double(21), triple(14))
"""


def start(path: Path, prefix: str = "pass", **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"{prefix}; import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"
    words, about = [sys.executable, "-c", code], {**os.environ, **environment}
    return subprocess.run(words, env=about, capture_output=True, text=True, check=False)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "functions.py"
    path.write_text(SOURCE)
    return path


def test_what_was_kept_and_is_damaged_is_compiled_anew(module, tmp_path):
    cache = tmp_path / "cache"
    first = start(module, NUMBA_CACHE_DIR=str(cache))
    assert (first.stdout, first.stderr) == ("42 42\n", "")
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".nbi", ".nbc"}
    for path in files:
        whole = path.read_bytes()
        for content in (b"", whole[: len(whole) // 2], b"\x80junk" + whole):
            path.write_bytes(content)
            again = start(module, NUMBA_CACHE_DIR=str(cache))
            assert again.returncode == 0, again.stderr
            assert again.stdout == "42 42\n"
        path.write_bytes(whole)


def test_no_place_to_keep_it_is_said_once():
    about = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    # Functions that are in no file have no place beside it either.
    words = [sys.executable, "-c", SOURCE]
    done = subprocess.run(words, env=about, capture_output=True, text=True, check=False)
    assert done.stdout == "42 42\n", done.stderr
    assert done.stderr.count("compiled code cannot be kept") == 1
    assert "NUMBA_CACHE_DIR" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_full_disk_is_no_error(module, tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))"
    done = start(module, limit, NUMBA_CACHE_DIR=str(tmp_path / "cache"), PYTHONDONTWRITEBYTECODE="1")
    assert done.stdout == "42 42\n", done.stderr
    assert "compiled code cannot be kept" in done.stderr


def test_without_compiling_nothing_is_tried():
    command = [sys.executable, "-m", "mcusim", "replay", "mbv2-w0.35-head"]
    done = subprocess.run(
        command, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: the environment variable NUMBA_DISABLE_JIT: is set")
    assert done.stderr.count("\n") == 1
