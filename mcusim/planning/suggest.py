"""Settings that would lower the peak, each with the effect that really re-planning shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mcusim.core import McusimError, Phase
from mcusim.graph import Model
from mcusim.graph.resolution import at_resolution
from mcusim.kernels.number_formats import BIASES, ERRORS, WEIGHTS
from mcusim.lowering.gradients import Flow
from mcusim.lowering.patches import Patches, split_points
from mcusim.planning.placement import cheapest, largest
from mcusim.planning.plan import Plan
from mcusim.planning.request import Request
from mcusim.planning.settings import Settings
from mcusim.update.formats import Formats
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
    for change, other in _others(plan, scheme):
        saved = plan.peak_bytes - other.peak_bytes
        if saved > 0:
            extra = _macs(other) - _macs(plan)
            found.append(Suggestion(saved, change, other.peak_bytes, extra, other.fits))
    return tuple(sorted(_worth(found), key=lambda s: (-s.saved_bytes, s.change)))


def _others(plan: Plan, scheme: Scheme) -> Iterator[tuple[str, Plan]]:
    """Yield every change that can be planned, with its plan."""
    model, now = plan.step.model, Settings.fixed(plan.settings)
    asked = Request(model, plan.board, plan.step.scope, scheme.cost(model), now)
    tries: list[tuple[str, Callable[[], Plan]]] = [
        (change, partial(cheapest, replace(asked, settings=settings)))
        for change, settings in _changes(plan, now)
    ]
    tries += [
        (f"resolution={side}, which changes the accuracy", partial(_resized, asked, side))
        for side in _sides(model)
    ]
    tries += [
        (f"update={s.name!r}", partial(largest, model, plan.board, s, replace(now, update=s.name)))
        for s in _sparser(scheme)
    ]
    for change, attempt in tries:
        try:
            yield change, attempt()
        except McusimError:
            continue


def _resized(asked: Request, side: int) -> Plan:
    return cheapest(replace(asked, model=at_resolution(asked.model, side)))


def _sides(model: Model) -> list[int]:
    """Return smaller resolutions worth trying: three quarters and half of the present one."""
    shape = model.input.shape
    return [shape[1] * 3 // 4, shape[1] // 2] if len(shape) == 4 else []


def _sparser(scheme: Scheme) -> Iterator[Scheme]:
    """Yield the scheme with half as many channels, if it is one with a knob for that."""
    fields: Any = scheme
    for knob in ("ratio", "elements"):
        value = getattr(scheme, knob, None)
        if value is not None:
            yield replace(fields, **{knob: type(value)(value / 2)})


def _worth(found: list[Suggestion]) -> list[Suggestion]:
    """Leave out patch stages that save no more than one that costs no more."""
    kept = [s for s in found if not s.change.startswith("patches=")]
    most = 0
    staged = (s for s in found if s.change.startswith("patches="))
    for stage in sorted(staged, key=lambda s: (s.extra_macs, -s.saved_bytes, s.change)):
        if stage.saved_bytes > most:
            kept.append(stage)
            most = stage.saved_bytes
    return kept


def suggestions(plan: Plan, scheme: Scheme) -> tuple[str, ...]:
    """Return ``suggest`` as lines of text."""
    return tuple(str(s) for s in suggest(plan, scheme))


def _macs(plan: Plan) -> int:
    return plan.step.macs(Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE)


def _changes(plan: Plan, now: Settings) -> Iterator[tuple[str, Settings]]:
    if not now.in_place:
        yield "in_place=True", replace(now, in_place=True)
    for patches in _patches(plan):
        yield f"patches='{patches.count}:{patches.split}'", replace(now, patches=patches)
    if now.planner != "best":
        yield "planner='best'", replace(now, planner="best")
    if not plan.step.scope.learns:
        return
    if now.residency != "flash" and plan.step.scope.eligible:
        yield "residency='flash'", replace(now, residency="flash")
    for error in sorted(ERRORS.values(), key=lambda e: -e.bytes):
        if error.bytes < now.formats.errors.bytes:
            formats = replace(now.formats, error=error.name)
            yield f"formats error={error.name!r}", replace(now, formats=formats)
    usual = Formats()
    if WEIGHTS[usual.weight].bytes < WEIGHTS[now.formats.weight].bytes:
        formats = replace(now.formats, weight=usual.weight)
        yield f"formats weight={usual.weight!r}", replace(now, formats=formats)
    if BIASES[usual.bias].bytes < BIASES[now.formats.bias].bytes:
        formats = replace(now.formats, bias=usual.bias)
        yield f"formats bias={usual.bias!r}", replace(now, formats=formats)
    if now.formats.feature == "whole":
        formats = replace(now.formats, feature="checker")
        yield "formats feature='checker'", replace(now, formats=formats)
    if now.sgd.momentum:
        yield "no momentum", replace(now, sgd=replace(now.sgd, momentum=0.0))
    if now.sgd.accumulate > 1:
        yield "no gradient accumulation", replace(now, sgd=replace(now.sgd, accumulate=1))


def _patches(plan: Plan) -> Iterator[Patches]:
    """Yield the patch stages worth trying: a few patches, ending where the image has become small."""
    points = split_points(plan.step.model, Flow.of(plan.step.model, plan.step.scope, plan.step.task))
    now = plan.settings.patches
    for split in points[:12]:
        for count in (2, 3):
            patches = Patches(count, split)
            if patches != now:
                yield patches
