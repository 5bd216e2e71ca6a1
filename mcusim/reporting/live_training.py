"""The page of a training that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcusim.planning.plan import Plan
from mcusim.reporting.document import Room, document
from mcusim.reporting.page import HELP, trace_for
from mcusim.reporting.rooms.arena import ArenaPicture
from mcusim.reporting.rooms.device import device_room
from mcusim.reporting.rooms.layers import layers_room
from mcusim.reporting.rooms.training import curves
from mcusim.reporting.rooms.verdict import verdict
from mcusim.sections.html import body
from mcusim.sections.kinds import Headline, Notes


class LiveTraining:
    """Draws the same page again and again: what does not change is made once.

    Args:
        plan: in which the training runs.
    """

    def __init__(self, plan: Plan) -> None:
        trace = trace_for(plan)
        self._arena = ArenaPicture.of(trace.events, trace.header)
        self._title = plan.title
        self._head = body([Headline("", plan.verdict, plan.fits), verdict(plan, None)])
        self._rooms = [
            Room("arena", "The arena over a step", HELP + self._arena.room()),
            Room("layers", "Layers", layers_room(plan)),
            Room("device", "On the device", device_room(plan)),
        ]

    def page(self, counts: Mapping[str, Any] | None = None) -> str:
        """Return the page.

        Args:
            counts: what ``Session.train`` reports; nothing until the first step is done.
        """
        standing = "It begins: kernels are compiled, the network is evaluated."
        charts = body([Notes(("No step is done yet.",))])
        if counts is not None:
            metric = counts["metric"]
            done = counts["epoch"] + counts["position"] / counts["per_epoch"]
            standing = (
                f"epoch {done:.2f} of {counts['epochs']}, step {counts['step']:,}, "
                f"{metric.name} {metric.text(counts['train'])} in training"
            )
            drawn = "".join(curves(counts["rows"], metric.key, metric.unit == "%", metric.name))
            charts = f'<div class="charts">{drawn}</div>' if drawn else charts
        rooms = [Room("training", "Training", charts), *self._rooms]
        return document(
            self._title, self._head, rooms, scripts=("arena.js",), data=[self._arena.data()], live=standing
        )
