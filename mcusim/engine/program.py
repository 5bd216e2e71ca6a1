"""A step that runs: in given buffers, from an example to what was learned of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.binding import Binding
from mcusim.engine.buffers import Buffers
from mcusim.engine.kept_examples import KeptExamples
from mcusim.engine.state import State, constant
from mcusim.kernels.compiled.driver import CallTable
from mcusim.lowering.action import Action
from mcusim.lowering.step import Step
from mcusim.tasks.goals import Goals
from mcusim.update.optimizer import Sgd
from mcusim.update.selection import Selection
from mcusim.update.statistics import Statistics

Array = NDArray[Any]


class Program:
    """Executes a step in the given buffers.

    Args:
        step: what to execute.
        buffers: where its tensors lie.
        state: learned parameters; ``load`` copies them into the buffers, ``store`` back.
        sgd: rates, momentum and accumulation.
        seed: seeds the stochastic rounding.
        poison: overwrite every tensor when it dies.
        statistics: accumulators to fill for a scheme that selects by what it observes.
        kept: examples to be kept in the buffers, and learned again by ``run_again``.
        hears: an example is the samples of a sound, and the front end runs; else it is what that gives.
    """

    def __init__(
        self,
        step: Step,
        buffers: Buffers,
        state: State,
        sgd: Sgd,
        *,
        seed: int = 0,
        poison: bool = False,
        statistics: Statistics | None = None,
        kept: KeptExamples | None = None,
        hears: bool = False,
    ) -> None:
        self.step, self.buffers, self.state = step, buffers, state
        self._single = len(step.model.inputs) == 1
        self._loaded = False
        binding = Binding(step, buffers, state, sgd, seed, statistics, kept, hears)
        self._kept, self._given = kept, step.arrives if hears else step.model.inputs
        self.scales, self._clock, self._losses = binding.scales, binding.clock, binding.losses
        self._learners, self._calls = binding.learners, binding.calls
        self._aimed = (*binding.losses, *binding.probes)
        self._choosing = [learner for learner in self._learners.values() if learner.chooses]
        self._quick = binding.quick
        if poison:
            self._calls = [self._poisoning(time, call) for time, call in enumerate(self._calls)]
            self._quick = self._calls
        self._whole, self._tail = (CallTable(self._quick[first:]) for first in (0, step.tail))
        front = zip(step.ops[: step.tail] if step.model.states else (), self._quick, strict=False)
        self._seen = CallTable([call for op, call in front if op.action is not Action.REPLAY])

    @property
    def loss(self) -> float:
        """The loss of the last example; of several goals the sum of their losses by weight."""
        if len(self._losses) == 1:
            return self._losses[0].value
        return self._goals.loss([loss.value for loss in self._losses])

    @property
    def score(self) -> float:
        """How well the last example was done, by all goals."""
        if len(self._losses) == 1:
            return self._losses[0].score
        each = self._losses
        return self._goals.score([loss.value for loss in each], [loss.score for loss in each])

    @property
    def _goals(self) -> Goals:
        assert self.step.goals is not None
        return self.step.goals

    @property
    def rate(self) -> float:
        """Factor of the learning rate in the next step."""
        return float(self._clock.rate[0])

    @rate.setter
    def rate(self, rate: float) -> None:
        self._clock.rate[0] = rate

    def load(self, selection: Selection) -> None:
        """Copy the learned parameters into the buffers and set what learns in this stage."""
        for learner in self._learners.values():
            learner.load(selection)
        if self._kept is not None:
            self._kept.load(self.buffers)
        self._loaded = True

    def select(self, selection: Selection) -> None:
        """Change what learns, between two steps."""
        for learner in self._choosing:
            learner.select(selection)

    def store(self) -> None:
        """Copy the learned parameters back into the state; before the first ``load`` there are none."""
        for learner in self._learners.values() if self._loaded else ():
            learner.store()
        if self._loaded and self._kept is not None:
            self._kept.store(self.buffers)

    def numbers(self) -> Iterator[tuple[str, Array]]:
        """Yield what may stop being finite, by name: gradients, parameters and momentum, scales of errors."""
        for learner in self._learners.values():
            yield from learner.numbers()
        yield "a scale of the error tensors", np.array(self.scales.scale)

    def run(self, x: Array, label: int | Array) -> float:
        """Run one whole step on an input of the model's shape; return the loss.

        A network that keeps state takes a sequence of them: it begins anew, sees all of them, and learns at
        the last.

        ``label`` is the number of the class, or for other tasks the target of the example. Of several inputs
        ``x`` is a record, and so is ``label`` of several goals, a field for each output.
        """
        self._give(x)
        return self._run(self._whole, label)

    def run_tail(self, boundary: Array, label: int | Array) -> float:
        """Run one step from what the frozen front gives; equal to ``run`` bit for bit."""
        assert self.step.boundary is not None
        np.copyto(self.buffers.view(self.step.boundary), boundary)
        return self._run(self._tail, label)

    def run_each(self, x: Array, label: int | Array) -> Iterator[int]:
        """Run one whole step as ``run`` does; yield the number of each op once it is done.

        Whoever asks for an op must ask for all that follow.
        """
        self._give(x)
        self._aim(label)
        for number, call in enumerate(self._calls):
            call()
            yield number
        self._count()

    def run_again(self) -> Iterator[int]:
        """Run a step on an example that was kept, from where it is put back; yield as ``run_each`` does.

        Nothing is run if none is kept.
        """
        assert self._kept is not None
        label = self._kept.draw(self.buffers)
        if label is None:
            return
        self._aim(label)
        first = next(number for number, op in enumerate(self.step.ops) if op.action is Action.REPLAY)
        for number in range(first, len(self._calls)):
            self._calls[number]()
            yield number
        self._count()

    def calibrate(self, x: Array, label: int | Array, *, tail: bool) -> None:
        """Find the scales of integer error tensors by repeating a step without updating.

        Every pass settles at least one more tensor, counted from the loss, so this ends; a device
        would do the same, or be shipped with the scales.
        """
        if self.step.formats.errors.limit is None or self.scales.known:
            return
        self._clock.learns[0] = 0
        for _ in range(self.scales.count + 1):
            self.run_tail(x, label) if tail else self.run(x, label)
            if not self.scales.advance():
                break
        self._clock.learns[0] = 1
        self.scales.forget_saturations()

    def _give(self, x: Array) -> None:
        """Put an example into the inputs: of a sequence the last, when those before have been seen."""
        views = {name: self.buffers.view(name) for name in self._given}
        given = {name: x if self._single else x[name] for name in views}
        states = self.step.model.states
        for state in states:
            np.copyto(self.buffers.view(state.name), constant(self.step.model, state.initial))
        for time in range(len(next(iter(given.values()))) if states else 1):
            if time:
                self._seen()
            for name, view in views.items():
                np.copyto(view, given[name][time] if states else given[name])

    def _run(self, table: CallTable, label: int | Array) -> float:
        self._aim(label)
        table()
        self._count()
        return self.loss

    def _aim(self, label: int | Array) -> None:
        for loss in self._aimed:
            loss.expect(label if len(self._losses) == 1 else label[loss.goal.output])  # type: ignore[index]
        self._clock.iteration[0] = self.state.iteration

    def _count(self) -> None:
        if self._clock.learns[0]:
            self.state.iteration += 1
            self.scales.advance()

    def _poisoning(self, time: int, call: Callable[[], None]) -> Callable[[], None]:
        dead = [t for t in self.step.tensors.values() if t.lifetime.end == time + 1 < len(self.step.ops)]

        def run() -> None:
            call()
            self.buffers.poison(dead)

        return run
