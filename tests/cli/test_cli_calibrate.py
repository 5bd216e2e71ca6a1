"""Logs on the command line: wrong ones are refused in a line, right ones make profile, page and picture."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

import mcusim
from mcusim.graph.traits import Family
from mcusim.lowering.work import forward_work

ABOUT = ("--core", "cortex-m4", "--library", "TFLM", "--name", "mine")


def ops(model: Path) -> list[tuple[str, int]]:
    """Return kind and cycles of each op that is no view, as a core would take them."""
    network = mcusim.load(model)
    works = [(op, forward_work(op, network.tensors)) for op in network.ops]
    return [
        (str(op.kind), round(5 * w.macs + 60 * w.outputs + 900))
        for op, w in works
        if op.traits.family is not Family.VIEW
    ]


def log(rows: list[tuple[str, float]], unit: str = "cycles") -> str:
    return "".join(f"[{i}] {kind}: {value:.0f} {unit}\n" for i, (kind, value) in enumerate(rows))


WRONG = {
    "of another network": (
        lambda rows: log([*rows[:2], ("softmax", 900), *rows[3:]]), (),
        "op 2 is softmax where the network has",
    ),
    "too short": (lambda rows: log(rows[:3]), (), "ends after 3 ops, and the network goes on with"),
    "too long": (lambda rows: log([*rows, rows[0]]), (), "is conv_2d where the network ends"),
    "a thousand times too slow": (
        lambda rows: log([(kind, 1000 * cycles) for kind, cycles in rows]), (), "units mixed up by 1,000?",
    ),
    "a thousand times too fast": (
        lambda rows: log([(kind, cycles / 1000 + 1) for kind, cycles in rows]), (),
        "units mixed up by 1,000?",
    ),
    "of microseconds said to be seconds": (
        lambda rows: "op,us\n" + "".join(f"{kind},{cycles / 64}\n" for kind, cycles in rows),
        ("--mhz", "64", "--unit", "ms"), "units mixed up by 1,000?",
    ),
    "of times without a clock": (
        lambda rows: "op,us\n" + "".join(f"{kind},{cycles / 64}\n" for kind, cycles in rows), (),
        "give the clock of the core with --mhz",
    ),
    "of one row": (lambda rows: log(rows[:1]), (), "ends after 1 op"),
    "of negative times": (
        lambda rows: log([*rows[:1], (rows[1][0], -5), *rows[2:]]), (), "took -5 (times are above zero",
    ),
    "of nothing": (lambda rows: "", (), "holds no times of ops"),
    "of words": (lambda rows: "op,us\nconv_2d,soon\n", ("--mhz", "64"), "'soon' is no number"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_log_is_refused_in_one_line(what, model, refused, tmp_path, monkeypatch):
    write, options, says = WRONG[what]
    path = tmp_path / "log.txt"
    path.write_text(write(ops(model)))
    monkeypatch.chdir(tmp_path)
    assert says in refused("calibrate", path, *ABOUT, "--model", model, *options)
    assert [p.name for p in tmp_path.iterdir()] == ["log.txt"]


def test_a_table_of_one_row_is_refused(refused, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("kind,macs,cycles\nconv,1000,5000\n")
    assert "has 1 row (give two at least" in refused("calibrate", path, *ABOUT)


def test_a_log_makes_a_profile_a_picture_and_a_page_and_says_how_to_repeat_it(model, run, tmp_path):
    path, out = tmp_path / "log.txt", tmp_path / "mine.toml"
    path.write_text("op,us\n" + "".join(f"{kind},{cycles / 64}\n" for kind, cycles in ops(model)))
    call = ("calibrate", path, *ABOUT, "--model", model, "--mhz", 64, "--version", "2.1", "--option", "O s",
            "--out", out)  # fmt: skip
    done = run(*call, "--plot", tmp_path / "p.svg", "--html", tmp_path / "p.html")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "p.svg").read_text("utf-8").startswith("<?xml")
    page = (tmp_path / "p.html").read_text("utf-8")
    assert page.count('<circle class="mark c0"') > len(ops(model))
    asked = mcusim.mcu.load_profile(out).fitted.command
    assert shlex.split(asked) == [
        "mcusim", "calibrate", str(path), "--core", "cortex-m4", "--library", "TFLM", "--name", "mine",
        "--version", "2.1", "--option", "O s", "--model", str(model), "--mhz", "64",
    ]  # fmt: skip
    first = out.read_text()
    out.unlink()
    again = run(*shlex.split(asked)[1:], "--out", out, "--json")
    assert out.read_text() == first
    assert {"deviation", "held_out_error"} <= set(json.loads(again.stdout)["rows"][0])
