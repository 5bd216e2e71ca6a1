"""A step is one table that compiled code runs whole, for every task of the package."""

from __future__ import annotations

import numpy as np
import pytest
from arena_steps import images
from networks import small_network
from tasks_networks import case

from mcusim.data.preprocess import Preprocessor
from mcusim.engine.buffers import ArenaBuffers, SeparateBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.kernels.compiled.driver import _Run
from mcusim.kernels.number_formats import ERRORS
from mcusim.lowering.action import Action
from mcusim.lowering.lower import lower
from mcusim.lowering.patches import Patches
from mcusim.memory.arena import Arena
from mcusim.memory.planners import PLANNERS
from mcusim.tasks.task import TASKS, Task
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.scheme import scheme


def program(name: str, error: str, task: Task | None = None) -> tuple[Program, np.ndarray, np.ndarray]:
    """Return a bound step of a task, examples and targets."""
    model, x, y = case(name)
    task = task or TASKS[name]()
    prepared = Preprocessor(model, x.shape[1:], x.dtype.name)(x)
    targets = prepared if task.reads_input else task.prepared(y, model)
    chosen = scheme("dense")
    formats = Formats(error=error, head="int8")
    step = lower(model, chosen.scope(model), formats, task=task)
    found = Program(step, SeparateBuffers(step), State.of(model, step.scope, formats), Sgd(lr=0.01))
    found.load(chosen.select(model, 0, 0))
    return found, prepared.reshape(len(prepared), *model.input.shape), targets


@pytest.mark.parametrize("error", ["float32", "int16", "int8"])
@pytest.mark.parametrize("name", list(TASKS))
def test_nothing_of_a_step_is_python(name: str, error: str) -> None:
    whole, x, targets = program(name, error)
    assert [type(call) for call in whole._whole._calls] == [_Run]
    assert whole.run(x[0], targets[0]) == whole.loss > 0


@pytest.mark.parametrize("name", list(TASKS))
def test_a_loss_in_python_gives_the_same(name: str) -> None:
    """As a task of another package has it, which knows nothing of rows."""

    class Plain(TASKS[name]):  # type: ignore[misc, valid-type]
        def loss(self):
            own = super().loss()
            return lambda *arrays: own(*arrays)

        def smoothed(self, smoothing):
            own = super().smoothed(smoothing)
            return lambda *arrays: own(*arrays)

    (one, x, targets), (other, _, _) = program(name, "int8"), program(name, "int8", Plain())
    assert len(one._whole._calls) < len(other._whole._calls)
    for i in range(3):
        found = [(each.run(x[i], targets[i]), each.score) for each in (one, other)]
        assert found[0] == found[1]
    one.store()
    other.store()
    for slot, values in one.state.arrays.items():
        np.testing.assert_array_equal(values, other.state.arrays[slot])


def test_patches_are_part_of_the_table() -> None:
    model, chosen = small_network(), scheme("last-2")
    step = lower(model, chosen.scope(model), Formats(), patches=Patches(2, "a.expand"))
    assert {Action.CROP, Action.PASTE} & {op.action for op in step.ops}
    whole = Program(step, SeparateBuffers(step), State.of(model, step.scope, Formats()), Sgd(lr=0.01))
    assert [type(call) for call in whole._whole._calls] == [_Run]


@pytest.mark.parametrize("error", list(ERRORS))
@pytest.mark.parametrize("update", ["dense", "bias", "last-2", "head"])
def test_ops_one_by_one_give_what_the_whole_table_gives(update: str, error: str) -> None:
    """In the arena; the whole sums biases' gradients in the pass of another op, where both read the same."""
    model, chosen, formats = small_network(), scheme(update), Formats(error=error)
    step = lower(model, chosen.scope(model), formats)
    solution = PLANNERS["best"](step.problem())
    programs = []
    for _ in range(2):
        buffers = ArenaBuffers(step, solution.offsets, Arena(solution.height))
        state = State.of(model, step.scope, formats)
        programs.append(Program(step, buffers, state, Sgd(lr=0.01), seed=3))
        programs[-1].load(chosen.select(model, 0, 0))
    one, other = programs
    fused = [
        op.action for op, call in zip(step.ops, one._quick, strict=True) if getattr(call, "rows", call) == ()
    ]
    assert (Action.GRAD_BIAS in fused) == (update != "head")
    for image in images(model.input.shape[1]):
        one.calibrate(image, 1, tail=False)
        other.calibrate(image, 1, tail=False)
        one.run(image, 2)
        assert [*other.run_each(image, 2)] == [*range(len(step.ops))]
        assert one.loss == other.loss
        np.testing.assert_array_equal(one.scales.peaks, other.scales.peaks)
    one.store()
    other.store()
    for slot, values in one.state.arrays.items():
        np.testing.assert_array_equal(values, other.state.arrays[slot])
