"""The patch-based first stage: the front of the network, one spatial patch at a time.

Only a patch of each large early activation is alive at once, at the price of recomputing the halo
where patches overlap (the idea of MCUNetV2, arXiv 2110.15352). Every patch computes exactly the
integers that the whole image would give: padding is applied only at the borders of the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.core import BadArgument, Phase, Role
from mcusim.graph import Attributes, Model, Op, Tensor
from mcusim.kernels.reference.shape import sources
from mcusim.lowering.action import Action
from mcusim.lowering.builder import Builder
from mcusim.lowering.forward import copy_work, emit_op
from mcusim.lowering.gradients import Flow, activations, crossings
from mcusim.lowering.step import Box
from mcusim.lowering.work import forward_work


@dataclass(frozen=True, slots=True)
class Patches:
    """Run the ops up to and including ``split`` in ``count`` x ``count`` patches of its output."""

    count: int
    split: str

    def __str__(self) -> str:
        return f"{self.count}x{self.count} up to {self.split}"


def split_points(model: Model, flow: Flow) -> list[str]:
    """Return the names of the ops after which a patch stage may end, in order.

    Such an op is frozen, as is all before it, every op up to it works on space, and its output is
    the only tensor that the rest reads. A network that keeps state has none: its invocations are narrow.
    """
    names: list[str] = []
    if model.states:
        return names
    for op, rest in zip(flow.ops[: flow.front], crossings(model, flow.ops), strict=False):
        if not _spatial(model, op):
            break
        if rest == {op.output} and op.traits.patch != "no":
            names.append(op.name)
    return names


def _spatial(model: Model, op: Op) -> bool:
    shape = model.tensors[op.output].shape
    if len(shape) != 4 or op.traits.patch == "no":
        return False
    # A broadcast operand has no rows of its own to cut.
    return op.traits.patch in ("window", "grid") or all(
        model.tensors[n].shape[1:3] == shape[1:3] for _, n in activations(model, op)
    )


def emit_patches(builder: Builder, model: Model, flow: Flow, patches: Patches, *, in_place: bool) -> int:
    """Emit the patch stage; return how many ops of the network it covers.

    Raises:
        BadArgument: if the stage cannot end at the op named, or there are more patches than rows.
    """
    allowed = split_points(model, flow)
    if patches.split not in allowed:
        known = ", ".join(allowed) or "none: the first layers learn, keep state or are not spatial"
        raise BadArgument(
            f"patch stage ending at {patches.split!r}", "cannot be run in patches", f"possible: {known}"
        )
    end = next(i for i, op in enumerate(flow.ops) if op.name == patches.split) + 1
    stage = flow.ops[:end]
    whole = model.tensors[stage[-1].output]
    _, height, width, _ = whole.shape
    if not 2 <= patches.count <= min(height, width):
        raise BadArgument(
            f"{patches.count} patches a side",
            f"do not divide the {height}x{width} output of {patches.split}",
            f"choose 2 to {min(height, width)}",
        )
    builder.tensor(whole.name, whole.shape, whole.dtype, Role.ACTIVATION)
    for row in range(patches.count):
        for column in range(patches.count):
            box = (
                *_part(height, patches.count, row),
                *_part(width, patches.count, column),
            )
            _emit_patch(builder, model, stage, f"@{row},{column}", box, in_place)
    return end


def recomputed_macs(builder: Builder, model: Model, covered: tuple[Op, ...]) -> int:
    """Return the multiply-accumulates a patch stage spends beyond those of the whole image."""
    names = {op.name for op in covered}
    done = sum(
        o.work.macs for o in builder.ops
        if o.action is Action.FORWARD and o.source is not None and o.source.name in names
    )  # fmt: skip
    return done - sum(forward_work(op, model.tensors).macs for op in covered)


def _part(length: int, count: int, index: int) -> tuple[int, int]:
    return index * length // count, (index + 1) * length // count


def _emit_patch(
    builder: Builder, model: Model, stage: tuple[Op, ...], tag: str, box: Box, in_place: bool
) -> None:
    wanted = _wanted(model, stage, box)
    local: dict[str, Tensor] = {n: t for n, t in model.tensors.items() if t.constant}
    have: dict[str, Box] = {}

    def view(name: str, needed: Box, reader: str) -> str:
        """Return the tensor that holds ``needed`` of ``name``, cropping if it holds more."""
        source, held = (name, _whole(model.tensors[name])) if name not in have else (name + tag, have[name])
        if held == needed:
            return source
        cropped = f"{name}{tag}>{reader}"
        tensor = _sized(model.tensors[name], cropped, needed)
        local[cropped] = tensor
        builder.tensor(cropped, tensor.shape, tensor.dtype, Role.ACTIVATION)
        inner = (needed[0] - held[0], needed[1] - held[0], needed[2] - held[2], needed[3] - held[2])
        builder.op(
            f"{cropped}:crop", Action.CROP, Phase.FORWARD, reads=(source,), writes=(cropped,),
            work=copy_work(tensor.bytes), box=inner, partly={source: tensor.bytes},
        )  # fmt: skip
        return cropped

    for op in stage:
        target = wanted[op.output]
        inputs = list(op.inputs)
        attributes = op.attributes
        for index, name in activations(model, op):
            needed, attributes = _needed(model, op, name, target)
            inputs[index] = view(name, needed, op.name)
            local.setdefault(inputs[index], _sized(model.tensors[name], inputs[index], needed))
        output = op.output + tag
        local[output] = _sized(model.tensors[op.output], output, target)
        part = replace(op, inputs=tuple(inputs), output=output, attributes=attributes)
        emit_op(builder, part, local, in_place=in_place, tag=tag, source=replace(op, attributes=attributes))
        have[op.output] = target
    last = stage[-1]
    builder.op(
        f"{last.name}{tag}:paste", Action.PASTE, Phase.FORWARD, reads=(last.output + tag,),
        writes=(last.output,), work=copy_work(local[last.output + tag].bytes), box=box,
        partly={last.output: local[last.output + tag].bytes},
    )  # fmt: skip


def _wanted(model: Model, stage: tuple[Op, ...], box: Box) -> dict[str, Box]:
    """Return for each tensor of the stage the smallest box that covers what its readers need."""
    wanted: dict[str, Box] = {stage[-1].output: box}
    for op in reversed(stage):
        for _, name in activations(model, op):
            needed, _ = _needed(model, op, name, wanted[op.output])
            wanted[name] = _union(wanted[name], needed) if name in wanted else needed
    return wanted


def _needed(model: Model, op: Op, name: str, box: Box) -> tuple[Box, Attributes]:
    """Return the box of input ``name`` that gives ``box`` of the output, and the op's attributes there."""
    a, (height, width) = op.attributes, model.tensors[name].shape[1:3]
    if op.traits.patch == "grid":
        rows = _gridded(op, 0, height, model.tensors[op.output].shape[1], box[:2])
        columns = _gridded(op, 1, width, model.tensors[op.output].shape[2], box[2:])
        return (*rows[0], *columns[0]), replace(a, part=(rows[1], columns[1]))
    if op.traits.patch != "window":
        return box, a
    kernel = _kernel(model, op)
    r0, r1, top, bottom = _span(box[0], box[1], kernel[0], a, 0, height)
    c0, c1, left, right = _span(box[2], box[3], kernel[1], a, 1, width)
    return (r0, r1, c0, c1), replace(a, padding=((top, bottom), (left, right)))


