"""Budgets: what holds, what is over, what grew, and how others read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.core import Figure, McusimError, Provenance
from mcusim.gate.baseline import read_baseline, write_baseline
from mcusim.gate.budgets import read_budgets
from mcusim.gate.junit import junit
from mcusim.gate.markdown import MOST_ROWS, markdown
from mcusim.gate.quantity import QUANTITIES
from mcusim.gate.verdict import Finding, Outcome, Verdict, check

TOP = Path(__file__).parents[2]
BUDGETS = """
[defaults]
board = "stm32l4r5"
model = "synthetic-mbv2"

[[budget]]
name = "fits"
update = "head"
limits = { sram = "256KiB", flash = "1MiB", time = "10 s", energy = "1 J" }

[[budget]]
name = "tight"
update = "head"
limits = { sram = "1KiB", time = "1 us" }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "budgets.toml").write_text(BUDGETS)
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(), ["check", *words])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.smoke
def test_what_is_over_a_limit_is_named_with_by_how_much(folder):
    code, out, _ = run("budgets.toml")
    assert code == 3
    plan = mcusim.plan(mcusim.load("synthetic-mbv2"), mcusim.board("stm32l4r5"), "head")
    assert f"sram is {plan.peak_bytes:,} B, {plan.peak_bytes - 1024:,} B over 1,024 B" in " ".join(
        out.split()
    )
    verdict = check("budgets.toml")
    assert [item.name for item in verdict.wrong] == ["tight"]
    figures = verdict.figures()["fits"]
    assert plan.estimate is not None
    assert figures["sram"] == plan.peak_bytes
    assert figures["flash"] == plan.flash.total_bytes
    assert figures["time"] == plan.estimate.time_ms.value
    assert set(figures) == set(QUANTITIES)


def test_all_that_holds_ends_with_code_0(folder):
    (folder / "budgets.toml").write_text(BUDGETS.partition('\n[[budget]]\nname = "tight"')[0])
    code, out, _ = run("budgets.toml", "--json")
    assert code == 0
    data = json.loads(out)
    assert data["holds"] is True
    assert [f["quantity"] for f in data["outcomes"][0]["findings"]] == list(QUANTITIES)


def test_a_pyproject_holds_budgets_too(folder):
    text = BUDGETS.replace("[defaults]", "[tool.mcusim.check.defaults]")
    (folder / "pyproject.toml").write_text(text.replace("[[budget]]", "[[tool.mcusim.check.budget]]"))
    assert read_budgets("pyproject.toml") == read_budgets("budgets.toml")
    assert run()[0] == 3


def test_own_settings_override_a_run_file_and_files_lie_beside_the_budgets(folder, monkeypatch):
    inner = folder / "inner"
    inner.mkdir()
    mcusim.save(mcusim.load("synthetic-mbv2"), inner / "mine.npz")
    (inner / "run.toml").write_text('model = "mine.npz"\nboard = "stm32f746"\nupdate = "dense"\n')
    (folder / "b.toml").write_text('[[budget]]\nname = "one"\nrun = "inner/run.toml"\nupdate = "head"\n')
    monkeypatch.chdir(inner)
    (found,) = read_budgets("../b.toml")
    assert found.experiment.update == "head"
    assert found.experiment.board == "stm32f746"
    assert Path(found.experiment.model or "").samefile(inner / "mine.npz")


def test_without_limits_a_step_still_has_to_fit(folder):
    (folder / "b.toml").write_text(
        '[[budget]]\nname = "one"\nmodel = "synthetic-mbv2"\nboard = "stm32l4r5"\nsram = "8KiB"\n'
    )
    code, out, _ = run("b.toml")
    assert code == 3
    assert "does not fit" in out


def test_a_network_that_cannot_be_planned_does_not_hide_the_others(folder):
    text = BUDGETS + '\n[[budget]]\nname = "lost"\nmodel = "nowhere.tflite"\n'
    (folder / "budgets.toml").write_text(text)
    code, out, _ = run("budgets.toml", "--junit", "j.xml")
    assert code == 2
    assert "3 budgets" in out or "2 of 3 broken" in out
    suite = ElementTree.fromstring((folder / "j.xml").read_text())
    assert suite.attrib == {"name": "mcusim check", "tests": "3", "errors": "1", "failures": "1"}
    assert [[child.tag for child in case] for case in suite] == [
        ["system-out"], ["failure", "system-out"], ["error", "system-out"],
    ]  # fmt: skip


def test_a_limit_on_what_a_board_does_not_know_is_broken(folder):
    text = 'name = "one"\nmodel = "synthetic-mbv2"\nboard = "stm32f746"\nupdate = "head"\n'
    (folder / "b.toml").write_text(f'[[budget]]\n{text}limits = {{ energy = "1 J" }}\n')
    code, out, _ = run("b.toml")
    assert code == 3
    assert "power.active_mw" in out


