"""Settings that would lower the peak, each with the effect that really re-planning shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mcusim.core import McusimError, Phase
from mcusim.lowering.gradients import Flow
from mcusim.lowering.patches import Patches, split_points
from mcusim.session.plan import Plan
from mcusim.session.planning import search
from mcusim.session.settings import Settings
from mcusim.update.scheme import Scheme


@dataclass(frozen=True, slots=True, order=True)
class Suggestion:
    """One change of settings and what it does; exact, from a plan made with it."""

    saved_bytes: int
    change: str
    peak_bytes: int
    extra_macs: int
    fits: bool

    def __str__(self) -> str:
        cost = f", {self.extra_macs:+,} MACs a step" if self.extra_macs else ""
        fits = "" if self.fits else ", still too large"
        return f"{self.change}: {self.saved_bytes:,} B less ({self.peak_bytes:,} B{cost}{fits})"


def suggest(plan: Plan, scheme: Scheme) -> tuple[Suggestion, ...]:
    """Return the changes that lower the peak, most bytes first."""
    found = []
    for change, settings in _changes(plan):
        try:
            other = search(
                plan.step.model, plan.board, plan.step.scope, settings, scheme.cost(plan.step.model)
            )
        except McusimError:
            continue
        saved = plan.peak_bytes - other.peak_bytes
        if saved > 0:
            extra = _macs(other) - _macs(plan)
            found.append(Suggestion(saved, change, other.peak_bytes, extra, other.fits))
    return tuple(sorted(found, key=lambda s: (-s.saved_bytes, s.change)))


def suggestions(plan: Plan, scheme: Scheme) -> tuple[str, ...]:
    """Return ``suggest`` as lines of text."""
    return tuple(str(s) for s in suggest(plan, scheme))


def _macs(plan: Plan) -> int:
    return plan.step.macs(Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE)


def _changes(plan: Plan) -> Iterator[tuple[str, Settings]]:
    now, step = plan.settings, plan.step
    if not now.in_place:
        yield "in_place=True", replace(now, in_place=True)
    if now.residency != "flash" and step.scope.pool:
        yield "residency='flash'", replace(now, residency="flash")
    for error in ("int16", "int8"):
        if now.formats.error == "float32" or (now.formats.error == "int16" and error == "int8"):
            formats = replace(now.formats, error=error)
            yield f"formats error={error!r}", replace(now, formats=formats)
    if now.formats.companion is not None:
        formats = replace(now.formats, weight="int8-sr")
        yield "formats weight='int8-sr'", replace(now, formats=formats)
    if now.sgd.momentum:
        yield "no momentum", replace(now, sgd=replace(now.sgd, momentum=0.0))
    if now.sgd.accumulate > 1:
        yield "no gradient accumulation", replace(now, sgd=replace(now.sgd, accumulate=1))
    for patches in _patches(plan):
        yield f"patches='{patches.count}:{patches.split}'", replace(now, patches=patches)
    if now.planner != "best":
        yield "planner='best'", replace(now, planner="best")


def _patches(plan: Plan) -> Iterator[Patches]:
    """Yield the patch stages worth trying: a few patches, ending where the image has become small."""
    points = split_points(plan.step.model, Flow.of(plan.step.model, plan.step.scope))
    now = plan.settings.patches
    for split in points[:12]:
        for count in (2, 3):
            patches = Patches(count, split)
            if patches != now:
                yield patches
