"""Tables in narrow and wide terminals, and in code pages that lack half of their characters."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from networks import float_network

from mcusim.cli.main import VERBS
from mcusim.files.npz import save

SHIPPED = ("--model", "synthetic-mbv2")
BOARD = ("--board", "nrf52840")
NUMBER = re.compile(r"\d[\d,.]*")


@pytest.fixture(params=[60, 80, 200])
def width(request, monkeypatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def told(text: str, wide: str, width: int) -> None:
    """Assert that lines are short enough and that every number is one of the wide table, whole."""
    assert max(map(len, text.splitlines())) <= width
    assert set(NUMBER.findall(text)) - {str(width)} <= set(NUMBER.findall(wide))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("plan", ("plan", *SHIPPED, *BOARD, "--sram", "256KiB", "--no-suggest")),
        ("compare", ("compare", *SHIPPED, "--boards", "nrf52840,stm32u585,rp2040",
                     "--updates", "head,dynamic:ratio=0.05,stage=20,dense")),
        ("train", ("train", "--model", "MODEL", *BOARD, "--data", "IMAGES", "--lr", "0.02")),
    ],
)  # fmt: skip
def test_tables_are_readable(name, call, width, run, golden, model, images, monkeypatch):
    places = {"MODEL": str(model), "IMAGES": str(images)}
    call = [places.get(word, word) for word in call]

    def steady() -> str:
        text = re.sub(r"[\d,]+ images/s", "N images/s", run(*call).stdout)
        return re.sub(r"[\d,]+\s+times", lambda found: f"N{found[0].lstrip('0123456789,')}", text)

    text = steady()
    # Where that line breaks depends on how fast this computer was.
    golden(f"{name}-{width}.txt", re.sub(r"(simulated.*(?:\n  .*)?)", lambda m: " ".join(m[0].split()), text))
    monkeypatch.setenv("COLUMNS", "1000")
    told(text, steady(), width)


def calls(folder: Path, model: Path, images: Path) -> dict[str, tuple[object, ...]]:
    """Return one call of each verb that prints for people, in an order in which files are there."""
    save(float_network(), folder / "float.npz")
    (folder / "problem.csv").write_text("id,lower,upper,size\na,0,3,4\nb,3,9,4\n")
    rows = [
        f"l{i},pointwise,{1000 * i * i},{10 * (i % 5 + 1)},{37 * (i * 7 % 11 + 1)},{2500 * i * i + 90}"
        for i in range(1, 15)
    ]
    (folder / "rows.csv").write_text("name,kind,macs,outputs,weight_bytes,cycles\n" + "\n".join(rows))
    base = f'model = "{model}"\nboard = "nrf52840"\ndata = "{images}"\n'
    (folder / "study.toml").write_text(f"[base]\n{base}[axes]\nupdate = ['head', 'dense']\nlr = [0.01]\n")
    budget = f'[[budget]]\nname = "head"\nmodel = "{model}"\nboard = "nrf52840"\nupdate = "head"\n'
    (folder / "budgets.toml").write_text(budget)
    mine, trace = ("--model", model), folder / "run" / "trace.parquet"
    return {
        "plan": ("plan", *mine, *BOARD, "--steps", 10),
        "train": ("train", *mine, *BOARD, "--data", images, "--out", folder / "run", "--epochs", 2),
        "demo": ("demo",),
        "compare": ("compare", *mine, "--boards", "nrf52840,rp2040"),
        "boards": ("boards", "stm32f746"),
        "show": ("show", model),
        "models": ("models",),
        "quantize": ("quantize", folder / "float.npz", "--data", images, "--images", 8, "--test", 4,
                     "--out", folder / "int8.npz"),
        "prune": ("prune", folder / "float.npz", "--out", folder / "pruned.npz"),
        "explain": ("explain", *mine, *BOARD),
        "diff": ("diff", trace, trace),
        "pack": ("pack", folder / "problem.csv"),
        "replay": ("replay", trace),
        "tour": ("tour", folder / "problem.csv", "--sram", 100),
        "export": ("export", trace, folder / "trace.json"),
        "timeline": ("timeline", *mine, *BOARD),
        "calibrate": ("calibrate", folder / "rows.csv", "--core", "cortex-m4", "--library", "mine",
                      "--name", "mine", "--out", folder / "mine.toml"),
        "report": ("report", folder / "run", "--out", folder / "page.html"),
        "watch": ("watch", folder / "run"),
        "stream": ("stream", *mine, *BOARD, "--data", images, "--replay", "raw:5"),
        "sweep": ("sweep", folder / "study.toml", "--out", folder / "swept"),
        "firmware": ("firmware", *mine, *BOARD, "--out", folder / "firmware"),
        "twin": ("twin", *mine, *BOARD, "--data", images),
        "prove": ("prove", *mine, *BOARD),
        "check": ("check", folder / "budgets.toml"),
        "profiles": ("profiles",),
        "schemes": ("schemes",),
        "doctor": ("doctor",),
        "cache": ("cache",),
        "search": ("search", *mine, "--board", "stm32f746", "--data", images, "--steps", 5),
    }  # fmt: skip


SCRIPT = """
import json, sys
from mcusim.cli import demo, main
demo.DATA = sys.argv[1]
for call in json.loads(sys.argv[2]):
    print("$", *call)
    sys.argv = ["mcusim", *call]
    try:
        main.main()
    except SystemExit as end:
        assert not end.code, call
    print("#", call[0], "ended")
"""


QUICK = (
    "plan", "compare", "boards", "show", "models", "explain", "pack", "tour", "timeline", "profiles",
    "schemes", "doctor", "cache",
)  # fmt: skip
"""Verbs that need no run and take no time; between them they show everything that a page can lack."""


@pytest.mark.parametrize(("encoding", "columns"), [("ascii", 60), ("cp1252", 80), ("utf-8", 200)])
def test_every_verb_prints_in_columns_of_every_code_page(encoding, columns, tmp_path, model, images):
    each = calls(tmp_path, model, images)
    assert set(each) == set(VERBS) - {"fetch"}, "how is the new verb called? (fetch prints a path alone)"
    if encoding != "ascii":  # the poorest page in the fewest columns is asked of all
        each = {verb: each[verb] for verb in QUICK}
    lines = [[str(word) for word in call] for call in each.values()]
    lines += [["--help"], *([verb, "--help"] for verb in VERBS)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(images), json.dumps(lines)], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": str(columns)}, cwd=tmp_path,
    )  # fmt: skip
    said = done.stdout.decode(encoding)
    assert done.returncode == 0, (said[-2000:], done.stderr[-2000:])
    assert not re.search(r"\\u[0-9a-f]{4}|\\x[0-9a-f]{2}", said)
    for verb in each:
        assert f"# {verb} ended" in said
    tables = said.partition("$ --help")[0]  # help has a layout of its own
    long = [line for line in tables.splitlines() if len(line) > columns]
    copied = ("$ ", "--", "mcusim train ", str(tmp_path))  # what was called, and lines to be copied
    assert [line for line in long if not line.startswith(copied)] == []


def test_pipes_have_a_width_of_their_own(run):
    lines = run("plan", *SHIPPED, *BOARD, "--no-suggest").stdout.splitlines()
    assert 80 < max(map(len, lines)) <= 100
