"""Bytes of flash that the ops of a step need beside weights and biases: scales, tables, records.

They are those of the C kernels in ``mcusim/deployment``; a test compares them with what a firmware holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from mcusim.core import Kind, Slot, SlotPart
from mcusim.graph import QUANTISED, Op, OpKind
from mcusim.graph.traits import RESIZES, Family
from mcusim.kernels.moved_blocks import BLOCKS, moved_blocks, runs
from mcusim.kernels.reference.int16 import is_int16
from mcusim.kernels.reference.moves import MOVES
from mcusim.kernels.reference.unary import FUNCTIONS
from mcusim.kernels.scales import rounds_once
from mcusim.lowering.action import Action
from mcusim.lowering.step import Step, StepOp

BACKWARD = {Action.GRAD_INPUT, Action.GRAD_BIAS, Action.GRAD_WEIGHT}
ENTRY, COPY, LEARNER, PATTERN, MOMENT, POOLED, OVERLAY, PART, HOME = 8, 56, 48, 16, 12, 12, 12, 8, 12
"""Bytes of an entry in the table of ops, of one copied block, of what says how a parameter moves, of a
pattern of saved pixels, of a second moment, of what a convolution and its pool have beside
their own, of what a dense layer with weights in flash has, of a tensor of an example that is kept, and of
where in flash the weights of an op are."""
FORWARD_RECORDS: Mapping[Family, int] = {
    Family.CONVOLUTION: 84, Family.DENSE: 60, Family.BINARY: 108, Family.PAIR: 108, Family.UNARY: 24,
    Family.FILTER: 84, Family.PRODUCT: 100, Family.CONVERSION: 40, Family.POOL: 40, Family.REDUCTION: 40,
    Family.NORMALISATION: 36, Family.RESIZE: 48,
    Family.MOVE: 20 + COPY, Family.VIEW: 20 + COPY, Family.JOIN: 20,
}  # fmt: skip
assert set(FORWARD_RECORDS) == set(Family), "every family of ops has a record in flash"
GRADIENT_RECORDS: Mapping[Family, int] = {
    Family.CONVOLUTION: 76, Family.DENSE: 76, Family.FILTER: 76, Family.POOL: 60, Family.NORMALISATION: 52,
    Family.RESIZE: 60, Family.PRODUCT: 112,
}  # fmt: skip
NORMALISED = 48
"""Of LOG_SOFTMAX and L2_NORMALIZATION."""
PLAIN_GRADIENT, PAIR_GRADIENT, MOVED_GRADIENT, EXTREME_GRADIENT = 128, 148, 88, 44
RECORDS: Mapping[Action, int] = {
    Action.CROP: 20 + COPY, Action.PASTE: 20 + COPY, Action.KEEP: 20 + COPY, Action.SAVE: 24, Action.LOSS: 48,
    Action.GRAD_BIAS: 32, Action.GRAD_WEIGHT: 76, Action.UPDATE: 36, Action.REPLAY: 64, Action.FRONT_END: 72,
    Action.PERTURB: 64, Action.ESTIMATE: 64, Action.PROBE: 12 + 48,
}  # fmt: skip
"""Bytes of a record on a core with 32-bit addresses."""
INT16_RECORDS: Mapping[Family, int] = {
    Family.DENSE: FORWARD_RECORDS[Family.CONVOLUTION],
    Family.UNARY: 44,
    Family.NORMALISATION: 36,
}
"""Of ops on 16-bit activations, where they differ: a dense layer is a convolution of 1 x 1."""
INT16_TABLES: Mapping[OpKind, int] = {OpKind.SOFTMAX: 2 * 2 * 513, OpKind.LOGISTIC: 512, OpKind.TANH: 512}
"""Tables of 16-bit activations: two of 513 samples, or 256 values of the sigmoid."""


def actions(step: Step) -> dict[str, set[Action]]:
    """Return what a step does with each op of the network, by the op's name."""
    found: dict[str, set[Action]] = {}
    for op in step.ops:
        if op.source is not None:
            found.setdefault(op.source.name, set()).add(op.action)
    return found


def quant_bytes(step: Step, op: Op, done: Set[Action]) -> int:
    """Return the bytes of an op's scales and tables.

    Of an op with weights, for each output channel: a multiplier of 4 bytes and a shift of 1 in fixed point,
    a float64 factor where the output is rounded once, a float32 one elsewhere, where the output is
    quantised; the float32 derivative of the output if gradients pass it, which in the float profiles is
    that factor;
    1 / s_W**2 if the weight learns, and 1 / (s_x * s_W)**2 if the bias does. Functions of one int8 are
    tables of 256 values, with 256 bits where a clamp is noted and 256 float32 slopes where a gradient
    passes; shares in fixed point have 256 numbers.
    """
    tensors, model = step.model.tensors, step.model
    tflite = model.arithmetic.fixed_point
    if op.traits.weighted:
        if tensors[op.inputs[1]].quant is None:
            return 0
        channels = tensors[op.output].shape[-1]
        int8, passes = tensors[op.output].dtype in QUANTISED, bool(done & BACKWARD)
        once = rounds_once(op.kind, model.arithmetic)
        forward = (8 if once else 5 if tflite else 4) if int8 else 0
        backward = 4 if passes and (tflite or not int8) else 0
        learning = 4 * sum(Slot(op.name, Kind.VALUE, part) in step.tensors for part in SlotPart)
        moved = 4 * any(
            o.action is Action.PERTURB and o.source is op and o.part is SlotPart.BIAS for o in step.ops
        )
        return channels * (forward + backward + learning + moved)
    if is_int16(op, tensors):
        return INT16_TABLES.get(op.kind, 0)
    if op.traits.family is Family.UNARY or (op.kind is OpKind.QUANTIZE and _int8(step, op)):
        noted = Slot(op.name, Kind.MASK) in step.tensors
        sloped = Action.GRAD_INPUT in done and FUNCTIONS.of(op).slope is not None
        return 256 + (32 if noted else 0) + (1024 if sloped else 0)
    if _separable(op) and Action.GRAD_INPUT in done:
        shape = tensors[op.inputs[0]].shape
        return 2 * sum(n + 1 + sum(run[2] for run in runs(op, a, shape)) for a, n in enumerate(shape))
    if op.kind in RESIZES:
        x, y = tensors[op.inputs[0]].shape, tensors[op.output].shape
        lines = sum(new for _, new in {(x[1], y[1]), (x[2], y[2])})  # of a square, one table for both sides
        mixed = op.kind is OpKind.RESIZE_BILINEAR
        # Where each line comes from; of two: both, with their shares, as integers and for gradients.
        ways = (4 + 8 + 8 * (Action.GRAD_INPUT in done)) if mixed else 2
        return ways * lines
    if op.kind in (OpKind.SOFTMAX, OpKind.LOG_SOFTMAX) and tflite and _int8(step, op):
        return 1024
    return 0


