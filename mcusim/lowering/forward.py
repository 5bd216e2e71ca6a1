"""Emits the forward pass of a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mcusim.core import BadArgument, Kind, Phase, Role, Slot, SlotPart, Work
from mcusim.data.front_end import FrontEnd
from mcusim.graph import Model, Op, OpKind, StreamState, Tensor
from mcusim.graph.traits import Family
from mcusim.kernels.reach import order
from mcusim.kernels.scratch import scratch_bytes
from mcusim.lowering.action import Action
from mcusim.lowering.builder import Builder
from mcusim.lowering.step import SAMPLES
from mcusim.lowering.work import forward_work


def copy_work(count: int) -> Work:
    """Return the work of moving ``count`` bytes within SRAM."""
    return Work("copy", outputs=count, input_bytes=count)


def mask_name(op: Op) -> Slot:
    """Return the name of the clamp mask of an op."""
    return Slot(op.name, Kind.MASK)


def saved_name(op: Op) -> Slot:
    """Return the name of the saved input channels of an op."""
    return Slot(op.name, Kind.SAVED)


def emit_load(
    builder: Builder, model: Model, targets: Iterable[Tensor] = (), front_end: FrontEnd | None = None
) -> None:
    """Emit the arrival of the inputs, and of targets that are more than a class number.

    With a front end the samples of a sound arrive, and it makes the input of them.

    Raises:
        BadArgument: if its frames do not make up the input.
    """
    targets = tuple(targets)
    if front_end is not None:
        _emit_front_end(builder, model, targets, front_end)
        return
    given = {t.name: t for t in (*(model.tensors[name] for name in model.inputs), *targets)}
    for tensor in given.values():
        builder.tensor(tensor.name, tensor.shape, tensor.dtype, Role.INPUT)
    count = sum(tensor.elements for tensor in given.values())
    builder.op("load", Action.LOAD, Phase.FORWARD, writes=tuple(given), work=Work("load", outputs=count))


def _emit_front_end(builder: Builder, model: Model, targets: Sequence[Tensor], front_end: FrontEnd) -> None:
    if len(model.inputs) != 1:
        reason = f"makes one input, and {model.name} has {len(model.inputs)}"
        raise BadArgument(f"front end {front_end.text}", reason, "leave it out")
    x = model.input
    frames, rest = divmod(x.elements, front_end.columns)
    if rest:
        reason = f"gives rows of {front_end.columns}, and input {x.name!r} has shape {x.shape}"
        raise BadArgument(f"front end {front_end.text}", reason, "choose bands or coefficients that fit")
    builder.tensor(SAMPLES, (front_end.samples(frames),), "int16", Role.INPUT)
    given = {SAMPLES: front_end.samples(frames)}
    for target in targets:
        builder.tensor(target.name, target.shape, target.dtype, Role.INPUT)
        given[target.name] = target.elements
    work = Work("load", outputs=sum(given.values()))
    builder.op("load", Action.LOAD, Phase.FORWARD, writes=tuple(given), work=work)
    builder.tensor(x.name, x.shape, x.dtype, Role.INPUT)
    builder.op(
        "front_end", Action.FRONT_END, Phase.FORWARD, reads=(SAMPLES,), writes=(x.name,),
        work=front_end.work(frames), scratch_bytes=front_end.scratch_bytes,
    )  # fmt: skip


def emit_states(builder: Builder, model: Model) -> None:
    """Declare what the network keeps from one invocation to the next."""
    for state in model.states:
        tensor = model.tensors[state.name]
        builder.tensor(tensor.name, tensor.shape, tensor.dtype, Role.STATE, persistent=True)


def emit_keep(builder: Builder, model: Model, state: StreamState) -> None:
    """Emit the move of a state's new value to where the next invocation reads it."""
    tensor = model.tensors[state.name]
    builder.op(
        f"keep {state.name}", Action.KEEP, Phase.FORWARD, reads=(state.after,), writes=(state.name,),
        work=copy_work(tensor.bytes),
    )  # fmt: skip


