"""Derives the training step of a network from what learns and in which formats."""

from __future__ import annotations

from mcusim.core import BadArgument, Kind, Phase, Role, Slot, Work
from mcusim.core.wording import choice
from mcusim.data.front_end import FrontEnd
from mcusim.data.replay import Rehearsal
from mcusim.graph import Model
from mcusim.kernels.executable import check_forward, check_gradient
from mcusim.lowering.action import Action
from mcusim.lowering.backward import Backward, emit_losses, gradient_name
from mcusim.lowering.builder import Builder
from mcusim.lowering.forward import emit_load, emit_states
from mcusim.lowering.gradients import Flow, activations, check_frozen_states
from mcusim.lowering.parameters import Parameters
from mcusim.lowering.patches import Patches, emit_patches, recomputed_macs
from mcusim.lowering.perturbed import Perturbed
from mcusim.lowering.replay import emit_replay
from mcusim.lowering.residency import Residency
from mcusim.lowering.step import Step
from mcusim.lowering.tail import Tail
from mcusim.tasks.classification import Classification
from mcusim.tasks.goals import Goals
from mcusim.tasks.task import Task
from mcusim.update.cost import Cost
from mcusim.update.formats import Formats
from mcusim.update.selection import Scope


def lower(
    model: Model,
    scope: Scope,
    formats: Formats | None = None,
    *,
    residency: Residency | str = Residency.SRAM,
    patches: Patches | None = None,
    in_place: bool = True,
    overlap: bool = True,
    fuse: bool = True,
    momentum: bool = False,
    second_moment: bool = False,
    accumulate: int = 1,
    runtime_bytes: int = 0,
    cost: Cost | None = None,
    task: Task | Goals | None = None,
    front_end: FrontEnd | None = None,
    replay: Rehearsal | None = None,
) -> Step:
    """Return one training step of ``model``, or one inference if nothing learns.

    Args:
        model: the network.
        scope: how many channels of which layers learn at once, and which layers can be selected.
        formats: number formats of errors and learning parameters, and the pattern of saved features.
        residency: where learning weights live between steps.
        patches: run the frozen front in spatial patches.
        in_place: let outputs overwrite inputs that are not needed any more.
        overlap: let outputs grow over inputs that die with the op, as far as the order of its loops allows.
        fuse: compute pools with the frozen convolutions before them, row by row, where that takes less room.
        momentum: keep a float32 momentum for every parameter that can learn.
        second_moment: keep a float32 mean square for every parameter that can learn.
        accumulate: number of batch-1 gradients summed before an update.
        runtime_bytes: SRAM the firmware itself needs (stack, heap, static data).
        cost: memory and work of choosing what learns.
        task: what the output is for, or the goals of several; classification by default.
        front_end: makes the input of the samples of a sound.
        replay: examples kept to be learned again.

    Raises:
        BadArgument: if ``accumulate`` is below 1, or if gradients that nobody computes are to be accumulated.
        BadModel: if an op of the step cannot be executed: no kernel, or no gradient where one is needed; or
            if what is to be perturbed is no integer.
    """
    if accumulate < 1:
        raise BadArgument(choice("accumulate", accumulate), "is not a number of steps", "use 1 or more")
    if scope.perturbation and accumulate > 1:
        reason = "sums gradients, and what is perturbed has none"
        raise BadArgument(choice("accumulate", accumulate), reason, "use 1")
    formats = formats or Formats()
    goals = task if isinstance(task, Goals) else Goals.of(model, task or Classification())
    flow = Flow.of(model, scope, goals)
    _check(flow, model)
    if not scope.learns:
        builder = Builder(overlap=overlap)
        return _lower_inference(
            builder, model, scope, formats, patches, runtime_bytes, front_end, in_place=in_place, fuse=fuse
        )
    parameters = Parameters(model, scope, formats, Residency(residency), momentum, accumulate, second_moment)
    builder = Builder(overlap=overlap)
    _declare_runtime(builder, runtime_bytes)
    parameters.declare(builder)
    emit_states(builder, model)
    emit_load(builder, model, filter(None, (goal.target(model) for goal in goals.items)), front_end)
    kept = None
    if replay is not None and replay.kind == "raw":
        kept = emit_replay(builder, model, flow, goals, replay)
    covered, extra = 0, 0
    if patches is not None:
        covered = emit_patches(builder, model, flow, patches, in_place=in_place)
        extra = recomputed_macs(builder, model, flow.ops[:covered])
    front = max(flow.front, covered)
    whole = Tail(builder, model, flow, parameters, in_place=in_place)
    whole.emit_front(flow.ops[covered:front], fuse=fuse)
    if replay is not None and replay.kind == "latent":
        kept = emit_replay(builder, model, flow, goals, replay)
    tail = len(builder.ops)
    perturbed = Perturbed(builder, model, flow, parameters, goals) if scope.perturbation else None
    if perturbed is not None:
        perturbed.emit_probe(flow.ops[front:], in_place=in_place)
    whole.emit(flow.ops[front:])
    emit_losses(builder, model, flow, goals)
    pixels = whole.saving.saved_pixels
    Backward(builder, model, flow, parameters, pixels).emit()
    if perturbed is not None:
        perturbed.emit_estimates()
    _emit_cost(builder, cost or Cost())
    _declare_error_scales(builder, flow, formats)
    tensors = builder.tensors(in_place=in_place)
    return Step(
        model, scope, formats, tuple(builder.ops), tensors,
        residency=Residency(residency), accumulate=accumulate, patch_macs=extra, tail=tail,
        boundary=flow.boundary, logits=flow.logits, resident=builder.resident, saved_pixels=pixels,
        goals=goals, front_end=front_end, replay=replay, kept=kept,
        orders=builder.overlaps(tensors), choice_bytes=0 if cost is None else cost.flash,
    )  # fmt: skip


