"""What a firmware was measured to take flows back into boards and plans; what is no result is refused."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.core import Role
from mcusim.mcu import measured as results
from mcusim.mcu.measured import measured, shipped

WORDS = ["plan", "-m", "synthetic-mbv2", "-u", "dynamic", "--no-suggest"]


def invoked(*words: str):
    return CliRunner().invoke(build(), [*WORDS, *words])


def test_the_shipped_kernels_were_measured_on_every_core_but_these():
    others = {"cortex-m55", "hazard3", "rv32imc", "xtensa-lx7"}
    assert {board.core for board in mcusim.boards()} - others == {*shipped()}
    for core in others:
        with pytest.raises(mcusim.UnknownName, match=core):
            measured(core)
    for core in shipped():
        found = measured(core)
        assert found.equal
        assert sum(found.instructions_by_class.values()) == found.instructions_per_step


def test_a_plan_says_what_was_measured_and_what_is_allowed():
    board = mcusim.board("nrf52840").with_measured("cortex-m4")
    found, before = (
        mcusim.Session(mcusim.load("synthetic-mbv2"), b, "dynamic").plan() for b in (board, "nrf52840")
    )
    step = measured("cortex-m4")
    assert found.by_role[Role.RUNTIME] == step.stack_bytes + step.statics_bytes + 2048
    assert found.flash.by_role[Role.CODE] == step.code_bytes + 16_384
    assert before.by_role[Role.RUNTIME] == 6144
    assert before.measured() is None
    said = found.measured()
    assert said["same_step"] is True
    text = str(found)
    for line in (f"{step.instructions_per_step:,} a step, exact", "B measured step", "allowed for the rest"):
        assert line in text
    other = mcusim.Session(mcusim.load("synthetic-mbv2"), board, "last-3").plan()
    assert other.measured()["same_step"] is False
    assert "another step" in str(other)
    assert "a step, exact" not in str(other)


def test_the_command_line_reads_a_result(tmp_path):
    own = tmp_path / "own.json"
    own.write_text(json.dumps({**measured("cortex-m4").as_dict(), "code_bytes": 12_345, "more": 1}), "utf-8")
    done = invoked("-b", "nrf52840", "--measured", str(own), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["measured"]["code_bytes"] == 12_345
    assert found["flash"]["by_role"]["code"] == 12_345 + 16_384


def test_a_board_names_a_result(tmp_path):
    text = (results.files("mcusim.mcu") / "boards" / "nrf52840.toml").read_text("utf-8")
    text = re.sub(r"(?m)^\[flash\]", '[runtime]\nmeasured = "NAME"\n\n[flash]', text)
    place = tmp_path / "mine.toml"
    (tmp_path / "own.json").write_text(json.dumps(measured("cortex-m4").as_dict()), "utf-8")
    for name in ("cortex-m4", "own.json"):
        place.write_text(text.replace("NAME", name), "utf-8")
        assert mcusim.board(place).runtime.step is not None
    place.write_text(text.replace('measured = "NAME"', "step = 1"), "utf-8")
    with pytest.raises(mcusim.BadBoard, match=r"runtime\.step"):
        mcusim.board(place)


BAD = {
    "{": "no JSON",
    "[]": "no result of mcusim twin",
    '{"core": "cortex-m4"}': "is missing",
    "WRONG": "differs from the engine",
    "CORE": "was measured on cortex-m7",
    "SIZE": "code_bytes",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_results_are_one_line(text, tmp_path):
    whole = measured("cortex-m4").as_dict()
    changes = {"WRONG": {"equal": False}, "CORE": {"core": "cortex-m7"}, "SIZE": {"code_bytes": -1}}
    place = tmp_path / "bad.json"
    place.write_text(json.dumps(whole | changes[text]) if text in changes else text, "utf-8")
    done = invoked("-b", "nrf52840", "--measured", str(place))
    assert done.exit_code == 2
    assert BAD[text] in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_unknown_core_and_a_file_that_is_not_there_are_one_line():
    for name, reason in (("cortex-m5", "cortex-m"), ("none.json", "cannot be read")):
        done = invoked("-b", "nrf52840", "--measured", name)
        assert done.exit_code == 2
        assert reason in done.stderr
