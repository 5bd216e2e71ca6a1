"""What a person holds: a network, a board, a scheme, and the verbs plan, train and evaluate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import BadArgument, parse_bytes
from mcusim.graph import Model
from mcusim.mcu.board import Board
from mcusim.planning.placement import make_plan
from mcusim.planning.plan import Plan
from mcusim.planning.settings import AUTO, Settings
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.scheme import Scheme, scheme

if TYPE_CHECKING:
    from mcusim.data.augment import Augmentation
    from mcusim.data.dataset import Dataset, Split
    from mcusim.lowering.patches import Patches
    from mcusim.planning.cost import SessionCost
    from mcusim.session.run import Run


class Session:
    """A network that learns on a board.

    Args:
        model: an int8 network with a head, from ``mcusim.load(name, classes=…)``.
        board: from ``mcusim.board(name)``.
        update: the update scheme: a text such as ``dynamic``, ``last-6``, ``static:mbv2-99kb``, or a scheme.
        sram: SRAM that may be used, e.g. ``"256KiB"``; all of the board's by default.
        seed: of everything that is drawn.
        formats: number formats; defaults: float32 errors, int8 weights with stochastic rounding.
        sgd: learning rates, momentum, gradient accumulation.
        residency: ``sram``, ``flash`` or ``auto``.
        patches: ``None``, ``auto``, or a ``Patches(count, split)``.
        in_place: let outputs overwrite dead inputs.
        planner: name of the static planner.
        allocator: name of a dynamic allocator to run on instead of a static plan.
        profile: name of the cycle profile; the board's own by default.
        loss: ``cross_entropy``, ``mse`` (reconstruct the input), or ``auto``: ``mse`` for networks
            whose output is as large as their input.

    Raises:
        UnknownName: for an unknown scheme, format or planner; suggests the nearest.
        BadArgument: if more SRAM is asked for than the board has.
    """

    def __init__(
        self,
        model: Model,
        board: Board,
        update: str | Scheme = "dynamic",
        *,
        sram: str | int | None = None,
        seed: int = 0,
        formats: Formats | None = None,
        sgd: Sgd | None = None,
        residency: str = AUTO,
        patches: Patches | str | None = AUTO,
        in_place: bool = True,
        planner: str = "best",
        allocator: str | None = None,
        profile: str | None = None,
        loss: str = AUTO,
    ) -> None:
        self.model, self.board, self.scheme = model, board, scheme(update)
        budget = board.sram_bytes if sram is None else parse_bytes(sram)
        if budget > board.sram_bytes:
            raise BadArgument(
                f"SRAM of {sram}" if isinstance(sram, str) else f"SRAM of {budget:,} B",
                f"is more than the {board.sram_bytes:,} B of {board.name}",
                "ask for less, or choose a larger board",
            )  # fmt: skip
        formats = formats or Formats()
        if model.head is not None:
            weight = model.tensors[model.op(model.head).inputs[1]]
            formats = replace(formats, head="float32" if weight.dtype == "float32" else "int8")
        self.settings = Settings(
            update=self.scheme.name, sram_bytes=budget, seed=seed, formats=formats, sgd=sgd or Sgd(),
            residency=residency, patches=patches, in_place=in_place, planner=planner,
            allocator=allocator, profile=profile, loss=_loss_of(model) if loss == AUTO else loss,
        )  # fmt: skip
        self._plan: Plan | None = None

    def plan(self, *, suggest: bool = False) -> Plan:
        """Return what a step needs: fits or not, and what the peak is made of. Needs no data.

        Args:
            suggest: also re-plan with other settings and say what each would save; done anyway when
                the step does not fit.
        """
        if self._plan is None:
            self._plan = make_plan(self.model, self.board, self.scheme, self.settings)
        if (suggest or not self._plan.fits) and not self._plan.suggestions:
            from mcusim.planning.suggest import suggestions

            found = suggestions(self._plan, self.scheme)
            self._plan = replace(self._plan, suggestions=found)
        return self._plan

    def train(
        self,
        data: Dataset,
        epochs: int = 1,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        augmentation: Augmentation | None = None,
        warmup: float = 0.0,
        schedule: str = "cosine",
        trace: str = "first",
        limit: int | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Run:
        """Train at batch 1 inside the arena; evaluate on the test images after every epoch.

        Args:
            data: training and test images.
            epochs: passes over the training images.
            out: folder for checkpoints and results; nothing is written without it.
            resume: go on from the checkpoint in ``out``, bit for bit as if never interrupted.
            augmentation: random variants of the training images.
            warmup: epochs (or a part of one) over which the learning rate rises.
            schedule: ``cosine`` or ``constant``.
            trace: ``first`` (first step of every plan), ``all`` (every step, streamed), or ``off``.
            limit: use only the first so many steps of each epoch.
            progress: called with counts now and then.

        Raises:
            OutOfSram, OutOfFlash: if the step does not fit; says what would help.
            BadArgument: if nothing learns (``update="none"``), or a number makes no sense.
            BadData: if the data does not suit the network.
            BadRun: if the checkpoint to resume from is damaged or of another run.
            SaveFailed: if the folder cannot be written.
        """
        from mcusim.session.training import Training

        plan = self.plan()
        if not plan.step.scope.learns:
            raise BadArgument(
                f"update {self.settings.update}", "learns nothing, so there is no training",
                "choose what learns, e.g. head, last-6 or dynamic",
            )  # fmt: skip
        plan.require()
        training = Training(
            plan, self.settings, self.scheme, data, epochs,
            augmentation=augmentation, warmup=warmup, schedule=schedule, limit=limit,
        )  # fmt: skip
        return training.run(out=out, resume=resume, trace=trace, progress=progress)

    def cost(self, steps: int) -> SessionCost:
        """Return what a session of so many steps would cost the device: time, energy, write-backs, wear.

        Raises:
            BadArgument: if ``steps`` is negative or absurd.
        """
        from mcusim.planning.cost import session_cost

        return session_cost(self.plan(), self.scheme, steps)

    def evaluate(self, split: Split, model: Model | None = None) -> float:
        """Return the accuracy of the network (or of a trained ``model``) on a split, in 0..1."""
        from mcusim.session.evaluation import evaluate

        return evaluate(model or self.model, split)


def _loss_of(model: Model) -> str:
    """An autoencoder gives as many numbers as it gets."""
    return "mse" if model.output.elements == model.input.elements else "cross_entropy"
