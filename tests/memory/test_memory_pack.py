"""``mcusim pack``: any CSV problem, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mcusim.cli.pack import pack
from mcusim.core import BadProblem, UnknownName
from mcusim.memory.checker import check
from mcusim.memory.csv import read_solution
from mcusim.memory.problem import Solution, Status

EXAMPLE = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\nb5,0,21,4\n"


@pytest.fixture
def run(tmp_path: Path):
    app = typer.Typer()
    app.command()(pack)
    path = tmp_path / "problem.csv"
    path.write_text(EXAMPLE)
    return lambda *options: CliRunner().invoke(app, [str(path), *options])


@pytest.mark.smoke
def test_pack_writes_a_solution_that_holds(run, tmp_path: Path) -> None:
    out = tmp_path / "solution.csv"
    result = run("--capacity", "12", "--out", str(out), "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["lower_bound_bytes"], found["height_bytes"], found["status"]) == (12, 12, "optimal")
    assert (found["fits"], found["blocks"], found["out"]) == (True, 5, str(out))
    problem, offsets = read_solution(out, capacity=12)
    check(problem, Solution(offsets, 12, "file", Status.OPTIMAL, 12))


@pytest.mark.parametrize("planner", ["best", "greedy_by_size", "greedy_by_lifetime", "hill_climb", "exact"])
def test_pack_prints_bound_height_time_and_status(run, planner: str) -> None:
    result = run("--planner", planner)
    assert result.exit_code == 0
    for word in ("lower bound", "height", "time", "status", planner):
        assert word in result.stdout


def test_pack_exits_with_3_and_the_reason_if_it_does_not_fit(run, tmp_path: Path) -> None:
    out = tmp_path / "none.csv"
    result = run("--capacity", "11", "--out", str(out))
    assert result.exit_code == 3
    assert "no placement fits: at least 12 B" in result.stderr
    assert not out.exists()


def test_pack_refuses_unknown_planners_and_files(run, tmp_path: Path) -> None:
    assert isinstance(run("--planner", "greedy").exception, UnknownName)
    with pytest.raises(BadProblem, match="cannot be read"):
        pack(tmp_path / "nothing.csv")
