"""The rewrites there are, by name."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.core import Registry
from mcusim.simplify.draft import NetworkDraft

Rewrite = Callable[[NetworkDraft], bool]
"""Changes a network in one place, if it finds one, and says whether it did.

The outputs keep their bits for any input, and so do gradients in float32. Names stay: an op that takes
another one in keeps its own name and its constants theirs, so that what was learned finds its way back.
"""

REWRITES: Registry[Rewrite] = Registry(
    "rewrite",
    "mcusim.rewrites",
    {
        "activation": "mcusim.simplify.rewrites.activation:activation",
        "constant": "mcusim.simplify.rewrites.constant:constant",
        "identity": "mcusim.simplify.rewrites.identity:identity",
        "input": "mcusim.simplify.rewrites.input:given",
        "pad": "mcusim.simplify.rewrites.pad:pad",
        "shape": "mcusim.simplify.rewrites.shape:shape",
    },
)
"""In alphabetical order; they are tried in this order until none of them finds anything."""
