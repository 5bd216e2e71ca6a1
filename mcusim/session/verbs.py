"""What a session can do, each as one call: a plan, a training, predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.fields import joined, renamed
from mcusim.files.load import network
from mcusim.graph import Model
from mcusim.graph.outputs import output_named, with_outputs
from mcusim.mcu.board import Board
from mcusim.planning.recipe import Recipe
from mcusim.session.session import Session
from mcusim.tasks.task import require_one
from mcusim.update.scheme import Scheme

if TYPE_CHECKING:
    from mcusim.data.arrays import Examples
    from mcusim.data.dataset import Dataset
    from mcusim.deployment.project import Firmware
    from mcusim.planning.plan import Plan
    from mcusim.session.run import Run


def plan(
    model: Model | str | Path,
    board: Board | str | Path,
    update: str | Scheme | None = None,
    *,
    suggest: bool = False,
    smallest: bool = False,
    **choices: Any,
) -> Plan:
    """Plan one step: does it fit, what is the peak made of, how long would it take. Needs no data.

    Args:
        model: the network, from ``mcusim.load``, or its name or path.
        board: from ``mcusim.board``, or its name or path.
        update: what learns, e.g. ``last-6`` or ``head``; ``none`` plans inference alone; ``dynamic`` if
            neither this nor a setting says.
        suggest: also plan with other settings and say what each would save.
        smallest: look for the least SRAM, whatever ``sram`` says; residency and patches follow.
        choices: further settings by name, e.g. ``sram="256KiB"``, ``seed=1``; see ``mcusim.Settings``.

    Returns:
        The plan. One that does not fit is an answer too: ``plan.fits`` says so.

    Raises:
        UnknownName: for an unknown scheme or setting; suggests the nearest.
        BadArgument: if a setting makes no sense, or the scheme does not suit the network.
        BadModel: if the network has an operator that cannot be executed.
    """
    session = Session(model, board, update, **choices)
    return session.smallest() if smallest else session.plan(suggest=suggest or None)


def train(
    model: Model | str | Path,
    board: Board | str | Path,
    data: Dataset | str | Path,
    epochs: int | None = None,
    update: str | Scheme | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
    **choices: Any,
) -> Run:
    """Train a network at batch 1 inside a board's memory.

    Args:
        model: the network, or its name or path, with a head for the classes of the data.
        board: from ``mcusim.board``, or its name or path.
        data: training and test examples, from ``mcusim.data``, or their name or path.
        epochs: passes over the training examples; 1 if neither this nor a recipe says.
        update: what learns, e.g. ``last-6`` or ``head``; ``dynamic`` if neither this nor a setting says.
        out: folder for checkpoints and results; nothing is written without it.
        resume: go on from the checkpoint in ``out``, bit for bit as if never interrupted. A run that
            is finished is reported, or with ``schedule="constant"`` made longer by more epochs.
        overwrite: train anew where ``out`` holds a run, which is removed.
        progress: called with counts now and then.
        choices: further choices by name: fields of ``mcusim.Settings`` (``sram``, ``seed``, ``sgd`` …) and
            of ``mcusim.Recipe`` (``warmup``, ``limit``, ``trace`` …).

    Returns:
        The run: its plan, the trained network, the history, the trace and the cost of the session.

    Raises:
        OutOfSram, OutOfFlash: if the step does not fit; says what would help.
        UnknownName: for an unknown scheme or choice; suggests the nearest.
        BadArgument: if nothing learns, or a choice makes no sense.
        BadData: if the data does not suit the network.
        BadRun: if the checkpoint to resume from is damaged or of another run; if another process trains in
            ``out``, or it holds a run that is neither resumed nor overwritten.
        KeyboardInterrupt, SystemExit: for SIGINT and SIGTERM, once a checkpoint is in ``out``.
        Diverged: if the loss, a gradient, a parameter or a scale is no longer finite.
        SaveFailed: if the folder cannot be written.
    """
    names = {"recipe", *(item.name for item in fields(Recipe))}
    recipe = {name: choices.pop(name) for name in [*choices] if name in names}
    session = Session(model, board, update, **choices)
    return session.train(
        data, epochs, out=out, resume=resume, overwrite=overwrite, progress=progress, **recipe
    )


def firmware(
    model: Model | str | Path,
    board: Board | str | Path,
    out: str | Path,
    update: str | Scheme | None = None,
    **choices: Any,
) -> Firmware:
    """Write a training step as a folder of C that an engineer builds: the same step, bit for bit.

    Args:
        model: the network, from ``mcusim.load``, or its name or path.
        board: from ``mcusim.board``, or its name or path.
        out: a folder that is not there yet, or is empty.
        update: what learns, e.g. ``last-6`` or ``head``; ``dynamic`` if neither this nor a setting says.
        choices: further settings by name, e.g. ``sram="256KiB"``, ``seed=1``; see ``mcusim.Settings``.

    Returns:
        The folder, and what it takes of the device.

    Raises:
        BadModel: if something of the step has no C kernel; names it. Nothing is written.
        OutOfSram, OutOfFlash: if the step does not fit; says what would help.
        UnknownName: for an unknown scheme or setting; suggests the nearest.
        BadArgument: if nothing learns, or a setting makes no sense.
        BadRun: if the folder holds something.
        SaveFailed: if the folder cannot be written.
    """
    return Session(model, board, update, **choices).firmware(out)


def predict(model: Model | str | Path, images: Examples, *, output: str | None = None) -> NDArray[np.float32]:
    """Return what a network says of examples, as real numbers: the classes are ``predict(…).argmax(1)``.

    The integers are those of the device, in the network's own arithmetic; the outputs are scaled to reals.

    Args:
        model: the network, trained or not, or its name or path.
        images: ``[n, …]``: pictures as uint8 NHWC, which are stretched, coloured and normalised as the
            network asks, or float32 real values, or int8 inputs as they are. For several inputs an array for
            each, by the input's name or number.
        output: name or number of the output, where the network has several.

    Returns:
        One row an example, of shape ``[n, *model.output.shape[1:]]``.

    Raises:
        BadData: if the examples cannot become this network's input.
        BadModel: if the network has several outputs and none is chosen.
        UnknownName: if it has no such output.
    """
    from mcusim.data.arrays import parts_of
    from mcusim.data.inputs import Inputs
    from mcusim.engine.inference import Inference
    from mcusim.session.evaluation import CHUNK, reals

    model = network(model)
    parts = parts_of(images)
    given = renamed(np.asanyarray(images) if parts is None else joined("images", parts), model.inputs)
    if output is not None:
        model = with_outputs(model, (output_named(model, output),))
    require_one(model, "outputs")
    prepare = Inputs(model, given)
    inference = Inference(model)
    shape = model.output.shape[1:]
    rows = [
        reals(inference.run(prepare(given[start : start + CHUNK])), model.output)
        for start in range(0, len(given), CHUNK)
    ]
    found = np.concatenate(rows) if rows else np.empty((0, int(np.prod(shape))))
    return found.astype(np.float32).reshape(-1, *shape)
