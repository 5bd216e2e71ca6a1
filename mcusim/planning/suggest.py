"""Settings that would lower what a plan needs, each with the effect that really re-planning shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mcusim.core import McusimError, Phase
from mcusim.core.chosen import changed, leaves, written
from mcusim.core.setting import About, Setting
from mcusim.graph import Model
from mcusim.graph.resolution import at_resolution, sides
from mcusim.lowering.gradients import Flow
from mcusim.lowering.patches import Patches, split_points
from mcusim.planning.placement import cheapest, largest
from mcusim.planning.plan import Plan
from mcusim.planning.request import Request
from mcusim.planning.settings import Settings
from mcusim.update.scheme import Scheme
from mcusim.update.scheme import scheme as named

RESOLUTION = Setting(("resolution",), (int,), None, About("side of the images"))
"""Not one of a session, but of how its network was loaded."""
REGIONS: dict[str, Callable[[Plan], int]] = {
    "flash": lambda plan: plan.flash.total_bytes, "SRAM": lambda plan: plan.peak_bytes
}  # fmt: skip
"""What can be missing, and how much of it a plan needs."""
LEARNING = ("update", "residency", "formats", "sgd")
"""Settings, or groups of them, that change nothing where nothing learns."""


@dataclass(frozen=True, slots=True, order=True)
class Suggestion:
    """One change of settings and what it does; exact, from a plan made with it.

    Attributes:
        change: as the person who asked would write it, see ``written``.
        needed_bytes: of SRAM at the peak, or of flash where that is what is missing.
        region: ``SRAM`` or ``flash``.
        setting: name of the setting, with that of its group before it.
    """

    saved_bytes: int
    change: str
    needed_bytes: int
    extra_macs: int
    fits: bool
    setting: tuple[str, ...]
    region: str = "SRAM"

    def __str__(self) -> str:
        cost = f", {self.extra_macs:+,} MACs a step" if self.extra_macs else ""
        fits = "" if self.fits else ", still too large"
        side = ", which changes the accuracy" if self.setting == RESOLUTION.path else ""
        of = "" if self.region == "SRAM" else f" of {self.region}"
        return f"{self.change}{side}: {self.saved_bytes:,} B{of} less ({self.needed_bytes:,} B{cost}{fits})"


def suggest(plan: Plan, scheme: Scheme) -> tuple[Suggestion, ...]:
    """Return the changes that lower what is missing, most bytes first.

    Where flash is missing those that lower what lies there, and only then those that lower the peak.
    """
    now = Settings.fixed(plan.settings)
    regions = _missing(plan)
    found = []
    for item, value, attempt in _attempts(plan, scheme, now):
        try:
            other = attempt()
        except McusimError:
            continue
        for region, needed in REGIONS.items():
            saved = needed(plan) - needed(other)
            if saved > 0 and region in regions:
                extra, change = _macs(other) - _macs(plan), written(item, value, now)
                found.append(Suggestion(saved, change, needed(other), extra, other.fits, item.path, region))
    return tuple(sorted(_worth(found), key=lambda s: (regions.index(s.region), -s.saved_bytes, s.change)))


def _missing(plan: Plan) -> list[str]:
    """Return what to look for, the most urgent first; the peak of a plan to which nothing is missing."""
    if plan.flash.fits:
        return ["SRAM"]
    return ["flash"] if plan.peak_bytes <= plan.settings.sram_bytes and not plan.apart else ["flash", "SRAM"]


def suggestions(plan: Plan, scheme: Scheme) -> tuple[str, ...]:
    """Return ``suggest`` as lines of text."""
    return tuple(str(s) for s in suggest(plan, scheme))


def _attempts(plan: Plan, scheme: Scheme, now: Settings) -> Iterator[tuple[Setting, Any, Callable[[], Plan]]]:
    """Yield every setting that has cheaper values with each of these, and what plans it."""
    model = plan.step.model
    asked = Request(model, plan.board, plan.step.scope, scheme.cost(model), now)
    for item in leaves(Settings):
        if item.path[0] in LEARNING and not plan.step.scope.learns:
            continue
        if item.path == ("update",):
            for sparser in _sparser(plan, scheme):
                settings = replace(now, update=sparser.name)
                yield item, sparser.name, partial(largest, model, plan.board, sparser, settings)
            continue
        for value in _patches(plan) if item.path == ("patches",) else item.cheaper(now):
            yield item, value, partial(cheapest, replace(asked, settings=changed(now, item.path, value)))
    for side in _sides(model):
        yield RESOLUTION, side, partial(_resized, asked, side)


def _resized(asked: Request, side: int) -> Plan:
    return cheapest(replace(asked, model=at_resolution(asked.model, side)))


def _sides(model: Model) -> list[int]:
    """Return smaller resolutions worth trying: three quarters and half of the present one."""
    return [part for side in sides(model)[:1] for part in (side * 3 // 4, side // 2)]


def _sparser(plan: Plan, scheme: Scheme) -> Iterator[Scheme]:
    """Yield the scheme with half as many channels or in half as many blocks, if it has a knob for that.

    Where flash is missing also the head alone.
    """
    fields: Any = scheme
    blocks = getattr(scheme, "blocks", 1)
    if not plan.flash.fits:  # what may learn is written twice, selected or not
        if blocks > 1:
            yield replace(fields, blocks=blocks // 2)
        if plan.step.scope.head and scheme.name != "head":
            yield named("head")
    for knob in ("ratio", "elements"):
        value = getattr(scheme, knob, None)
        if value is not None:
            yield replace(fields, **{knob: type(value)(value / 2)})


def _patches(plan: Plan) -> Iterator[Patches]:
    """Yield the patch stages worth trying: a few patches, ending where the image has become small."""
    points = split_points(plan.step.model, Flow.of(plan.step.model, plan.step.scope, plan.step.goals))
    now = plan.settings.patches
    for split in points[:12]:
        for count in (2, 3):
            patches = Patches(count, split)
            if patches != now:
                yield patches


def _worth(found: list[Suggestion]) -> list[Suggestion]:
    """Leave out patch stages that save no more than one that costs no more."""
    kept = [s for s in found if s.setting != ("patches",)]
    most = 0
    staged = (s for s in found if s.setting == ("patches",))
    for stage in sorted(staged, key=lambda s: (s.extra_macs, -s.saved_bytes, s.change)):
        if stage.saved_bytes > most:
            kept.append(stage)
            most = stage.saved_bytes
    return kept


def _macs(plan: Plan) -> int:
    return plan.step.macs(Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE)
