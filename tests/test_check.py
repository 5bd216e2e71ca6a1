"""``./check`` stops at the first failure, says what to do, and is what CI runs first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import mcusim

ROOT = Path(__file__).parents[1]
STEPS = (
    ("ruff", "ruff check --quiet"),
    ("ruff", "ruff format --quiet --check"),
    ("mypy", "mypy --no-error-summary"),
    ("pytest", "pytest --quiet -m smoke"),
)


def check(folder: Path, failing: str = "", missing: str = "") -> subprocess.CompletedProcess[str]:
    """Run the script with stand-ins for its tools that note their call and fail for one of them."""
    for tool in {tool for tool, _ in STEPS} - {missing}:
        (folder / tool).write_text(f'#!/bin/sh\n[ "{tool} $*" != "{failing}" ]\n', "utf-8")
        (folder / tool).chmod(0o755)
    for tool in ("bash", "dirname"):
        (folder / tool).symlink_to(
            next(p for p in (Path("/bin") / tool, Path("/usr/bin") / tool) if p.exists())
        )
    surroundings = {**os.environ, "PATH": str(folder)}
    return subprocess.run(
        ["bash", str(ROOT / "check")], env=surroundings, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_it_stops_at_the_first_failure_and_says_what_to_do(number, tmp_path):
    command = STEPS[number][1]
    done = check(tmp_path, failing=command)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"check: {text}" for _, text in STEPS[: number + 1]]
    assert done.stderr.startswith(f"check: '{command}' failed: ")


def test_it_names_a_tool_that_is_not_installed(tmp_path):
    done = check(tmp_path, missing="mypy")
    assert done.returncode == 1
    assert done.stderr == "check: mypy is not installed: pip install -e '.[dev]'\n"


def test_it_passes_where_all_is_well(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "check: all is well"


def test_the_smoke_suite_has_a_test_of_every_room():
    rooms = {p.parent.name for p in Path(mcusim.__file__).parent.glob("*/__init__.py")}
    marked = {
        p.parent.name for p in (ROOT / "tests").glob("*/test_*.py") if "mark.smoke" in p.read_text("utf-8")
    }
    assert rooms - marked == set()


def test_ci_runs_it_before_the_whole_suite():
    *_, tools, first, second, _ = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert (tools, first, second) == ("pip install '.[dev]'", "./check", ".ci/anywhere here")
