"""Layer choice by budget: which layers, how many channels, which formats gain most in so much SRAM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

from mcusim.core import BadArgument, BadBoard, OutOfSram
from mcusim.core.chosen import chosen, takes
from mcusim.core.counted import counted
from mcusim.core.wording import choice
from mcusim.explore.found import Found, Option
from mcusim.explore.gain import Gains
from mcusim.files.load import network
from mcusim.graph import Model
from mcusim.graph.resolution import at_resolution
from mcusim.mcu.board import Board
from mcusim.mcu.board_files import board as find_board
from mcusim.planning.network import network_of
from mcusim.planning.placement import cheapest as planned
from mcusim.planning.request import Request
from mcusim.planning.search_space import SearchSpace
from mcusim.planning.settings import Settings, head_format
from mcusim.update.blocks import blocks as blocks_of
from mcusim.update.budget import Budget, largest_that_fits
from mcusim.update.channels import Layer, layers, trunk_weights
from mcusim.update.eligible import eligible_layers
from mcusim.update.formats import Formats
from mcusim.update.quota import quota
from mcusim.update.ranking import Ranking
from mcusim.update.schemes.dynamic import Dynamic

GRAIN = 512
"""Stored elements between two selections that are tried."""
SHAPES = ("ranked", "even", "expand")


@takes(SearchSpace)
def search(
    model: Model | str | Path,
    board: Board | str | Path,
    ranking: Ranking,
    settings: Settings,
    *,
    space: SearchSpace | None = None,
    **choices: Any,
) -> Found:
    """Return the selections that fit, by expected gain.

    The objective, to be made as large as possible, is ``Gains.expected``: over the learning weights, the
    sum of their normalised sensitivity times the fraction of the time that they learn. For every number of
    last blocks, whichever biases learn, every pair of formats, resolution and shape the largest selection
    that fits is found over real plans; residency and patches are then what ``settings`` leave open,
    found by planning. Since the objective knows nothing of rounding, allow only formats you would accept; the
    one named first wins ties.

    Args:
        model: the network, with a head, or its name or path.
        board: the board, or its name or path.
        ranking: from ``sensitivity``, or saved earlier.
        settings: budget in bytes, residency, patches, optimiser, planner; scheme and formats are replaced.
        space: what to start from; the defaults if not given.
        choices: of ``SearchSpace`` by name, e.g. ``ratio=0.02``, ``errors=("int16",)``.

    Raises:
        OutOfSram: if nothing fits; tells a budget that is enough.
        OutOfFlash: if constants and program are larger than the flash.
        BadArgument: if the ranking does not suit the network, a number makes no sense, or nothing that fits
            is as fast as ``step_ms`` wants.
        BadBoard: if there is a limit of time and the board has no cycle profile.
        UnknownName: if a choice or a format is not known; suggests the nearest.
    """
    model, board = network(model), find_board(board)
    settings = settings.named(model)
    model = network_of(settings.part(model), settings).model
    wanted = chosen(space or SearchSpace(), choices)
    every = len(blocks_of(model))
    count = min(wanted.blocks or every, every)
    gains = Gains.of(model, ranking)
    looks = [
        _Look(model if side is None else at_resolution(model, side), board, gains, settings, wanted, side)
        for side in wanted.resolutions or (None,)
    ]
    found: list[Option] = []
    slow: list[Option] = []
    failed: list[OutOfSram] = []
    own = replace(settings.formats, head=head_format(model, settings.formats))
    given = [replace(own, error=e, weight=w) for w in wanted.weights for e in wanted.errors]
    for look, formats, shape, depth in counted(list(product(looks, given, SHAPES, wanted.bias_blocks))):
        for last in range(1, count + 1):
            least = min((error.needed_bytes for error in failed), default=inf)
            try:
                option = look.largest(shape, last, min(depth, every) or last, formats, least)
            except OutOfSram as error:
                failed.append(error)
                continue  # one more block may have a layer whose channels are smaller
            if option is not None:
                kept = found if look.in_time(option) else slow
                kept.append(option)
    if not found and slow:
        fastest = min(option.plan.estimate.seconds for option in slow if option.plan.estimate)
        reason = f"is less than any selection that fits takes: {1000 * fastest:.3g} ms (modelled)"
        raise BadArgument(
            choice("step_ms", wanted.step_ms), reason, "allow more time, or choose a faster board"
        )
    if not found:
        raise min(failed, key=lambda error: error.needed_bytes)
    # Where gains are equal, formats named first come first, then faster steps.
    order = sorted(found, key=lambda o: (-round(o.gain, 9), given.index(o.plan.settings.formats), _cycles(o)))
    return Found(model, board, settings.budget(board), tuple(_distinct(order)))


@dataclass(frozen=True, slots=True)
class _Look:
    """What stays the same while one search looks at many selections."""

    model: Model
    board: Board
    gains: Gains
    settings: Settings
    space: SearchSpace
    resolution: int | None = None

    def largest(
        self, shape: str, blocks: int, biases: int, formats: Formats, least: float = inf
    ) -> Option | None:
        """Return the largest selection in the last blocks that fits, in time if there is one that is.

        ``None`` if there is nothing to select, or if it is plain without a plan that nothing fits and that
        even the smallest needs ``least`` bytes or more.

        ``biases``: of how many of the last blocks the biases learn.

        Raises:
            OutOfSram: if not even the smallest fits.
        """
        eligible = self._eligible(shape, blocks)
        ratio = self.space.ratio
        most = None if ratio is None else int(ratio * trunk_weights(self.model) + 1e-6)
        eligible = [item for item in eligible if most is None or item.channel_weights <= most]
        if not eligible:
            return None
        capacity = self.settings.budget(self.board)
        cheapest = min(item.channel_weights + item.channel_features for item in eligible)
        everything = sum(item.channels * (item.channel_weights + item.channel_features) for item in eligible)
        # A stored element takes a byte or more, so a selection of more elements than bytes cannot fit.
        steps = -(-max(min(everything, capacity) - cheapest, 0) // GRAIN)
        made: dict[tuple[tuple[str, int], ...], Option] = {}

        def counted(step: int) -> dict[str, int]:
            budget = Budget(most, cheapest + step * GRAIN)
            if shape != "even":
                return self.gains.best(eligible, budget, self.space.channels)
            return {op: count for op, count in quota(eligible, budget).items() if count}

        def option(step: int) -> Option:
            counts = counted(step)
            key = tuple(counts.items())
            if key not in made:
                made[key] = self._plan(shape, blocks, biases, counts, formats)
            return made[key]

        floor = self._floor(biases, counted(0), formats)
        if floor > capacity and floor >= least:
            return None

        def needed(step: int) -> int:
            floor = self._floor(biases, counted(step), formats) if step else 0
            if floor > capacity:
                return floor
            tried = option(step)
            return tried.plan.peak_bytes if not step or self.in_time(tried) else capacity + 1

        return option(largest_that_fits(int, needed, capacity, least=0, most=steps))

    def in_time(self, option: Option) -> bool:
        """Return whether a step takes no longer than it may.

        Raises:
            BadBoard: if there is a limit and the board has no cycle profile.
        """
        if self.space.step_ms is None:
            return True
        if option.plan.estimate is None:
            reason = f"nobody knows what a step takes on {self.board.name}: it has no cycle profile"
            way_out = f"give one ({choice('profile', 'NAME')}), or no limit"
            raise BadBoard(choice("step_ms", self.space.step_ms), reason, way_out)
        return 1000 * option.plan.estimate.seconds <= self.space.step_ms

    def _floor(self, biases: int, counts: dict[str, int], formats: Formats) -> int:
        """Return bytes that no placement can do without: after the loss no patches can help.

        Cheaper than a plan by far, most of all where nothing fits and every patch stage would be tried.
        """
        request = self._request(biases, counts, formats)
        found = []
        for residency in request.residencies:
            step = request.lower(residency)
            loss = next(i for i, op in enumerate(step.ops) if op.action == "loss")
            found.append(max(step.live_profile()[loss:]))
        return min(found)

    def _eligible(self, shape: str, blocks: int) -> list[Layer]:
        try:
            known = eligible_layers(self.model, blocks, "expand" if shape == "expand" else "all")
        except BadArgument:  # nothing in these blocks expands
            return []
        return [item for item in known if self.gains.by_channel.get(item.op, 0.0) > 0]

    def _plan(self, shape: str, blocks: int, biases: int, counts: dict[str, int], formats: Formats) -> Option:
        plan = planned(self._request(biases, counts, formats))
        if not plan.flash.fits:
            plan.require()
        return Option(shape, blocks, biases, self.gains.expected(counts), plan, self.resolution)

    def _request(self, biases: int, counts: dict[str, int], formats: Formats) -> Request:
        known = layers(self.model)
        numbers = {op: number for number, op in enumerate(known)}
        scheme = Dynamic(
            ratio=sum(count * known[op].channel_weights for op, count in counts.items())
            / trunk_weights(self.model),
            stage=self.space.stage,
            layers="+".join(f"{numbers[op]}*{count}" for op, count in counts.items()),
            bias_blocks=biases,
        )
        settings = replace(self.settings, update=scheme.name, formats=formats)
        return Request(self.model, self.board, scheme.scope(self.model), scheme.cost(self.model), settings)


def _cycles(option: Option) -> int:
    return 0 if option.plan.estimate is None else option.plan.estimate.total_cycles


def _distinct(options: Sequence[Option]) -> Iterator[Option]:
    """Yield each selection once, in the formats that come first."""
    seen = set()
    for option in options:
        formats = option.plan.settings.formats
        key = (option.update, option.resolution, formats.weight, formats.error)
        if key not in seen:
            seen.add(key)
            yield option