def record_bytes(step: Step) -> int:
    """Return the bytes of the records of all ops, of the table of ops, and of how each parameter moves."""
    learners = sum(1 for name in step.tensors if isinstance(name, Slot) and name.kind is Kind.VALUE)
    total = sum(ENTRY + _record(step, op) + _home(step, op) for op in step.ops)
    shapes = {step.model.tensors[step.model.op(name).inputs[0]].shape[1:3] for name in step.saved_pixels}
    return total + LEARNER * learners + PATTERN * len(shapes)


def _record(step: Step, op: StepOp) -> int:
    if op.action is Action.SAVE and op.source is not None and op.source.name in step.saved_pixels:
        return RECORDS[op.action] + 4
    if op.action is Action.REPLAY:  # an example's tensors, and two of the buffer's own
        return RECORDS[op.action] + PART * (len(op.reads) - 2)
    if op.action in RECORDS:
        return RECORDS[op.action] + _adapted(step, op)
    if op.source is None:
        return 0
    family, kind, tensors = op.source.traits.family, op.source.kind, step.model.tensors
    if op.action is Action.GRAD_INPUT:
        if kind in (OpKind.REDUCE_MAX, OpKind.REDUCE_MIN):
            return EXTREME_GRADIENT
        special = {Family.PAIR: PAIR_GRADIENT, Family.MOVE: MOVED_GRADIENT}
        own = special[family] if family is Family.PAIR or _separable(op.source) else PLAIN_GRADIENT
        if family is Family.UNARY and is_int16(op.source, tensors) and FUNCTIONS.of(op.source).slope:
            own = PAIR_GRADIENT
        return GRADIENT_RECORDS.get(family, own)
    if op.action is Action.POOLED:
        return POOLED + FORWARD_RECORDS[family] + FORWARD_RECORDS[Family.POOL]
    if op.action is not Action.FORWARD:
        return 0
    if (
        family is Family.VIEW
        and op.reads
        and step.tensors[op.reads[0]].buffer == step.tensors[op.writes[0]].buffer
    ):
        return 0
    if family is Family.JOIN:
        return FORWARD_RECORDS[family] + COPY * len(op.source.inputs)
    if kind in MOVES:
        shapes = (step.tensors[n].shape for n in (op.reads[0], op.writes[0]))
        return 20 + COPY * sum(1 for _ in moved_blocks(op.source, *shapes))
    if is_int16(op.source, tensors) and kind is not OpKind.CONCATENATION:
        real = "float32" in (tensors[op.source.inputs[0]].dtype, tensors[op.source.output].dtype)
        other = Family.UNARY if kind is OpKind.QUANTIZE and not real else family
        return INT16_RECORDS.get(other, FORWARD_RECORDS[family])
    if op.source.kind is OpKind.ARG_MAX or (op.source.kind is OpKind.QUANTIZE and _int8(step, op.source)):
        return FORWARD_RECORDS[Family.UNARY]
    if kind in (OpKind.LOG_SOFTMAX, OpKind.L2_NORMALIZATION):
        return NORMALISED
    return FORWARD_RECORDS[family] + (OVERLAY if family is Family.DENSE and step.in_flash(op.source) else 0)


def _home(step: Step, op: StepOp) -> int:
    """Return what an op that reads weights in flash is told of them."""
    reads = op.action in (Action.FORWARD, Action.GRAD_INPUT) and op.source is not None
    return HOME if reads and op.source is not None and step.in_flash(op.source) else 0


def _adapted(step: Step, op: StepOp) -> int:
    """Return what a second moment, and norms that are observed, add to the record of a parameter's op."""
    parts = {Action.GRAD_BIAS: SlotPart.BIAS, Action.GRAD_WEIGHT: SlotPart.WEIGHT, Action.UPDATE: op.part}
    part = parts.get(op.action)
    if op.source is None or part is None:
        return 0
    adapted = Slot(op.source.name, Kind.SQUARE, part) in step.tensors
    observes = any(o.action is Action.OBSERVE for o in step.ops) and op.source.name in step.scope.eligible
    watched = op.action is Action.GRAD_WEIGHT and (adapted or observes)
    return (MOMENT if adapted or watched else 0) + (8 if watched else 0)


def _separable(op: Op) -> bool:
    """Return True for an op that moves elements along each dimension by itself."""
    return op.kind in MOVES and op.kind not in BLOCKS


def _int8(step: Step, op: Op) -> bool:
    return step.model.tensors[op.inputs[0]].dtype == "int8"