def _gridded(
    op: Op, axis: int, size: int, new: int, span: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Return the inputs along an axis that give outputs ``span``, and what the op must know of its part."""
    lower, upper = sources(op, axis, size, new)
    first, last = int(lower[slice(*span)].min()), int(upper[slice(*span)].max())
    return (first, last + 1), (size, new, first, span[0])


def _span(
    start: int, end: int, kernel: int, attributes: Attributes, axis: int, size: int
) -> tuple[int, int, int, int]:
    stride, dilation, before = (
        attributes.stride[axis], attributes.dilation[axis], attributes.padding[axis][0],
    )  # fmt: skip
    low = start * stride - before
    high = (end - 1) * stride - before + (kernel - 1) * dilation + 1
    return max(low, 0), min(high, size), max(-low, 0), max(high - size, 0)


def _kernel(model: Model, op: Op) -> tuple[int, int]:
    if op.traits.weighted:
        _, height, width, _ = model.tensors[op.inputs[1]].shape
        return height, width
    return op.attributes.kernel


def _sized(tensor: Tensor, name: str, box: Box) -> Tensor:
    shape = (1, box[1] - box[0], box[3] - box[2], tensor.shape[3])
    return replace(tensor, name=name, shape=shape)


def _whole(tensor: Tensor) -> Box:
    return (0, tensor.shape[1], 0, tensor.shape[2])


def _union(a: Box, b: Box) -> Box:
    return (min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3]))
