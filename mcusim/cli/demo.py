"""``mcusim demo``: the first thing to try. Needs no download and less than a minute."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering

MODEL, DATA, RATE = "synthetic-mbv2", "synthetic-target", 0.02
INTRO = (
    "A small int8 network knows ten shapes: bright ones on dark, smooth grounds. Now the scene changes to "
    "dark, tilted shapes on bright, striped, tinted, noisy grounds. It learns again, one image at a time, "
    "a changing 2 % of its weights at a time, inside the {sram:,} B of SRAM of this board:\n{board}"
)
NEXT = (
    ("mcusim plan -m {model} -b {board}", "what the peak is made of"),
    ("mcusim compare -m {model} --boards {board},stm32f746", "boards side by side"),
    ("mcusim train -m {model} -b {board} --data synthetic --out run", "the same, kept"),
    ("mcusim models", "networks by name"),
)


def demo(
    board: Annotated[
        str, typer.Option("--board", "-b", help="Where it learns.", autocompletion=offering("board"))
    ] = "nrf52840",
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Adapt a small network to a changed scene inside 256 KB; works offline, in less than a minute."""
    from mcusim.cli.output import print_json, print_sections
    from mcusim.cli.progress import training_progress
    from mcusim.data.named import open_data
    from mcusim.sections.kinds import Facts, Notes
    from mcusim.session.experiment import Experiment
    from mcusim.update.optimizer import Sgd

    found = Experiment(model=MODEL, board=board, sgd=Sgd(lr=RATE), seed=seed).session()
    if not json:
        print_sections([Notes([INTRO.format(sram=found.board.sram_bytes, board=found.board)])])
        print_sections([Notes([""])])
    with training_progress(lines=False) as report:
        run = found.train(open_data(DATA), progress=report)
    if json:
        print_json({"schema": "mcusim.train/1", **run.as_dict(), "images_per_s": run.images_per_s})
        return
    following = [(why, line.format(model=MODEL, board=found.board.name)) for line, why in NEXT]
    print_sections([*run.sections(), Facts(following, "How to go on")])
