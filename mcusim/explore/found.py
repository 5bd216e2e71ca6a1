"""What a search found, and which of it to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcusim.core.chosen import arguments
from mcusim.graph import Model
from mcusim.mcu.board import Board
from mcusim.planning.plan import Plan
from mcusim.planning.settings import Settings
from mcusim.sections.kinds import Column, Command, Headline, Section, Table
from mcusim.sections.shown import Shown
from mcusim.update.channels import layers
from mcusim.update.selection import Scope

COLUMNS = (
    Column("gain", "", "share", digits=2), Column("learns", "", "share", digits=2),
    Column("peak", "B", "number"), Column("time a step", "ms", "number"), Column("shape", priority=2),
    Column("blocks", "", "number", 1), Column("errors", priority=4), Column("weights", priority=5),
    Column("weights in", priority=6), Column("patches", priority=3),
)  # fmt: skip
RESOLUTION = Column("images", "px", "number", 1)


@dataclass(frozen=True, slots=True)
class Option:
    """A selection that was really planned.

    Attributes:
        shape: ``ranked``: the channels that gain most for what they store; ``even``: the same fraction of
            every layer of the blocks; ``expand``: as ranked, of expanding layers alone, as the published
            choices for inverted residuals (arXiv 2206.15472).
        blocks: how many of the last blocks learn.
        biases: of how many of the last blocks the biases do.
        gain: expected gain, 0..1; see ``Gains.expected``.
        plan: the placement; its settings hold the scheme's text, formats, residency and patches.
        resolution: side of the images, if the search had several to choose from.
    """

    shape: str
    blocks: int
    biases: int
    gain: float
    plan: Plan
    resolution: int | None = None

    @property
    def update(self) -> str:
        """Text of the scheme, for ``--update``."""
        return self.plan.settings.update

    @property
    def arguments(self) -> str:
        """Command-line options that give this plan again."""
        line = arguments(Settings.fixed(self.plan.settings), Settings())
        return line if self.resolution is None else f"--resolution {self.resolution} {line}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        found = self.plan.as_dict()
        time = found["time"]
        return {
            "shape": self.shape, "blocks": self.blocks, "bias_blocks": self.biases, "gain": self.gain,
            "resolution": self.resolution, "update": self.update, "arguments": self.arguments,
            "peak_bytes": self.plan.peak_bytes, "ratio": found["weights"]["ratio"],
            "weights": found["weights"]["updated"],
            "formats": found["formats"], "residency": found["sram"]["residency"],
            "patches": found["sram"]["patches"], "by_role": found["sram"]["by_role"],
            "step_ms": None if time is None else time["step_ms"]["value"],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found(Shown):
    """What a search found: the selections that fit, largest expected gain first."""

    model: Model
    board: Board
    sram_bytes: int
    options: tuple[Option, ...]

    @property
    def best(self) -> Option:
        """The selection of largest expected gain."""
        return self.options[0]

    def varied(self, most: int) -> list[Option]:
        """Return options that differ: the best, then each time the one least like any before it.

        What differs is the shape, the number of blocks and of those whose biases learn, and the resolution,
        each with the formats of largest gain; options with less than half of the largest gain of their shape
        are left out. Among equals the larger gain wins.
        """
        rest = self._kinds
        found = [rest.pop(0)]
        while rest and len(found) < most:
            place = max(range(len(rest)), key=lambda n: min(_unlike(rest[n], other) for other in found))
            found.append(rest.pop(place))
        return found

    def near(self, option: Option, most: int, but: Sequence[Option] = ()) -> list[Option]:
        """Return options of those that may be varied, ``but`` some, the most like a given one first."""
        rest = [other for other in self._kinds if other not in but]
        return sorted(rest, key=lambda other: _unlike(option, other))[:most]

    def like(
        self, scope: Scope, most: int, but: Sequence[Option] = (), resolution: int | None = None
    ) -> list[Option]:
        """Return options of those that may be varied, ``but`` some, that learn most nearly what a scheme
        does.

        Two are apart by the weights that only one of them learns, as a part of those that either does, by the
        biases likewise, and by one where the images differ in size.
        """

        def apart(option: Option) -> float:
            other = option.plan.step.scope
            sized = resolution is not None and option.resolution not in (None, resolution)
            return (
                _apart(self._weights(scope), self._weights(other))
                + sized
                + _apart(dict.fromkeys(scope.biases, 1), dict.fromkeys(other.biases, 1))
            )

        return sorted((other for other in self._kinds if other not in but), key=apart)[:most]

    def _weights(self, scope: Scope) -> dict[str, int]:
        known = layers(self.model)
        return {op: count * known[op].channel_weights for op, count in scope.channels.items()}

    @property
    def _kinds(self) -> list[Option]:
        """The best of each shape, number of blocks and of biases, and resolution, largest gain first."""
        firsts: dict[tuple[str, int, int, int | None], Option] = {}
        most_of: dict[str, float] = {}
        for option in self.options:
            if 2 * option.gain >= most_of.setdefault(option.shape, option.gain):
                kind = option.shape, option.blocks, option.biases, option.resolution
                firsts.setdefault(kind, option)
        return list(firsts.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "model": self.model.name, "board": self.board.name, "budget_bytes": self.sram_bytes,
            "update": self.best.update, "arguments": self.best.arguments,
            "options": [option.as_dict() for option in self.options],
        }  # fmt: skip

    def sections(self, most: int = 10) -> list[Section]:
        """Return the ``most`` best selections, and how to have the first one again."""
        rows = []
        for option in self.options[:most]:
            data = option.as_dict()
            rows.append(
                (
                    option.gain, data["ratio"], option.plan.peak_bytes, data["step_ms"], option.shape,
                    option.blocks, data["formats"]["error"], data["formats"]["weight"], data["residency"],
                    (data["patches"] or "off").partition(" ")[0],
                    *(() if option.resolution is None else (option.resolution,)),
                )
            )  # fmt: skip
        columns = COLUMNS if self.best.resolution is None else (*COLUMNS, RESOLUTION)
        title = f"{self.model.name} on {self.board.name}, {self.sram_bytes:,} B: {len(self.options)} fit"
        again = "the first one again, as options of plan and train:"
        return [Headline(title), Table(columns, rows), Command(self.best.arguments, again)]


def _unlike(one: Option, other: Option) -> float:
    """Return how different two selections are: each thing that differs whole counts one."""
    apart = abs(one.blocks - other.blocks) / max(one.blocks, other.blocks)
    return (
        apart
        + (one.shape != other.shape)
        + (one.biases != other.biases)
        + (one.resolution != other.resolution)
    )


def _apart(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return which part of what either has only one of them has (Jaccard's distance)."""
    pairs = [(one.get(op, 0), other.get(op, 0)) for op in {**one, **other}]
    either = sum(map(max, pairs))
    return 1 - sum(map(min, pairs)) / either if either else 0.0
