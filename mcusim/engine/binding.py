"""Every op of a step bound to memory: one call each, with every view made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from mcusim.core import Kind, Slot, SlotPart
from mcusim.data.preprocess import held
from mcusim.engine.buffers import Buffers
from mcusim.engine.kept_examples import KeptExamples
from mcusim.engine.learning import Clock, Learner
from mcusim.engine.loss import Loss
from mcusim.engine.observer import Observer
from mcusim.engine.perturbation import Perturbation
from mcusim.engine.pooled import bind_pooled
from mcusim.engine.saved_pixels import SavedPixels
from mcusim.engine.scales import ErrorScales
from mcusim.engine.state import State, constant
from mcusim.graph import Op
from mcusim.kernels import backward as backward_kernels
from mcusim.kernels import forward as forward_kernels
from mcusim.kernels.compiled.gather import Take
from mcusim.kernels.compiled.grad_input import GradInput
from mcusim.kernels.compiled.grad_record import Gradient
from mcusim.kernels.compiled.move import copying
from mcusim.kernels.compiled.prepared import GradInputKernel, Workspace, address_of
from mcusim.kernels.compiled.rows import GRADIENT, INPUT, Rows, gradient_row, input_row, row
from mcusim.lowering.action import Action
from mcusim.lowering.backward import gradient_name
from mcusim.lowering.forward import backward_activations, saved_name
from mcusim.lowering.perturbed import PROBE, clean_name
from mcusim.lowering.step import Step, StepOp
from mcusim.update.optimizer import Sgd
from mcusim.update.statistics import Statistics

Array = NDArray[Any]
Call = Callable[[], None]


class Binding:
    """The calls that execute a step in the given buffers, and what they work on.

    Args:
        step: what to execute.
        buffers: where its tensors lie.
        state: what the learners take their parameters from.
        sgd: rates, momentum and accumulation.
        seed: seeds the stochastic rounding.
        statistics: accumulators to fill for a scheme that selects by what it observes.
        kept: examples that are kept in the buffers; without them who runs the step knows them.
        hears: the samples of a sound arrive, and the front end runs; else what it makes of them does.

    Attributes:
        calls: one for each op of the step, in its order.
        quick: the same where nobody looks between them: some do what another op's would, to the same bits.
        learners: op name -> the learner of each op that has parameters in SRAM, or may have.
        losses: one for each output that learns.
        probes: those of a first pass with moved parameters, where there is one.
        scales: of the error tensors.
        clock: read by the calls at every step.
    """

    def __init__(
        self, step: Step, buffers: Buffers, state: State, sgd: Sgd, seed: int, statistics: Statistics | None,
        kept: KeptExamples | None = None, hears: bool = False,
    ) -> None:  # fmt: skip
        self._watch = Observer(statistics, step) if statistics is not None and statistics.sums else None
        self.step, self.buffers, self.state, self.clock = step, buffers, state, Clock()
        self.losses: list[Loss] = []
        self.probes: list[Loss] = []
        self._seed, self._kept, self._hears = seed, kept, hears
        self._moved: dict[str, Perturbation] = {}
        self.scales = ErrorScales(step, state)
        self._kernels: dict[object, Any] = {}
        self._saved_pixels: dict[str, SavedPixels] = {}
        self._workspace = Workspace()
        self.learners = {
            op.name: Learner(op, step, buffers, state, sgd, seed)
            for op in step.model.ops
            if step.in_flash(op) or any(Slot(op.name, Kind.VALUE, p) in step.tensors for p in SlotPart)
        }
        self.calls: list[Call] = [self._bind(op) for op in step.ops]
        self.quick = self._fused()

    @property
    def _applies(self) -> bool:
        """True if accumulated gradients are applied in this step."""
        return (self.state.iteration + 1) % self.step.accumulate == 0

    def _fused(self) -> list[Call]:
        """Return the calls with gradients of biases summed in the pass of the same op's input gradient."""
        ops, found = self.step.ops, list(self.calls)
        biases = {_source(op).name: i for i, op in enumerate(ops) if op.action is Action.GRAD_BIAS}
        for i, op in enumerate(ops):
            if op.action is not Action.GRAD_INPUT or _source(op).name not in biases:
                continue
            place = biases[_source(op).name]
            learner = self.learners[_source(op).name]
            rule = learner.bias_row(self.clock)
            if rule is not None and ops[place].mask == op.mask and self._sums_bias(op):
                found[i], found[place] = Rows(self._bind_grad_input(op, learner.bias_gradient), rule), Rows()
        return found

    def _sums_bias(self, op: StepOp) -> bool:
        """Return True if the kernel of an input gradient can sum the gradient of the bias too."""
        kernel = self._grad_input(op)
        if not isinstance(kernel, GradInput):
            return False
        g_y, mask, _ = self._error(op)
        return kernel.loads_all(g_y, mask, self.buffers.view(op.writes[0]), *self._inputs(op))

    def _bind(self, op: StepOp) -> Call:
        match op.action:
            case Action.LOAD | Action.OBSERVE | Action.POOL:
                # The input is there already, statistics are taken where the gradients are, and a pool was
                # computed with its convolution: these ops carry the cost alone.
                return Rows()
            case Action.FRONT_END:
                return self._bind_front_end(op) if self._hears else Rows()
            case Action.REPLAY:
                return self._bind_replay()
            case Action.FORWARD:
                return self._bind_forward(op)
            case Action.POOLED:
                return bind_pooled(op, self.step.model, self.buffers, self._kernel)
            case Action.CROP:
                return self._bind_crop(op)
            case Action.PASTE:
                return self._bind_paste(op)
            case Action.KEEP:
                return self._bind_keep(op)
            case Action.SAVE:
                return self._bind_save(op)
            case Action.LOSS:
                return self._bind_loss(op)
            case Action.GRAD_INPUT:
                return self._bind_grad_input(op)
            case Action.GRAD_BIAS:
                return self._bind_grad_bias(op)
            case Action.GRAD_WEIGHT:
                return self._bind_grad_weight(op)
            case Action.UPDATE:
                return self._bind_update(op)
            case Action.PERTURB:
                return self._bind_perturb(op)
            case Action.PROBE:
                return self._bind_probe(op)
            case Action.ESTIMATE:
                return self._bind_estimate(op)
        assert_never(op.action)

    def _bind_front_end(self, op: StepOp) -> Call:
        front, x = self.step.front_end, self.step.model.input
        assert front is not None
        samples, view = self.buffers.view(op.reads[0]), self.buffers.view(op.writes[0])
        return lambda: np.copyto(view, held(front(samples[None]), x).reshape(view.shape))

    def _bind_replay(self) -> Call:
        if self._kept is None:
            return Rows()
        return self._kept.bound(self.buffers, self.clock.learns, lambda: self.losses[0].wanted)

    def _bind_forward(self, op: StepOp) -> Callable[[], None]:
        source, view = _source(op), self.buffers.view
        output = view(op.writes[0])
        mask = view(op.mask) if op.mask else None
        learner = self.learners.get(source.name)
        kernel = self._kernel(source, learner)
        reads = iter(op.reads)
        if learner is None:
            given = source.inputs[:1] if source.traits.weighted else source.inputs
            tensors = self.step.model.tensors
            # A patch reads tensors of its own, in the order of the activations of its op.
            inputs = tuple(
                constant(self.step.model, n) if tensors[n].constant else view(next(reads)) for n in given
            )
            return forward_kernels.bound(kernel, inputs, output, mask)
        parameters = (learner.weight,) if learner.bias is None else (learner.weight, learner.bias)
        inputs = (view(next(reads)), *parameters)
        forward = forward_kernels.bound(kernel, inputs, output, mask)
        return Rows(learner.merge, forward) if learner.compact else forward

    def _kernel(self, source: Op, learner: Learner | None = None) -> Any:
        """Return a prepared kernel; patches with the same padding share one."""
        key = (source.name, source.attributes)
        if key not in self._kernels:
            model = self.step.model
            self._kernels[key] = forward_kernels.forward(
                source,
                model.tensors,
                model.arithmetic,
                frozen=learner is None,
                fixed_weight=learner is not None and learner.fixed_weight,
                workspace=self._workspace,
            )
        return self._kernels[key]

    def _bind_crop(self, op: StepOp) -> Callable[[], None]:
        assert op.box is not None
        r0, r1, c0, c1 = op.box
        source = self.buffers.view(op.reads[0])[:, r0:r1, c0:c1]
        target = self.buffers.view(op.writes[0])
        return copying(source, target)

    def _bind_paste(self, op: StepOp) -> Callable[[], None]:
        assert op.box is not None
        r0, r1, c0, c1 = op.box
        source = self.buffers.view(op.reads[0])
        target = self.buffers.view(op.writes[0])[:, r0:r1, c0:c1]
        return copying(source, target)

    def _bind_keep(self, op: StepOp) -> Callable[[], None]:
        return copying(self.buffers.view(op.reads[0]), self.buffers.view(op.writes[0]))

    def _bind_save(self, op: StepOp) -> Callable[[], None]:
        x, saved = self.buffers.view(op.reads[0]), self.buffers.view(op.writes[0])
        source = _source(op)
        learner = self.learners[source.name]
        if source.name in self.step.saved_pixels:
            pixels = self._saved_pixels[source.name] = SavedPixels(self.step, source, self.state)
            return lambda: pixels.take(x, learner.channels, saved)

        return Take(source.name).bind(x, learner.channels, saved)

    def _bind_loss(self, op: StepOp) -> Callable[[], None]:
        goals = self.step.goals
        assert goals is not None
        goal = goals.items[self.step.logits.index(op.reads[0])]
        loss = Loss(goal, self.step.model, op.reads[0], self.buffers)
        self.losses.append(loss)
        return loss.rows

    def _bind_grad_input(self, op: StepOp, bias: Array | None = None) -> Callable[[], None]:
        """Return the gradient of an input, and into ``bias`` that of the op's bias."""
        kernel, inputs, scales = self._grad_input(op), self._inputs(op), self.scales
        g_y, mask, y = self._error(op)
        g_x, x = self.buffers.view(op.writes[0]), scales.index(op.writes[0])
        accumulate = op.accumulate
        scale, record = scales.scale, scales.record
        if not isinstance(kernel, GradInputKernel):
            return lambda: record(x, kernel(g_y, scale[y], mask, inputs, g_x, scale[x], accumulate))
        bound = kernel.bind(g_y, mask, g_x, *inputs, *(() if bias is None else (bias,)))
        numbers = (scales.address(y), scales.address(x), int(accumulate), *scales.observed(x))
        return row(input_row, INPUT, bound, numbers, Rows(), keep=scales)

    def _grad_input(self, op: StepOp) -> Any:
        """Return the kernel of an input gradient."""
        source, model = _source(op), self.step.model
        key = (Action.GRAD_INPUT, source.name, op.index)
        if key not in self._kernels:
            learner = self.learners.get(source.name)
            fixed = learner is None or learner.fixed_weight
            self._kernels[key] = backward_kernels.grad_input(
                source, model.tensors, model.arithmetic, op.index,
                fixed_weight=fixed, workspace=self._workspace,
            )  # fmt: skip
        return self._kernels[key]

    def _inputs(self, op: StepOp) -> tuple[Array, ...]:
        """Return what an input gradient reads beside the error: the weight, or activations."""
        source = _source(op)
        learner = self.learners.get(source.name)
        if learner is not None and source.traits.weighted:
            return (learner.weight,)
        if source.traits.weighted:
            return (constant(self.step.model, source.inputs[1]),)
        return tuple(self._operand(n) for n in backward_activations(source))

    def _error(self, op: StepOp) -> tuple[Array, Array | None, int]:
        """Return the gradient an op of the backward pass starts from, its mask, and where its scale is."""
        name = gradient_name(_source(op).output)
        mask = self.buffers.view(op.mask) if op.mask else None
        return self.buffers.view(name), mask, self.scales.index(name)

    def _operand(self, name: str) -> Array:
        tensor = self.step.model.tensors[name]
        return tensor.data if tensor.data is not None else self.buffers.view(name)

    def _bind_grad_bias(self, op: StepOp) -> Callable[[], None]:
        source, model = _source(op), self.step.model
        kernel = backward_kernels.grad_bias(
            source, model.tensors, model.arithmetic, workspace=self._workspace
        )
        (g_y, mask, y), scale = self._error(op), self.scales.scale
        learner = self.learners[source.name]
        rule = learner.bias_row(self.clock)
        if rule is not None:
            bound = kernel.bind(g_y, mask, learner.bias_gradient)
            numbers = (self.scales.address(y), address_of(self.clock.learns), 0)
            return Rows(row(gradient_row, GRADIENT, bound, numbers, Rows(), keep=self.scales), rule)
        clock = self.clock

        def run() -> None:
            if clock.learns[0]:
                kernel(g_y, scale[y], mask, learner.bias_gradient)
                learner.learn_bias(clock.rate[0])

        return run

    def _bind_grad_weight(self, op: StepOp) -> Callable[[], None]:
        source, view = _source(op), self.buffers.view
        model = self.step.model
        kernel = backward_kernels.grad_weight(
            source, model.tensors, model.arithmetic, workspace=self._workspace
        )
        (g_y, mask, y), scale = self._error(op), self.scales.scale
        saved = saved_name(source)
        x = view(saved if saved in self.step.tensors else source.inputs[0])
        learner = self.learners[source.name]
        gradient = learner.weight_gradient
        positions = self._saved_pixels[source.name].positions if source.name in self._saved_pixels else None
        watch = None if learner.head else self._watch
        clock = self.clock

        def run() -> None:
            if clock.learns[0]:
                kernel(g_y, scale[y], mask, x, learner.channels, gradient, positions)
                if watch is not None:
                    watch.take(learner, g_y, scale[y])
                learner.learn_weight(clock.rate[0])

        rule = learner.weight_row(clock)
        if rule is not None and watch is None and isinstance(kernel, Gradient):
            bound = kernel.bind(g_y, mask, x, learner.channels, gradient, positions)
            numbers = (self.scales.address(y), address_of(clock.learns), 1)
            return Rows(row(gradient_row, GRADIENT, bound, numbers, run, keep=self.scales), rule)
        return run

    def _bind_update(self, op: StepOp) -> Callable[[], None]:
        learner = self.learners[_source(op).name]
        apply = learner.apply_bias if op.part is SlotPart.BIAS else learner.apply_weight
        clock = self.clock

        def run() -> None:
            if clock.learns[0] and self._applies:
                apply(clock.rate[0])

        return run

    def _bind_perturb(self, op: StepOp) -> Callable[[], None]:
        source, part = _source(op), _part(op)
        if op.index:
            return self._moved[f"{source.name}:{part}"].flip
        clean = self.buffers.view(clean_name(source)) if part is SlotPart.WEIGHT else None
        moved = Perturbation(self.step, self.learners[source.name], part, self._seed, self.clock, clean)
        self._moved[f"{source.name}:{part}"] = moved
        return moved.move

    def _bind_probe(self, op: StepOp) -> Callable[[], None]:
        goals, place = self.step.goals, op.reads[0]
        assert goals is not None
        logits = next(name for name in self.step.logits if f"{name}{PROBE}" == place)
        goal = goals.items[self.step.logits.index(logits)]
        self.probes.append(Loss(goal, self.step.model, logits, self.buffers, place=place))
        return self.probes[-1].rows

    def _bind_estimate(self, op: StepOp) -> Callable[[], None]:
        moved, goals = self._moved[f"{_source(op).name}:{_part(op)}"], self.step.goals
        assert goals is not None

        def run() -> None:
            up, down = (goals.loss([loss.value for loss in each]) for each in (self.probes, self.losses))
            moved.learn(up - down)

        return run


def _part(op: StepOp) -> SlotPart:
    assert op.part is not None
    return op.part


def _source(op: StepOp) -> Op:
    assert op.source is not None
    return op.source
