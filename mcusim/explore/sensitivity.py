"""Where learning pays: gradient norms of every layer, gathered over a short training with the engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mcusim.core import BadArgument
from mcusim.core.counted import tell
from mcusim.data.dataset import Dataset
from mcusim.data.named import open_for
from mcusim.files.load import network
from mcusim.graph import Model
from mcusim.mcu.board import Board
from mcusim.mcu.board_files import board as find_board
from mcusim.planning.recipe import Recipe
from mcusim.planning.settings import Settings
from mcusim.planning.unconstrained import ROOM_BYTES, unconstrained
from mcusim.session.session import Session
from mcusim.session.training import Training
from mcusim.update.blocks import blocks as blocks_of
from mcusim.update.optimizer import Sgd
from mcusim.update.ranking import Ranking

STEPS = 1000
RATE = 0.002
"""Learning rate of the analysis: a dense batch-1 step needs a smaller one than a sparse one."""
SHOWN = 64
"""Test images evaluated before and after; the analysis does not read their metric."""


def sensitivity(
    model: Model | str | Path,
    board: Board | str | Path,
    data: Dataset | str | Path,
    *,
    blocks: int | None = None,
    steps: int = STEPS,
    lr: float = RATE,
    seed: int = 0,
) -> Ranking:
    """Return the layers of a network ranked by re-weighted gradient norm (arXiv 2510.19675).

    All channels of all layers of the last blocks learn for a few steps, with float32 errors, in a memory
    as large as that takes: this is the offline half of a scheme, done on a computer before the device is
    programmed. By the paper the ranks of layers agree across tasks, so one analysis serves many.

    Args:
        model: the network, with a head, or its name or path.
        board: any board, or its name or path; only its memory sizes are not used.
        data: examples of some task, or their name or path.
        blocks: how many of the last blocks to look at; all of them by default.
        steps: batch-1 steps, at most one pass over the training images.
        lr: learning rate.
        seed: seeds order and rounding.

    Raises:
        BadArgument: if there are no steps or blocks.
        BadData: if the data does not suit the network.
    """
    if steps < 1:
        raise BadArgument(f"an analysis of {steps} steps", "sees no gradient", "use some hundred")
    model, board = network(model), find_board(board)
    data = open_for(model, data)
    count = len(blocks_of(model)) if blocks is None else blocks
    update = f"dynamic:ratio=1.0,stage=none,blocks={count},layers=all,policy=gradient-norm"
    big = unconstrained(board)
    wanted = Settings(
        update=update, sram=ROOM_BYTES, seed=seed, sgd=Sgd(lr=lr), patches=None, planner="greedy_by_size"
    )
    need = Session(model, big, settings=wanted).plan_for(data).peak_bytes
    session = Session(model, big, settings=replace(wanted, sram=need))
    few = data.test.subset(range(min(SHOWN, len(data.test))))
    recipe = Recipe(schedule="constant", limit=steps, trace="off")
    training = Training(session.plan_for(data), session.scheme, replace(data, test=few), recipe, whole=model)
    training.run(progress=lambda counts: tell(counts["step"], counts["per_epoch"]))
    training.stages.statistics.close_stage()
    return Ranking.of(model, training.stages.statistics)
