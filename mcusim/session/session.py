"""What a person holds: a network, a board, a scheme, and the verbs plan, train and evaluate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import BadArgument
from mcusim.core.chosen import chosen, takes
from mcusim.files.load import network
from mcusim.graph import Model
from mcusim.mcu.board import Board
from mcusim.mcu.board_files import board as find_board
from mcusim.planning.placement import make_plan
from mcusim.planning.plan import Plan
from mcusim.planning.recipe import Recipe
from mcusim.planning.settings import Settings
from mcusim.tasks.choice import Labels
from mcusim.tasks.goals import choose_goals
from mcusim.update.scheme import Scheme, scheme

if TYPE_CHECKING:
    from mcusim.data.dataset import Dataset, Split
    from mcusim.deployment.project import Firmware
    from mcusim.engine.front import Fronts
    from mcusim.planning.cost import SessionCost
    from mcusim.session.run import Run


class Session:
    """A network that learns on a board.

    Args:
        model: an int8 network with a head, from ``mcusim.load(name, classes=…)``.
        board: from ``mcusim.board(name)``, or its name.
        update: the update scheme: a text such as ``dynamic``, ``last-6``, ``static:mbv2-99kb``, or a scheme.
        settings: what to start from; the defaults if not given.
        choices: further settings by name, e.g. ``sram="256KiB"``, ``seed=1``, ``sgd=Sgd(lr=0.02)``; see
            ``Settings``, whose fields they are.

    Raises:
        UnknownName: for an unknown setting, scheme, format or planner; suggests the nearest.
        BadArgument: if more SRAM is asked for than the board has.
    """

    @takes(Settings, but=("update",))
    def __init__(
        self,
        model: Model | str | Path,
        board: Board | str | Path,
        update: str | Scheme | None = None,
        *,
        settings: Settings | None = None,
        **choices: Any,
    ) -> None:
        wanted = chosen(settings or Settings(), choices)
        board = find_board(board)
        self.model, self.board = network(model), board
        self.scheme = scheme(wanted.update if update is None else update)
        self.settings = replace(wanted, update=self.scheme.name)
        self.settings.budget(board)
        self._plan: Plan | None = None
        self._task = self.settings.task  # what the last data decided

    def plan(self, *, suggest: bool | None = None) -> Plan:
        """Return what a step needs: fits or not, and what the peak is made of. Needs no data.

        Args:
            suggest: also re-plan with other settings and say what each would save; if not given, only
                when the step does not fit.
        """
        if self._plan is None:
            settings = replace(self.settings, task=self._task)
            self._plan = make_plan(self.model, self.board, self.scheme, settings)
        wanted = not self._plan.fits if suggest is None else suggest
        if wanted and not self._plan.suggestions:
            from mcusim.planning.suggest import suggestions

            found = suggestions(self._plan, self.scheme)
            self._plan = replace(self._plan, suggestions=found)
        return self._plan

    def smallest(self) -> Plan:
        """Return the plan that needs the least SRAM: what this scheme can learn in, whatever ``sram`` says.

        Residency and patches are searched where the settings leave them open. The session goes on with it.
        """
        from mcusim.planning.smallest import smallest

        settings = replace(self.settings, task=self._task)
        self._plan = smallest(self.model, self.board, self.scheme, settings)
        return self._plan

    def plan_for(self, data: Dataset | str | Path, *, suggest: bool | None = None) -> Plan:
        """Return the plan for the task that network and data say together, see ``choose`` and ``plan``.

        Raises:
            BadData: if the data do not suit the network or the task.
        """
        from mcusim.data.named import open_for

        data = open_for(self.model, data)
        part = self.settings.part(self.model)
        if self.scheme.scope(part).learns:
            data = data.named(self.model.inputs, self.model.outputs)
            output = self.settings.named(self.model).chosen
            goals = choose_goals(part, output, self.settings.task, Labels(data.train.labels))
            goals.prepared(data.train.labels, part)
            if self._task != goals.name:
                self._task, self._plan = goals.name, None
        return self.plan(suggest=suggest)

    @takes(Recipe, but=("epochs",))
    def train(
        self,
        data: Dataset | str | Path,
        epochs: int | None = None,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        recipe: Recipe | None = None,
        fronts: Fronts | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
        **choices: Any,
    ) -> Run:
        """Train at batch 1 inside the arena; evaluate after every epoch, or as ``evaluate`` says.

        Args:
            data: training and test examples, or their name or path.
            epochs: passes over the training images; 1 if neither this nor a recipe says.
            out: folder for checkpoints and results; nothing is written without it.
            resume: go on from the checkpoint in ``out``, bit for bit as if never interrupted. A run that
                is finished is reported, or with ``schedule="constant"`` made longer by more epochs.
            overwrite: train anew where ``out`` holds a run, which is removed.
            recipe: what to start from; the defaults if not given.
            fronts: what this session shares with others of this process: see ``population``.
            progress: called with counts now and then.
            choices: further choices by name, e.g. ``warmup=0.5``, ``limit=1000``, ``trace="off"``; see
                ``Recipe``, whose fields they are.

        Raises:
            OutOfSram, OutOfFlash: if the step does not fit; says what would help.
            BadArgument: if nothing learns (``update="none"``), or a number makes no sense.
            BadData: if the data does not suit the network or the task.
            BadRun: if the checkpoint to resume from is damaged or of another run; if another process trains
                in ``out``, or it holds a run that is neither resumed nor overwritten.
            KeyboardInterrupt, SystemExit: for SIGINT and SIGTERM, once a checkpoint is in ``out``.
            Diverged: if the loss, a gradient, a parameter or a scale is no longer finite.
            SaveFailed: if the folder cannot be written.
        """
        from mcusim.data.front_end import FrontEnd
        from mcusim.data.named import open_for
        from mcusim.session.protocol import divided
        from mcusim.session.training import Training

        if not self.scheme.scope(self.model).learns:
            raise BadArgument(
                f"update {self.settings.update}", "learns nothing, so there is no training",
                "choose what learns, e.g. head, last-6 or dynamic",
            )  # fmt: skip
        given = choices if epochs is None else {**choices, "epochs": epochs}
        wanted = chosen(recipe or Recipe(), given)
        data = open_for(self.model, data)
        if self.settings.front_end is not None:
            data = FrontEnd.read(self.settings.front_end).apply(data)
        data = divided(data, wanted)
        plan = self.plan_for(data)
        plan.require()
        named = data.named(self.model.inputs, self.model.outputs)
        training = Training(plan, self.scheme, named, wanted, whole=self.model, fronts=fronts)
        return training.run(out=out, resume=resume, overwrite=overwrite, progress=progress)

    def firmware(self, out: str | Path) -> Firmware:
        """Write the step as a folder of C: kernels, tables of the plan, builds, and how to use them.

        Args:
            out: a folder that is not there yet, or is empty.

        Raises:
            BadModel: if something of the step has no C kernel; names it. Nothing is written.
            BadArgument: if nothing learns.
            BadRun: if the folder holds something.
            OutOfSram, OutOfFlash: if the step does not fit; says what would help.
            SaveFailed: if the folder cannot be written.
        """
        from mcusim.deployment.project import write_firmware

        return write_firmware(self.plan(), self.scheme, out)

    def learned(self, dump: bytes) -> Model:
        """Return the network with what a device that runs this session's firmware has learned.

        Args:
            dump: the checkpoint area of its flash, or one copy in it.

        Raises:
            BadRun: if there is no whole copy in it, or one of another network, scheme or format.
            BadModel: if weights learn in flash.
        """
        from mcusim.deployment.reading import learned_model

        return learned_model(self.plan(), dump)

    def cost(self, steps: int) -> SessionCost:
        """Return what a session of so many steps would cost the device: time, energy, write-backs, wear.

        Raises:
            BadArgument: if ``steps`` is negative or absurd.
        """
        from mcusim.planning.cost import session_cost

        return session_cost(self.plan(), self.scheme, steps)

    def evaluate(self, split: Split, model: Model | None = None) -> float:
        """Return the task's metric of the network (or of a trained ``model``) on a split.

        An accuracy is in 0..1.
        """
        from mcusim.session.evaluation import evaluate

        whole = model or self.model
        part, output = self.settings.part(whole), self.settings.named(whole).chosen
        split = split.named(whole.inputs, whole.outputs)
        return evaluate(part, split, choose_goals(part, output, self.settings.task, Labels(split.labels)))