def _check(flow: Flow, model: Model) -> None:
    """Refuse what the engine would refuse: what cannot be executed cannot be planned."""
    for op in flow.ops:
        check_forward(op, model.tensors, model.arithmetic)
        if op.output in flow.needs and any(name in flow.needs for _, name in activations(model, op)):
            check_gradient(op)
    check_frozen_states(flow, model)


def _emit_cost(builder: Builder, cost: Cost) -> None:
    """Keep what a scheme remembers between steps, and do what it observes in each."""
    for role, count in cost.sram.items():
        builder.tensor(Slot(role, Kind.SELECTION), (count,), "uint8", role, persistent=True)
    if cost.step != Work(cost.step.kind):
        builder.op("observe", Action.OBSERVE, Phase.UPDATE, work=cost.step)


def _declare_error_scales(builder: Builder, flow: Flow, formats: Formats) -> None:
    """Each error tensor of an integer format has its largest magnitude so far (float64), that of this step
    and its scale (float32 each): 16 bytes.
    """
    count = sum(gradient_name(n) in builder.drafts for n in flow.needs)
    if formats.errors.limit is not None and count:
        builder.tensor("error_scales", (count, 4), "float32", Role.OPTIMIZER, persistent=True)


def lower_inference(
    model: Model, *, in_place: bool = True, overlap: bool = True, fuse: bool = True,
    patches: Patches | None = None,
) -> Step:  # fmt: skip
    """Return the forward pass alone, every op of the network included: what inference needs."""
    nothing = Scope(channels={}, eligible=(), biases=(), head=False)
    return lower(model, nothing, patches=patches, in_place=in_place, overlap=overlap, fuse=fuse)


def _lower_inference(
    builder: Builder,
    model: Model,
    scope: Scope,
    formats: Formats,
    patches: Patches | None,
    runtime_bytes: int,
    front_end: FrontEnd | None,
    *,
    in_place: bool,
    fuse: bool,
) -> Step:
    flow = Flow.of(model, scope, None)
    parameters = Parameters(model, scope, formats, Residency.SRAM, False, 1)
    _declare_runtime(builder, runtime_bytes)
    emit_states(builder, model)
    emit_load(builder, model, (), front_end)
    covered, extra = 0, 0
    if patches is not None:
        covered = emit_patches(builder, model, flow, patches, in_place=in_place)
        extra = recomputed_macs(builder, model, flow.ops[:covered])
    Tail(builder, model, flow, parameters, in_place=in_place).emit_front(flow.ops[covered:], fuse=fuse)
    tensors = builder.tensors(in_place=in_place, results=model.outputs)
    return Step(
        model, scope, formats, tuple(builder.ops), tensors,
        residency=Residency.SRAM, patch_macs=extra, tail=len(builder.ops), boundary=None,
        logits=flow.logits, resident=builder.resident, front_end=front_end,
        orders=builder.overlaps(tensors),
    )  # fmt: skip


def _declare_runtime(builder: Builder, count: int) -> None:
    if count:
        builder.tensor("runtime", (count,), "uint8", Role.RUNTIME, persistent=True)
