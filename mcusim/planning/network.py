"""The network that is planned: the one a person gave, made simple as the settings want it."""

from __future__ import annotations

from mcusim.graph import Model
from mcusim.planning.settings import ALL, OFF, Choices
from mcusim.simplify import Simplified, simplified


def network_of(model: Model, settings: Choices) -> Simplified:
    """Return the network to plan, with the way back to the one that was given."""
    if settings.simplify == OFF:
        return simplified(model, ())
    return simplified(model, None if settings.simplify == ALL else settings.simplify.split("+"))
