"""The minimalloc CSV form, friendly and hostile."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadProblem, Interval, Role, SaveFailed
from mcusim.memory import csv as csv_module
from mcusim.memory.block import Block
from mcusim.memory.csv import format_csv, parse, read_csv, read_solution, write_csv
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem

HEAD = "id,lower,upper,size\n"


@given(
    names=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), unique=True
    ),
    data=st.data(),
)
def test_what_is_written_is_read_again(names: list[str], data: st.DataObject) -> None:
    blocks = tuple(
        Block(
            name,
            data.draw(st.integers(0, 2**40)),
            Interval(data.draw(st.integers(-5, 5)), data.draw(st.integers(6, 9))),
            data.draw(st.sampled_from(list(Role))),
            data.draw(st.sampled_from([1, 8])),
        )
        for name in names
    )
    problem = Problem(blocks)
    offsets = PLANNERS["greedy_by_size"](problem).offsets
    assert parse(format_csv(problem), "x") == (problem, None)
    assert parse(format_csv(problem, offsets), "x") == (problem, dict(offsets))


def test_the_public_form_has_only_the_public_columns() -> None:
    problem = Problem((Block("a", 4, Interval(0, 3)), Block("b", 2, Interval(2, 9))))
    assert format_csv(problem) == "id,lower,upper,size\na,0,3,4\nb,2,9,2\n"
    assert format_csv(problem, {"a": 0, "b": 4}) == "id,lower,upper,size,offset\na,0,3,4,0\nb,2,9,2,4\n"


def test_shrinks_survive(tmp_path: Path) -> None:
    problem = Problem((Block("a", 400, Interval(0, 9), shrinks=((3, 100), (5, 25))),), align=8)
    write_csv(tmp_path / "p.csv", problem)
    assert read_csv(tmp_path / "p.csv", align=8).blocks[0].shrinks == ((3, 100), (5, 25))


def test_columns_in_any_order_blank_lines_and_windows_line_ends() -> None:
    problem, offsets = parse("\ufeffsize, UPPER,lower,offset,id\r\n4,3,0,8,b1\r\n\r\n".lstrip("\ufeff"), "x")
    assert problem.blocks == (Block("b1", 4, Interval(0, 3)),)
    assert offsets == {"b1": 8}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "row 1: lacks the column id"),
        ("id,lower,size\n", "row 1: lacks the column upper"),
        ("id,lower,upper,size,colour\n", "row 1: has an unknown column 'colour'"),
        ("id,id,lower,upper,size\n", "row 1: has the column id twice"),
        (HEAD + "a,0,1\n", "row 2: has 3 fields and the header 4"),
        (HEAD + "a,0,1,2\na,0,1,2\n", "row 3: repeats the id 'a'"),
        (HEAD + "a,0,1,-2\n", "row 2: block 'a' has -2 bytes"),
        (HEAD + "a,3,1,2\n", "row 2: ends at 1 before it starts at 3"),
        (HEAD + "a,3,3,2\n", "row 2: block 'a' is never live"),
        (HEAD + "a,0,1,9223372036854775808\n", "row 2: has size 9223372036854775808, beyond"),
        (HEAD + "a,0,1," + "9" * 5000 + "\n", "row 2: has '9999"),
        (HEAD + "a,0,1,4611686018427387903\nb,0,1,4611686018427387903\n", "sizes that add up"),
        (HEAD + "a,0,1,1.5\n", "row 2: has '1.5' as size"),
        (HEAD + "a,0,١,2\n", "as upper"),
        (HEAD + "a,,1,2\n", "row 2: has '' as lower"),
        (HEAD + ",0,1,2\n", "row 2: has an id of 0 characters"),
        (HEAD + "x" * 500 + ",0,1,2\n", "row 2: has an id of 500 characters"),
        (HEAD + '"a\tb",0,1,2\n', "row 2: has the id 'a\\tb'"),
        (HEAD + '"a,0,1,2\n', "is no CSV"),
        (HEAD + "a" * 200_000 + ",0,1,2\n", "is no CSV"),
        ("id,lower,upper,size,alignment\na,0,1,2,3\n", "row 2: block 'a' wants alignment 3"),
        ("id,lower,upper,size,role\na,0,1,2,gold\n", "row 2: has an unknown role 'gold'"),
        ("id,lower,upper,size,shrinks\na,0,9,8,3:9\n", "row 2: block 'a' shrinks from 8 to 9"),
        ("id,lower,upper,size,shrinks\na,0,9,8,3\n", "row 2: has '' as shrinks"),
        ("id,lower,upper,size,offset\na,0,9,8,x\n", "row 2: has 'x' as offset"),
    ],
)
def test_bad_files_are_refused_with_the_row(text: str, reason: str) -> None:
    with pytest.raises(BadProblem) as caught:
        parse(text, "f.csv")
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"id,\xff\xfe")
    with pytest.raises(BadProblem, match="not UTF-8"):
        read_csv(path)
    with pytest.raises(BadProblem, match="cannot be read"):
        read_csv(tmp_path)
    path.write_text(HEAD + "a,0,1,2\nb,0,1,2\n")
    with pytest.raises(BadProblem, match="no column offset"):
        read_solution(path)
    monkeypatch.setattr(csv_module, "MAX_ROWS", 1)
    with pytest.raises(BadProblem, match="row 3: is one too many"):
        read_csv(path)
    monkeypatch.setattr(csv_module, "MAX_FILE_BYTES", 10)
    with pytest.raises(BadProblem, match="larger than"):
        read_csv(path)


@pytest.mark.parametrize("name", ["", " a", "a\rb", "x" * 500])
def test_names_that_could_not_be_read_again_are_not_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadProblem, match="problem: has"):
        write_csv(tmp_path / "p.csv", Problem((Block(name, 1, Interval(0, 1)),)))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    with pytest.raises(SaveFailed):
        write_csv(tmp_path / "dir", Problem((Block("a", 1, Interval(0, 1)),)))
    assert [p.name for p in tmp_path.iterdir()] == ["dir"]
