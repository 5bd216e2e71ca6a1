"""Allocation problems as traces: replayed, explained and exported without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces_plans import problems

from mcusim.core import BadProblem
from mcusim.memory import PLANNERS, lower_bound
from mcusim.memory.csv import read_csv, write_csv
from mcusim.traces.explanation import explain_trace
from mcusim.traces.export import EXPORTS, export
from mcusim.traces.problems import is_problem, read_problem, trace_of
from mcusim.traces.replay import replay

TEXT = "id,lower,upper,size\na,0,200,4\nb,100,300,8\nc,250,400,2\n"


@given(problems(), st.sampled_from([None, "greedy_by_size", "hill_climb"]))
def test_a_problem_replays_to_its_live_bytes_and_its_height(problem, planner) -> None:
    if planner is not None:  # a trace licenses no more than was done
        problem = replace(problem, overlaps=())
    solution = PLANNERS[planner or "best"](problem)
    offsets = solution.offsets
    found = replay(trace_of(problem, offsets), planner=planner)
    live = [sum(b.bytes_at(t) for b in problem.blocks if t in b.lifetime) for t in range(12)]
    for pair in problem.pairs:
        live[pair.time] -= pair.shared(offsets[pair.old.name], offsets[pair.new.name])
    assert found.live_bytes == max(live)
    assert found.peak_bytes == solution.height


def test_a_file_without_offsets_is_placed_and_one_with_them_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "problem.csv"
    path.write_text(TEXT)
    assert is_problem(path)
    assert (replay(read_problem(path)).live_bytes, replay(read_problem(path)).peak_bytes) == (12, 12)
    assert "time 100" in str(explain_trace(read_problem(path)))
    write_csv(path, read_csv(path), {"a": 100, "b": 0, "c": 8})
    assert replay(read_problem(path)).peak_bytes == 104
    write_csv(path, read_csv(path), {"a": 0, "b": 0, "c": 8})
    with pytest.raises(BadProblem, match="overlap"):
        read_problem(path)


@pytest.mark.parametrize("form", EXPORTS)
def test_a_problem_is_exported_in_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "problem.csv"
    path.write_text(TEXT)
    out = export(read_problem(path), tmp_path / "out", form)
    assert out.stat().st_size > 40
    if form == "minimalloc":
        again = read_csv(out)
        assert [b.bytes for b in again.blocks] == [4, 8, 2]
        assert lower_bound(again).bytes == 12


def test_the_command_line_takes_problems_where_it_takes_traces(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from mcusim.cli.main import build

    path = tmp_path / "problem.csv"
    path.write_text(TEXT)
    for words in (
        ("replay", str(path)), ("replay", str(path), "--allocator", "tlsf"), ("explain", str(path)),
        ("export", str(path), str(tmp_path / "out.json")), ("diff", str(path), str(path)),
    ):  # fmt: skip
        result = CliRunner().invoke(build(), list(words))
        assert result.exit_code == 0, (words, result.stderr, result.exception)
    assert CliRunner().invoke(build(), ["replay", str(path), "--sram", "11"]).exit_code == 3
    path.write_text(TEXT.replace("200", "-5"))
    result = CliRunner().invoke(build(), ["replay", str(path)])
    assert result.exit_code == 2
    assert "row 2" in result.stderr