def emit_op(
    builder: Builder,
    op: Op,
    tensors: Mapping[str, Tensor],
    *,
    parameters: Sequence[Slot] = (),
    mask: bool = False,
    in_place: bool = True,
    tag: str = "",
    source: Op | None = None,
) -> None:
    """Emit one op of the network, or of one patch of it.

    ``parameters`` are the SRAM tensors that hold its learned parameters, ``mask`` asks for the clamp
    mask that the backward pass will read. For a patch, ``op`` names the tensors of that patch, ``tag``
    tells it from other patches, and ``source`` is the op with the names that the network uses.
    """
    output = tensors[op.output]
    builder.tensor(op.output, output.shape, output.dtype, Role.ACTIVATION)
    inputs = [n for n in op.inputs if not tensors[n].constant]
    work = forward_work(op, tensors)
    name = None
    if mask:
        name = builder.tensor(mask_name(op), ((output.elements + 7) // 8,), "uint8", Role.MASK)
    reach = order(op, tensors) if builder.overlap else None
    planes = in_place and _plane(op) and not (reach is not None and _narrower(op, tensors, reach.distance))
    overwrites = [n for n in inputs if overwritable(op, tensors, n) and (planes or not _plane(op))]
    builder.op(
        op.name + tag, Action.FORWARD, Phase.FORWARD, source=source or op, reads=(*inputs, *parameters),
        writes=(op.output,), work=work, mask=name,
        scratch_bytes=scratch_bytes(op, tensors, "forward", in_place=planes),
        overwrites=overwrites, overlaps={} if reach is None or planes else {op.inputs[0]: reach},
        partly=_partly(op, tensors, work, parameters, builder),
    )  # fmt: skip


def _narrower(op: Op, tensors: Mapping[str, Tensor], below: int) -> bool:
    """True if an op takes less room when its output grows over its input than through a copy of a plane."""
    x, y = tensors[op.inputs[0]], tensors[op.output]
    plane = scratch_bytes(op, tensors, "forward", in_place=True)
    return not overwritable(op, tensors, x.name) or max(y.bytes, below + x.bytes) <= x.bytes + plane


def _partly(
    op: Op, tensors: Mapping[str, Tensor], work: Work, parameters: Sequence[Slot], builder: Builder
) -> dict[str, int]:
    """Return the bytes touched of tensors that are not touched whole.

    Strides skip pixels, and a window larger than the image has weights that meet padding only.
    """
    if op.traits.family is Family.VIEW:
        return {op.inputs[0]: 0, op.output: 0}
    if not op.traits.weighted or op.traits.family is Family.FILTER:
        return {}
    weight = tensors[op.inputs[1]]
    met = work.flash_read - (tensors[op.inputs[2]].bytes if op.bias else 0)
    found = {op.inputs[0]: work.sram_read}
    if met < weight.bytes:
        held = (n for n in parameters if n.part is SlotPart.WEIGHT)
        found |= {n: builder.bytes_of(n) * met // weight.bytes for n in held}
    return found


def _plane(op: Op) -> bool:
    """True for the ops that work in place through a copy of one channel plane."""
    return op.kind is OpKind.DEPTHWISE_CONV_2D


def overwritable(op: Op, tensors: Mapping[str, Tensor], name: str) -> bool:
    """True if the output of an op may take the place of one of its inputs."""
    x, y = tensors[name], tensors[op.output]
    if op.kind is OpKind.DEPTHWISE_CONV_2D:
        # One channel plane at a time: in NHWC the output of channel c lands only on bytes of channel c.
        return x.shape[-1] == y.shape[-1] and x.bytes >= y.bytes and x.dtype == y.dtype
    return op.traits.in_place != "never" and x.bytes == y.bytes and op.inputs.count(name) == 1


def backward_activations(op: Op) -> tuple[str, ...]:
    """Return the activations an op without weights reads again in its backward pass."""
    needs = op.traits.reads
    return (*(op.inputs if "inputs" in needs else ()), *((op.output,) if "output" in needs else ()))
