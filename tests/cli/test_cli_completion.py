"""Completion: verbs, options of a verb, values that are names, in every common shell."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from mcusim.cli.main import VERBS, build
from mcusim.cli.main import verb as command_of

SHELLS = {
    "bash": lambda line: {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)},
    "zsh": lambda line: {"_TYPER_COMPLETE_ARGS": line},
    "fish": lambda line: {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    "powershell": lambda line: {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_WORD_TO_COMPLETE": ""},
}
LINES = {
    "mcusim pl": "plan",
    "mcusim plan --resid": "--residency",
    "mcusim plan --planner hill": "hill_climb",
    "mcusim plan --board stm32f74": "stm32f746",
    "mcusim compare --updates head,tinyt": "head,tinytrain",
    "mcusim show synth": "synthetic-mbv2",
    "mcusim tour synth": "synthetic-mbv2-session",
}


def completed(shell: str, line: str) -> str:
    words = SHELLS[shell](line)
    if "_TYPER_COMPLETE_WORD_TO_COMPLETE" in words:
        words["_TYPER_COMPLETE_WORD_TO_COMPLETE"] = line.rpartition(" ")[2]
    env = {"_MCUSIM_COMPLETE": f"complete_{shell}", **words}
    return CliRunner().invoke(build(), [], env=env, prog_name="mcusim").output


@pytest.mark.parametrize("shell", SHELLS)
def test_verbs_options_and_names_are_completed(shell: str) -> None:
    for line, wanted in LINES.items():
        assert wanted in completed(shell, line), (shell, line)
    assert "quantize" not in completed(shell, "mcusim pl")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_its_script(shell: str) -> None:
    env = {"_MCUSIM_COMPLETE": f"source_{shell}"}
    said = CliRunner().invoke(build(), [], env=env, prog_name="mcusim").output
    assert "_MCUSIM_COMPLETE" in said or "_TYPER_COMPLETE" in said


NAMED = {
    "--allocator", "--board", "--boards", "--core", "--data", "--model", "--planner", "--profile", "--update",
    "--updates",
}  # fmt: skip
"""Options whose values are names, in whichever verb they are."""


def options(verb: str) -> set[str]:
    return {name for parameter in command_of(verb).params for name in parameter.opts}


def test_options_with_names_are_those_of_verbs() -> None:
    assert set().union(*map(options, VERBS)) >= NAMED


@pytest.mark.parametrize("verb", VERBS)
def test_every_name_that_is_wanted_is_offered(verb: str) -> None:
    for option in sorted(options(verb) & NAMED):
        assert completed("bash", f"mcusim {verb} {option} ").split(), option
