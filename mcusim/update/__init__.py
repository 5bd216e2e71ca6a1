"""Floor 3: what learns, when, and with which settings."""

from mcusim.update.channels import layers
from mcusim.update.cost import Cost
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.schedule import Schedule
from mcusim.update.scheme import SCHEMES, Scheme, scheme, statistics_for
from mcusim.update.selection import Scope, Selection
from mcusim.update.spelling import spelled
from mcusim.update.statistics import Statistics

__all__ = [
    "SCHEMES",
    "Cost",
    "Formats",
    "Schedule",
    "Scheme",
    "Scope",
    "Selection",
    "Sgd",
    "Statistics",
    "layers",
    "scheme",
    "spelled",
    "statistics_for",
]
