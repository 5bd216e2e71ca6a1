"""Every verb that ends in a result writes a page of it."""

from __future__ import annotations

import pytest

from mcusim.cli.main import VERBS
from mcusim.cli.main import verb as command_of

NO_RESULT = {
    "boards", "cache", "calibrate", "demo", "doctor", "export", "fetch", "models", "profiles", "prune",
    "quantize", "report", "schemes", "show", "watch",
}  # fmt: skip
"""They list what there is, write a file of another kind, or are pages themselves."""
PROBLEM = "id,lower,upper,size\na,0,3,4\nb,3,9,4\n"


@pytest.mark.parametrize("verb", sorted(set(VERBS) - NO_RESULT))
def test_verbs_with_a_result_take_html(verb):
    command = command_of(verb)
    assert "--html" in {name for parameter in command.params for name in parameter.opts}


def test_pages_say_what_the_terminal_says(run, model, tmp_path):
    (tmp_path / "problem.csv").write_text(PROBLEM)
    budget = f'[[budget]]\nname = "small"\nmodel = "{model}"\nboard = "nrf52840"\nupdate = "head"\n'
    (tmp_path / "budgets.toml").write_text(budget)
    mine = ("--model", model, "--board", "nrf52840", "--update", "head")
    calls = {
        "pack": ((tmp_path / "problem.csv",), "lower bound"),
        "tour": ((tmp_path / "problem.csv", "--sram", "100"), "tlsf"),
        "check": ((tmp_path / "budgets.toml",), "small"),
        "prove": (mine, "no placement is lower"),
        "firmware": ((*mine, "--out", tmp_path / "c"), "arena bytes"),
    }
    for verb, (arguments, said) in calls.items():
        page = tmp_path / f"{verb}.html"
        done = run(verb, *map(str, arguments), "--html", page)
        assert done.exit_code == 0, (verb, done.stderr, done.exception)
        text = page.read_text("utf-8")
        assert text.startswith("<!doctype html>"), verb
        assert said in text.lower(), verb
        assert f"mcusim {verb}" in text or "the command:" in text
