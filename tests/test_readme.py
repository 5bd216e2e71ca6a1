"""The README tells the truth: its commands print what it says they print.

``MCUSIM_GOLDEN=write pytest tests/test_readme.py`` puts the present output into it.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import VERBS, build

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
WRITE = os.environ.get("MCUSIM_GOLDEN") == "write"
COMMANDS = re.findall(r"```console\n\$ (mcusim .*)\n", README.read_text("utf-8"))


def steady(text: str) -> str:
    """Return a text without what depends on how busy the computer is."""
    text = re.sub(r"[\d,]+ (images/s on)", r"N \1", text)
    return re.sub(r"[\d,]+ (times faster)", r"N \1", text)


def agree(pattern: str, output: str) -> None:
    """Compare the one group of a pattern in the README with an output, or write the output there."""
    text = README.read_text("utf-8")
    found = re.search(pattern, text, re.S)
    assert found
    if WRITE and steady(found[1]) != steady(output):
        README.write_text(text[: found.start(1)] + output + text[found.end(1) :], "utf-8")
        return
    assert steady(found[1]) == steady(output)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, request: pytest.FixtureRequest) -> None:
    if "mbv2-w0.35" in command:
        request.getfixturevalue("data_dir")
    result = CliRunner().invoke(build(), shlex.split(command)[1:])
    assert result.exit_code == 0
    agree(rf"```console\n\$ {re.escape(command)}\n(.*?)```", result.stdout)


def test_python() -> None:
    text = README.read_text("utf-8").replace("```", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "README", str(README), 0)
    examples = example.examples
    assert len(examples) > 5
    runner = doctest.DocTestRunner(verbose=False)
    output = io.StringIO()
    runner.run(example, out=output.write)
    assert runner.summarize(verbose=False).failed == 0, output.getvalue()


def test_memory_table(data_dir: Path) -> None:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["memory_table.py"])
        runpy.run_path(str(ROOT / "benchmarks" / "memory_table.py"), run_name="__main__")
    agree(r"<!-- memory table -->\n(.*?)<!-- end -->", f"\n{output.getvalue()}\n")


@pytest.mark.parametrize("update", ["head", "dynamic"])
def test_the_least_sram_of_the_table_is_what_planning_finds(data_dir: Path, update: str) -> None:
    kept = runpy.run_path(str(ROOT / "benchmarks" / "memory_table.py"))["least"]()
    model, board = mcusim.load("mbv2-w0.35", classes=10), mcusim.board("stm32f746")
    assert mcusim.plan(model, board, update, smallest=True).peak_bytes == kept[update]


def test_the_least_sram_is_said_of_every_network() -> None:
    """Each network, scheme and format of ``benchmarks/smallest.py`` has a row; the README has most."""
    made = runpy.run_path(str(ROOT / "benchmarks" / "smallest.py"))
    kept = made["known"]()
    for network, static in made["NETWORKS"].items():
        schemes = (*made["BEFORE"], *(f"static:{name}" for name in static), *made["AFTER"])
        assert {(network, scheme, error) for scheme in schemes for error in made["ERRORS"]} <= set(kept)
    table = re.search(r"<!-- smallest -->\n(.*?)<!-- end -->", README.read_text("utf-8"), re.S)
    assert table
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in table[1].split("\n") if line
    ]
    (_, *heads), _, *body = rows
    assert {scheme for scheme, *_ in body} == {*made["BEFORE"], *made["AFTER"]}
    for scheme, *figures in body:
        wanted = [kept[network, scheme, error][3] for network in heads[::2] for error in made["ERRORS"]]
        assert [figure.replace(",", "") for figure in figures] == wanted


def test_ci_runs_the_second_command() -> None:
    commands = re.findall(r"```sh\n(.*?)\n```", README.read_text("utf-8"), re.S)
    assert commands[1] == (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1]


def test_every_verb_is_mentioned() -> None:
    text = README.read_text("utf-8")
    assert [verb for verb in VERBS if not re.search(rf"`{verb}\b|mcusim {verb}\b", text)] == []
