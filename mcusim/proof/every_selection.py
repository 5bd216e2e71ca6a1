"""Places for every selection that a scheme may draw, in one placement.

Where all selections have the same numbers of channels, the plan is that placement. Where not, what grows
with the channels of a stage lies in two pools: one for what stays from step to step, one for saved features.
Inside a pool the parts follow each other in the order of their layers; features are freed in the opposite
order, so the pool is a stack that shrinks from the top. How large it has to be is the most that any selection
takes: bounded by weak duality, with the price of a limit as the witness that the checker follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, gcd

from mcusim.core import BadArgument, Interval, Kind, Role, Slot, SlotPart
from mcusim.core.slots import PARAMETER_KINDS
from mcusim.lowering.residency import Residency
from mcusim.lowering.step import ALIGNMENT, Step, StepTensor
from mcusim.memory.block import Block
from mcusim.memory.problem import Problem
from mcusim.planning.plan import Plan
from mcusim.planning.request import lowered
from mcusim.update.channels import layers
from mcusim.update.scheme import Scheme
from mcusim.update.selection import Scope

POOLS = {True: "what channels of a stage keep", False: "features of a stage"}
"""Names of the pools: of what is resident, and of what is saved within a step."""


@dataclass(frozen=True, slots=True)
class PoolPart:
    """What the channels of one layer take in a block.

    Attributes:
        name: of the tensor.
        layer: whose channels they are.
        channel_bytes: of each of them.
        end: the op before which it is freed.
    """

    name: str
    layer: str
    channel_bytes: int
    end: int


Prices = Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Parted:
    """The parts of one block, and for each of its sizes the prices that bound what they take."""

    parts: tuple[PoolPart, ...]
    prices: tuple[Prices, ...]


@dataclass(frozen=True, slots=True)
class Covering:
    """A step and a placement problem in which every selection of a scope has room."""

    step: Step
    scope: Scope
    problem: Problem
    parted: Mapping[str, Parted]


def covering(plan: Plan, scheme: Scheme) -> Covering:
    """Return places for every selection of a scheme in the setting of a plan.

    Raises:
        BadArgument: if a layer with one channel may learn or not: the step is another one then.
    """
    scope = scheme.scope(plan.step.model)
    if scope.fixed:
        blocks = {b.name: b for b in plan.problem.blocks}
        found = {
            tensor.buffer: Parted((_part(plan.step, tensor, blocks[tensor.buffer].lifetime.end),), ({},))
            for tensor in _varying(plan.step)
            if tensor.buffer == tensor.name and not blocks[tensor.name].shrinks
        }
        return Covering(plan.step, scope, plan.problem, found)
    return _pooled(plan, scheme, scope)


def _pooled(plan: Plan, scheme: Scheme, scope: Scope) -> Covering:
    """Return the step whose numbers of channels are known only when it runs: it copies what it saves."""
    model = plan.step.model
    known = layers(model)
    alone = next((name for name in scope.channels if known[name].channels < 2), None)
    if alone is not None:
        raise BadArgument(
            f"layer {alone}", "has one channel, which learns in some stages", "choose other layers"
        )
    most = {name: min(count, known[name].channels - 1) for name, count in scope.channels.items()}
    step = lowered(model, plan.board, replace(scope, channels=most), scheme.cost(model), plan.settings)
    board = plan.board
    plain = step.problem(plan.settings.sram_bytes, board.sram_gaps, board.beyond_dma)
    varying = {tensor.name: tensor for tensor in _varying(step)}
    kept = [_steady(block, step, varying) for block in plain.blocks if block.name not in varying]
    parted: dict[str, Parted] = {}
    for resident, name in POOLS.items():
        mine = [t for n, t in varying.items() if t.buffer == n and (n in step.resident) is resident]
        if mine:
            block, parted[name] = _pool(name, mine, step, scope)
            kept.append(block)
    overlaps = tuple(o for o in plain.overlaps if not {o.old, o.new} & varying.keys())
    return Covering(step, scope, replace(plain, blocks=tuple(kept), overlaps=overlaps), parted)


def _varying(step: Step) -> Iterable[StepTensor]:
    """Yield the tensors whose size is a multiple of a number of channels that learn."""
    for tensor in step.tensors.values():
        slot = tensor.name
        if not isinstance(slot, Slot) or not step.scope.channels.get(slot.of) or not len(tensor.lifetime):
            continue
        of_weights = slot.part is SlotPart.WEIGHT and (
            slot.kind is Kind.GRADIENT or (step.residency is Residency.FLASH and slot.kind in PARAMETER_KINDS)
        )
        if slot.kind in (Kind.SAVED, Kind.CHANNELS) or of_weights:
            yield tensor


def _part(step: Step, tensor: StepTensor, end: int) -> PoolPart:
    slot = tensor.name
    assert isinstance(slot, Slot)
    count = step.scope.channels[slot.of]
    assert tensor.bytes % count == 0
    return PoolPart(slot, slot.of, tensor.bytes // count, end)


def _steady(block: Block, step: Step, varying: Mapping[str, StepTensor]) -> Block:
    """Return a block that does not shrink to what varies: to what, only a stage says."""
    times = [t.lifetime.start for t in varying.values() if t.buffer == block.name]
    return replace(block, shrinks=tuple(s for s in block.shrinks if s[0] < min(times, default=len(step.ops))))


def _pool(name: str, tensors: Sequence[StepTensor], step: Step, scope: Scope) -> tuple[Block, Parted]:
    """Return the block of all of these, and what bounds its sizes."""
    order = {op.name: index for index, op in enumerate(step.model.ops)}
    rows = sorted((_part(step, t, t.lifetime.end) for t in tensors), key=lambda p: order[p.layer])
    # On branches features may be freed in another order: what lies below then stays as long.
    parts, end = [], 0
    for part in reversed(rows):
        end = max(end, part.end)
        parts.append(replace(part, end=end))
    parts.reverse()
    times = sorted({part.end for part in parts})[:-1]
    born = min(tensor.lifetime.start for tensor in tensors)
    sizes = [_most([part for part in parts if part.end > time], scope) for time in (born, *times)]
    shrinks, prices, now = [], [sizes[0][1]], sizes[0][0]
    for time, (size, price) in zip(times, sizes[1:], strict=True):
        if size < now:
            shrinks.append((time, size))
            prices.append(price)
            now = size
    role = Role.FEATURE if name == POOLS[False] else Role.WEIGHT
    block = Block(name, sizes[0][0], Interval(born, parts[0].end), role, shrinks=tuple(shrinks))
    return block, Parted(tuple(parts), tuple(prices))


def _most(parts: Sequence[PoolPart], scope: Scope) -> tuple[int, Prices]:
    """Return the bytes that no selection exceeds, and the price of a limit that shows it.

    By weak duality every price gives a bound. The best price of one limit alone is where the bytes of a
    channel of some layer cost just as much; of several limits the one with the best bound is taken.
    """
    taken: dict[str, int] = {}
    for part in parts:
        taken[part.layer] = taken.get(part.layer, 0) + part.channel_bytes
    bounds: list[tuple[Fraction, Prices]] = [
        (Fraction(sum(scope.channels[name] * size for name, size in taken.items())), {})
    ]
    for limit in scope.limits:
        for price in {Fraction(size, limit.cost[name]) for name, size in taken.items()}:
            over = (scope.channels[n] * max(s - price * limit.cost[n], Fraction(0)) for n, s in taken.items())
            bounds.append((price * limit.most + sum(over, Fraction(0)), {limit.what: price}))
    bound, prices = min(bounds, key=lambda found: found[0])
    rounding = sum(ALIGNMENT - gcd(p.channel_bytes, ALIGNMENT) for p in parts) if len(parts) > 1 else 0
    return ceil(bound) + rounding, prices
