"""The interface every update scheme has, and how one is found by its name."""

from __future__ import annotations

import re
from typing import Any, Protocol, runtime_checkable

from mcusim.core import BadArgument, Registry
from mcusim.graph import Model
from mcusim.update.channels import layers
from mcusim.update.cost import Cost
from mcusim.update.selection import Scope, Selection
from mcusim.update.spelling import parse
from mcusim.update.statistics import Statistics


@runtime_checkable
class Scheme(Protocol):
    """Says what learns, and when that changes.

    A scheme is a frozen dataclass whose fields are its parameters (see ``mcusim.update.spelling``).
    """

    @property
    def name(self) -> str:
        """Canonical text: ``scheme(s.name) == s``."""
        ...

    @property
    def stage(self) -> int | None:
        """Iterations from one selection to the next; ``None`` if it never changes."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """Names of the statistics that the step must gather for ``select`` (see ``Statistics``)."""
        ...

    def scope(self, model: Model) -> Scope:
        """Return the most that is ever selected."""
        ...

    def select(
        self, model: Model, stage_index: int, seed: int, statistics: Statistics | None = None
    ) -> Selection:
        """Return what learns in one stage. The same arguments give the same result."""
        ...

    def cost(self, model: Model) -> Cost:
        """Return the memory and the work that selecting costs on the device."""
        ...


def statistics_for(found: Scheme, model: Model) -> Statistics:
    """Return the empty statistics that a scheme needs for a model: of its eligible layers."""
    known = layers(model)
    return Statistics.empty(found.needs, {op: known[op].channels for op in found.scope(model).eligible})


SCHEMES: Registry[type[Any]] = Registry(
    "update scheme",
    "mcusim.schemes",
    {
        "adapters": "mcusim.update.schemes.adapters:Adapters",
        "bias": "mcusim.update.schemes.bias:Bias",
        "dense": "mcusim.update.schemes.dense:Dense",
        "dynamic": "mcusim.update.schemes.dynamic:Dynamic",
        "head": "mcusim.update.schemes.head:Head",
        "last": "mcusim.update.schemes.last:Last",
        "medyate": "mcusim.update.schemes.medyate:MeDyate",
        "none": "mcusim.update.schemes.none:NoUpdate",
        "static": "mcusim.update.schemes.static:Static",
        "tinyprop": "mcusim.update.schemes.tinyprop:TinyProp",
        "tinytrain": "mcusim.update.schemes.tinytrain:TinyTrain",
        "trady": "mcusim.update.schemes.trady:TraDy",
        "zeroth": "mcusim.update.schemes.zeroth:Zeroth",
    },
)
"""Scheme classes by name; other packages add theirs with an entry point in group ``mcusim.schemes``."""

_NUMBERED = re.compile(r"(.+)-(\d+)")


def scheme(text: str | Scheme) -> Scheme:
    """Return the scheme a text describes; a scheme is returned as it is.

    Examples of texts: ``none`` (inference alone), ``head``, ``bias``, ``bias-12``, ``last-6``, ``dense``,
    ``static:mbv2-99kb``, ``dynamic``, ``dynamic:ratio=0.02,stage=200,blocks=7``.

    Args:
        text: name and parameters of a scheme, or a scheme.

    Raises:
        UnknownName: if the scheme or one of its parameters is not known; suggests the nearest.
        BadArgument: if a parameter cannot be read or has a value that makes no sense.
    """
    if not isinstance(text, str):
        if isinstance(text, Scheme):
            return text
        raise BadArgument(f"update scheme {text!r}", "is neither a text nor a scheme", "write e.g. 'dynamic'")
    said = text.strip()
    name, _, rest = said.partition(":")
    name, parts = name.strip(), rest.split(",")
    numbered = _NUMBERED.fullmatch(name)
    if numbered and name not in SCHEMES and numbered[1] in SCHEMES:
        name, parts = numbered[1], [numbered[2], *parts]
    kind = SCHEMES[name]
    found: Scheme = parse(kind, name, parts, said)
    return found
