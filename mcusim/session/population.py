"""Sessions that differ in scheme or seed, on one front, in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import BadArgument
from mcusim.files.load import network
from mcusim.graph import Model
from mcusim.lowering.gradients import Flow
from mcusim.mcu.board import Board
from mcusim.mcu.board_files import board as find_board
from mcusim.planning.recipe import Recipe
from mcusim.session.session import Session
from mcusim.update.scheme import Scheme

if TYPE_CHECKING:
    from mcusim.data.dataset import Dataset
    from mcusim.session.run import Run


def population(
    model: Model | str | Path,
    board: Board | str | Path,
    data: Dataset | str | Path,
    epochs: int | None = None,
    *,
    updates: Sequence[str | Scheme] = ("dynamic",),
    seeds: Sequence[int] = (0,),
    out: str | Path | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    **choices: Any,
) -> list[Run]:
    """Train one network by several schemes and seeds; each run is that of ``train``, bit for bit.

    What is frozen in all of them is computed once for a picture, and kept in memory; where one learns less
    than another, its front goes on from there. Processes and machines are what ``sweep`` is for, whose
    processes share fronts in the same way. What else can go wrong is what can in ``train``.

    Args:
        model: the network, or its name or path, with a head for the classes of the data.
        board: from ``mcusim.board``, or its name or path.
        data: training and test examples, or their name or path.
        epochs: passes over the training examples; 1 if neither this nor a recipe says.
        updates: update schemes.
        seeds: with each of which every scheme trains.
        out: folder for a folder for each run, SCHEME-SEED; nothing is written without it.
        progress: called with counts now and then.
        choices: further choices by name, as of ``train``.

    Returns:
        The runs, scheme by scheme, in each seed by seed.

    Raises:
        BadArgument: without a scheme or seed, if one is there twice, and as ``train``.
        OutOfSram: if the step of a scheme does not fit; nothing was trained then.
    """
    from mcusim.data.named import open_for
    from mcusim.engine.front import Fronts

    for name, many in (("update", "updates"), ("seed", "seeds")):
        if name in choices:
            raise BadArgument(name, "differs in a population", f"give {many}")
    names = {"recipe", *(item.name for item in fields(Recipe))}
    recipe = {name: choices.pop(name) for name in [*choices] if name in names}
    model, board = network(model), find_board(board)
    data = open_for(model, data)
    sessions = [
        Session(model, board, update, **{**choices, "seed": seed}) for update in updates for seed in seeds
    ]
    labels = [f"{session.scheme.name}-{session.settings.seed}".replace(":", "-") for session in sessions]
    if len({*labels}) < len(labels) or not labels:
        reason = "has a member twice" if labels else "has no members"
        raise BadArgument("population", reason, "give each scheme and each seed once")
    for session in sessions:
        session.plan_for(data).require()
    fronts, runs = Fronts(), dict[str, "Run"]()
    # The shortest front first: others go on from what it gives.
    for label, session in sorted(zip(labels, sessions, strict=True), key=lambda each: _frozen(each[1])):
        folder = None if out is None else Path(out) / label
        runs[label] = session.train(data, epochs, out=folder, fronts=fronts, progress=progress, **recipe)
    return [runs[label] for label in labels]


def _frozen(session: Session) -> int:
    """Return how many ops of a session's network are its front."""
    step = session.plan().step
    return Flow.of(step.model, step.scope, step.goals).front
