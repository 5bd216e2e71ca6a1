"""What verbs say in 60, 80 and 200 columns: each is called once, and what it hands over is set anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mcusim
from mcusim.sections.kinds import Section, Table
from mcusim.sections.text import text
from mcusim.update.channels import layers
from mcusim.update.ranking import Ranking

BOARD = ("--board", "nrf52840")
MINE = ("--model", "small.npz", *BOARD)
CALLS: dict[str, tuple[str, ...]] = {
    "boards": ("boards",),
    "calibrate": ("calibrate", "rows.csv", "--core", "cortex-m4", "--library", "mine", "--name", "mine"),
    "check": ("check", "budgets.toml"),
    "diff": ("diff", "head", "dense", *MINE),
    "explain": ("explain", *MINE, "--update", "dense", "--sram", "24KiB"),
    "pack": ("pack", "problem.csv"),
    "profiles": ("profiles",),
    "prove": ("prove", *MINE),
    "replay": ("replay", "synthetic-mbv2-session"),
    "schemes": ("schemes",),
    "search": ("search", *MINE, "--analysis", "norms.json", "--sram", "24KiB"),
    "show": ("show", "small.npz"),
    "tour": ("tour", "problem.csv", "--sram", "8"),
}
KEPT = {
    "boards": ("esp32s3-psram", "nrf52840", "stm32f746"),
    "profiles": ("cortex-m0plus-cmsis-nn-tflm-dfea53b-unstated", "cortex-m7-cubeai-10.0-balanced"),
    "schemes": ("dynamic", "head", "static", "trady"),
}
"""Of lists to which rows are added these are looked at: another row is no other layout."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Return a folder with what the verbs read, under names that are the same everywhere."""
    found = tmp_path_factory.mktemp("said")
    (found / "small.npz").write_bytes(model.read_bytes())
    (found / "problem.csv").write_text("id,lower,upper,size\na,0,3,4\nb,3,9,4\nc,2,5,3\n")
    rows = [f"l{i},conv,{900 * i * i},{10 * (i % 5 + 1)},{2500 * i * i + 90 * (i % 3)}" for i in range(1, 9)]
    (found / "rows.csv").write_text("name,kind,macs,outputs,cycles\n" + "\n".join(rows))
    budget = (
        '[[budget]]\nname = "{0}"\nmodel = "small.npz"\nboard = "nrf52840"\nupdate = "{0}"\nsram = "20KiB"\n'
    )
    (found / "budgets.toml").write_text(budget.format("head") + budget.format("dense"))
    network = mcusim.load(model)
    norms = {name: float(place + 1) for place, name in enumerate(layers(network))}
    Ranking(network.name, "rgn", norms).save(found / "norms.json")
    return found


@pytest.fixture(scope="module")
def said(
    folder: Path, run: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], list[Section]]]:
    """Return what a verb hands over to be printed; each is called once, whoever asks."""
    known: dict[str, list[Section]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MCUSIM_DATA", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))

        def call(verb: str) -> list[Section]:
            if verb not in known:
                handed: list[Section] = []
                with pytest.MonkeyPatch.context() as here:
                    here.setattr("mcusim.cli.output.print_sections", handed.extend)
                    if verb in ("pack", "tour"):  # how long they took is another thing every time
                        here.setattr("time.perf_counter", lambda: 0.0)
                        here.setattr("mcusim.traces.tour.perf_counter", lambda: 0.0)
                    done = run(*CALLS[verb])
                assert done.exit_code in (0, 3), done.stderr
                known[verb] = [_kept(verb, section) for section in handed]
            return known[verb]

        yield call


def _kept(verb: str, section: Section) -> Section:
    if verb not in KEPT or not isinstance(section, Table):
        return section
    rows = [row for row in section.rows if row[0] in KEPT[verb]]
    assert len(rows) == len(KEPT[verb])
    return replace(section, rows=rows)


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("verb", CALLS)
def test_a_verb_says_the_same_at_every_width(
    verb: str, width: int, said: Callable[[str], list[Section]], golden: Callable[[str, str], None]
) -> None:
    written = text(said(verb), width, "utf-8") + "\n"
    lines = [line for line in written.splitlines() if not line.startswith(("--", "mcusim "))]  # to be copied
    assert max(map(len, lines)) <= width
    golden(f"{verb}-{width}.txt", written)