def test_growth_is_wrong_only_where_asked(folder):
    (folder / "budgets.toml").write_text(BUDGETS.partition('\n[[budget]]\nname = "tight"')[0])
    assert run("budgets.toml", "--write-baseline", "base.json")[0] == 0
    assert run("budgets.toml", "--baseline", "base.json", "--fail-on-increase")[0] == 0
    before = {name: dict(found) for name, found in read_baseline("base.json").items()}
    before["fits"]["sram"] -= 1
    write_baseline("base.json", before)
    code, out, _ = run("budgets.toml", "--baseline", "base.json")
    assert code == 0
    assert "+0.0%" in out
    code, out, _ = run("budgets.toml", "--baseline", "base.json", "--fail-on-increase")
    assert code == 3
    assert "sram grew by 1 B from" in out


@given(st.integers(1, 2**40), st.integers(1, 2**40))
def test_exact_figures_are_compared_to_the_byte(now, before):
    figure = Figure(now, "B", Provenance.EXACT, "counted")
    found = Finding(QUANTITIES["sram"], figure, before=before, limit=before)
    assert found.increased == found.over == (now > before)


WRONG = {
    "": "budget: Field required",
    "budget = 1": "budget: Input should be a valid list",
    "[[budget]]\nname = 'a'\n[[budget]]\nname = 'a'": "two budgets are called 'a'",
    "[[budget]]\nname = 'a'\nupdat = 'head'": "update",
    "[[budget]]\nname = 'a'\nlimits = {ram = 1}": "limit 'ram'",
    "[[budget]]\nname = 'a'\nlimits = {time = '3'}": "its unit",
    "[[budget]]\nname = 'a'\nlimits = {time = 3}": "its unit",
    "[[budget]]\nname = 'a'\nlimits = {sram = -1}": "is not a number of bytes",
    "[[budget]]\nname = 'a'\nlimits = {sram = 1.5}": "whole number",
    "[[budget]]\nname = 'a'\nlimits = {sram = inf}": "is not a number of bytes",
    "[[budget]]\nname = 'a'\nrun = 'nowhere.toml'": "cannot be read",
    "[[budget]\n": "is not TOML",
}


@pytest.mark.parametrize("text", WRONG)
def test_files_that_are_wrong_end_in_one_line(folder, text):
    (folder / "b.toml").write_text(text)
    code, out, err = run("b.toml")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert WRONG[text] in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "other/1", "figures": {}}', "[" * 100_000])
def test_baselines_that_are_wrong_are_refused(folder, text):
    (folder / "base.json").write_text(text)
    code, _, err = run("budgets.toml", "--baseline", "base.json")
    assert code == 2
    assert err.startswith("error: baseline base.json: ")
    with pytest.raises(McusimError, match="needs figures"):
        check("budgets.toml", fail_on_increase=True)


NASTY = "a|b <script>\x1b[2J]]>&"


def verdict(rows: int) -> Verdict:
    figure = Figure(5, "B", Provenance.EXACT, "counted")
    held = Outcome("held", "x", (Finding(QUANTITIES["sram"], figure),) * rows)
    return Verdict("b.toml", (held, Outcome(NASTY, NASTY, error=NASTY)), False)


def test_names_cannot_break_out_of_what_others_read():
    suite = ElementTree.fromstring(junit(verdict(1)))
    assert suite[1].attrib["name"] == NASTY.replace("\x1b", "?")
    text = markdown(verdict(1))
    assert "<script>" not in text
    assert all(line.count("|") - line.count("\\|") == 7 for line in text.splitlines() if line.startswith("|"))


def test_what_is_wrong_is_never_among_the_rows_left_out():
    text = markdown(verdict(MOST_ROWS + 5))
    assert "a\\|b" in text
    assert "6 more figures hold" in text
    assert len(text) < 65_536


def test_the_action_runs_the_verb_and_hands_over_its_files(folder):
    action = yaml.safe_load((TOP / "action.yml").read_text())
    *_, step = action["runs"]["steps"]
    given = dict.fromkeys(step["env"], "") | {"BUDGETS": "budgets.toml"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, **given, "PATH": path, "RUNNER_TEMP": str(folder),
           "GITHUB_OUTPUT": str(folder / "o"), "GITHUB_STEP_SUMMARY": str(folder / "s")}  # fmt: skip
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env=env, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert (folder / "s").read_text() == (folder / "mcusim.md").read_text()
    assert (folder / "o").read_text() == f"markdown={folder}/mcusim.md\njunit={folder}/mcusim.xml\n"
    assert set(action["outputs"]) == {"markdown", "junit"}


def test_the_hook_is_the_verb():
    (hook,) = yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "mcusim check"
