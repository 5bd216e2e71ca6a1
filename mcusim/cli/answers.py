"""What a trained network answers, for the pages of the verbs: with a bar, since it may take a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcusim.data.dataset import Dataset
    from mcusim.reporting.saved import SavedRun
    from mcusim.session.answers import Answers
    from mcusim.session.experiment import Experiment
    from mcusim.session.run import Run


def answers_of(run: Run | SavedRun, wanted: Experiment, data: Dataset | None = None) -> Answers | None:
    """Return what the network of a run answers on the examples that the run reports.

    Args:
        run: just trained, or kept in a folder.
        wanted: the experiment that it was.
        data: that it learned from; opened anew if not given.

    Returns:
        The answers; ``None`` where they are no classes, or the plan of a kept run cannot be made again.

    Raises:
        BadData: if the data are not there.
    """
    from mcusim.cli.progress import working
    from mcusim.core.counted import tell
    from mcusim.files.load import load
    from mcusim.reporting.saved import MODEL, SavedRun
    from mcusim.session.answers import answers
    from mcusim.session.protocol import divided

    if run.plan is None or run.plan.step.goals is None:
        return None
    if isinstance(run, SavedRun):
        model, part = load(run.folder / MODEL), run.course.protocol.reported
    else:
        model, part = run.model, run.protocol.reported
    data = divided(wanted.dataset(model) if data is None else data, wanted.training)
    with working("answering examples"):
        return answers(model, data, run.plan.step.goals, part, progress=tell)
