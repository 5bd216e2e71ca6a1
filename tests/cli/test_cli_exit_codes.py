"""Exit codes, the same for every verb: 0 fits, 2 something given is wrong, 3 does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcusim.cli.main import VERBS
from mcusim.traces.shipped import shipped_traces

TIGHT = ("--model", "MODEL", "--board", "nrf52840", "--sram", "10KiB")
DENSE = (*TIGHT, "--update", "dense", "--patches", "off")
TRACE = str(next(iter(shipped_traces().values())))
TOO_LITTLE: dict[str, tuple[str, ...]] = {
    "plan": DENSE,
    "explain": DENSE,
    "report": (*DENSE, "--out", "PAGE"),
    "train": (*DENSE, "--data", "IMAGES"),
    "timeline": (*TIGHT, "--update", "dense", "--plot", "PLOT", "--trace", "PLOT"),
    "compare": ("--model", "MODEL", "--boards", "nrf52840,rp2040", "--updates", "dense", "--sram", "10KiB"),
    "search": (*TIGHT[:4], "--sram", "7KiB", "--data", "IMAGES", "--steps", "4", "--patches", "off"),
    "replay": (TRACE, "--sram", "100"),
    "tour": ("PROBLEM", "--sram", "5"),
    "pack": ("PROBLEM", "--capacity", "5"),
    "sweep": ("STUDY", "--out", "SWEPT"),
    "check": ("BUDGETS",),
    "prove": DENSE,
    "firmware": (*DENSE, "--out", "SWEPT"),
    "twin": (*DENSE, "--data", "IMAGES"),
    "stream": (*DENSE, "--data", "IMAGES"),
}
"""What each verb about memory is asked that cannot fit."""
NOTHING_TO_FIT = {
    "demo", "boards", "models", "fetch", "quantize", "prune", "show", "diff", "export", "calibrate",
    "profiles", "schemes", "doctor", "cache", "watch",
}  # fmt: skip
"""Verbs that are not asked whether something fits: they have no SRAM given, or only compare and write."""


@pytest.fixture
def places(model: Path, images: Path, tmp_path: Path) -> dict[str, str]:
    problem = tmp_path / "problem.csv"
    problem.write_text("id,lower,upper,size\na,0,2,4\nb,1,3,4\n")
    study = tmp_path / "study.toml"
    base = f'model = "{model}"\nboard = "nrf52840"\ndata = "{images}"\nsram = "7KiB"\n'
    study.write_text(f"[base]\n{base}[axes]\nlr = [0.1, 0.2]\n")
    budgets = tmp_path / "budgets.toml"
    budgets.write_text(f'[[budget]]\nname = "tight"\n{base}update = "dense"\n')
    return {
        "BUDGETS": str(budgets), "MODEL": str(model), "IMAGES": str(images), "PROBLEM": str(problem),
        "STUDY": str(study), "SWEPT": str(tmp_path / "swept"),
        "PLOT": str(tmp_path / "drawn.png"), "PAGE": str(tmp_path / "page.html"),
    }  # fmt: skip


def test_every_verb_is_asked_or_has_nothing_to_fit() -> None:
    assert {*TOO_LITTLE} | NOTHING_TO_FIT == {*VERBS}
    assert not {*TOO_LITTLE} & NOTHING_TO_FIT


@pytest.mark.parametrize("verb", TOO_LITTLE)
def test_what_does_not_fit_is_exit_code_3(run: Any, places: dict[str, str], verb: str) -> None:
    result = run(verb, *(places.get(word, word) for word in TOO_LITTLE[verb]))
    assert result.exit_code == 3, (result.stdout, result.stderr, result.exception)
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ") or result.stdout
    assert not Path(places["PLOT"]).exists()


@pytest.mark.parametrize("verb", ["plan", "compare", "explain", "timeline"])
def test_the_answer_is_json_all_the_same(run: Any, places: dict[str, str], verb: str) -> None:
    result = run(verb, *(places.get(word, word) for word in TOO_LITTLE[verb]), "--json")
    assert result.exit_code == 3
    assert result.stderr == ""
    found = json.loads(result.stdout)
    if verb in ("plan", "timeline"):
        assert found["fits"] is False
        assert found["sram"]["peak_bytes"] > found["sram"]["budget_bytes"] == 10 * 1024
    assert "steps_per_s" not in found


def test_compare_is_content_if_anything_fits(run: Any, places: dict[str, str]) -> None:
    words = ("--model", places["MODEL"], "--boards", "nrf52840", "--sram", "16KiB")
    assert run("compare", *words, "--updates", "head,dense").exit_code == 0
    assert run("compare", *words, "--updates", "dense").exit_code == 3


def test_a_session_of_steps_that_do_not_fit_has_no_cost(run: Any, places: dict[str, str]) -> None:
    words = [places.get(word, word) for word in DENSE]
    found = json.loads(run("plan", *words, "--steps", "100", "--json").stdout)["session"]
    assert found["energy_mj"] is None
    assert found["missing"] == ["the step does not fit: there is no session"]


def test_every_help_says_the_codes(run: Any) -> None:
    for words in ((), *((verb,) for verb in VERBS)):
        said = " ".join(run(*words, "--help").stdout.split())
        assert "3 it does not fit" in said, words
