"""``mcusim tour``, and what is no log or problem."""

from __future__ import annotations

import json
import re

import pytest

BAD = {
    "free of nothing": ("a.csv", "event,id,bytes\nfree,a,3\n", "row 2: frees 'a', which is not live"),
    "freed twice": ("a.csv", "event,id,bytes\nalloc,a,3\nfree,a,3\nfree,a,3\n", "row 4: frees 'a'"),
    "id twice": ("a.csv", "event,id,bytes\nalloc,a,3\nalloc,a,3\n", "row 3: allocates 'a', which is live"),
    "no number": ("a.csv", "event,id,bytes\nalloc,a,many\n", "row 2: has 'many' as bytes"),
    "negative": ("a.csv", "event,id,bytes\nalloc,a,-3\n", "row 2: has '-3' as bytes"),
    "back in time": ("a.csv", "event,id,bytes,t\nalloc,a,3,5\nfree,a,3,4\n", "row 3: goes back in time"),
    "another event": ("a.csv", "event,id,bytes\nmove,a,3\n", "row 2: has the event 'move'"),
    "a field less": ("a.csv", "event,id,bytes\nalloc,a\n", "row 2: has 2 fields and the header 3"),
    "nothing": ("a.csv", "event,id,bytes\n", "allocates nothing"),
    "two ids": ("a.csv", "event,id,name,bytes\n", "row 1: has 2 columns for id"),
    "log of nothing": ("a.log", "hello\n", "allocates nothing"),
    "log frees nothing": ("a.log", "free 0x10\n", "line 1: frees '0x10', which is not live"),
    "log without size": ("a.log", "malloc 0x10\n", "line 1: allocates without a size"),
    "shared address": ("a.log", "malloc 0x10 8\nmalloc 0x14 8\n", "overlap"),
    "no history": ("a.json", '{"segments": []}', "has no history"),
    "no snapshot": ("a.json", "[1]", "has no history"),
    "a program": ("a.pickle", b"cos\nsystem\n(S'true'\ntR.", "asks for os.system"),
    "other CSV": ("a.csv", "date,price\n1,2\n", ""),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_logs_end_in_one_line(case, tmp_path, run):
    name, content, said = BAD[case]
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    for verb in ("tour", "replay", "explain"):
        found = run(verb, str(path))
        assert found.exit_code == 2, (case, found.output)
        assert found.stdout == ""
        assert found.stderr.startswith("error: ")
        assert found.stderr.count("\n") == 1
        assert re.search(re.escape(said), found.stderr), found.stderr


PROBLEMS = {
    "larger than the capacity": (
        ["a,0,2,4", "b,0,2,9"],
        "block 'b': has 9 bytes, more than the capacity of 8",
    ),
    "a life of no length": (["a,3,3,4"], "is never live: its lifetime is 3..3"),
    "an id twice": (["a,0,2,4", "a,3,5,4"], "repeats the id 'a'"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_bad_problems_end_in_one_line(case, tmp_path, run):
    rows, said = PROBLEMS[case]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["id,lower,upper,size", *rows]))
    found = run("pack", str(path), "--capacity", "8")
    assert found.exit_code == 2
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert said in found.stderr


def test_a_million_blocks_are_too_many(tmp_path, run):
    path = tmp_path / "a.csv"
    path.write_text("id,lower,upper,size\n" + "".join(f"{i},0,1,1\n" for i in range(200_001)))
    found = run("pack", str(path))
    assert found.exit_code == 2
    assert "at most 200,000 blocks" in found.stderr


def test_the_tour_as_json(tmp_path, run):
    path = tmp_path / "a.csv"
    path.write_text("id,lower,upper,size\na,0,2,4\nb,1,3,4\n")
    data = json.loads(run("tour", str(path), "--only", "best,buddy", "--json").stdout)
    assert [stop["name"] for stop in data["stops"]] == ["best", "buddy"]
    assert data["stops"][0]["peak_bytes"] == 8


def test_a_tour_has_a_picture(tmp_path, run):
    pytest.importorskip("matplotlib")
    path = tmp_path / "events.csv"
    path.write_text("event,id,bytes\nalloc,a,9\nalloc,b,8\nfree,a,\n")
    assert run("tour", str(path), "--sram", "1KiB", "--plot", str(tmp_path / "a.svg")).exit_code == 0
    assert "tlsf" in (tmp_path / "a.svg").read_text()
