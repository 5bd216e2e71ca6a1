"""Divergence: a number that is not finite ends the training that came to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import Diverged
from mcusim.engine.program import Program
from mcusim.update.optimizer import Sgd


def require_finite(
    numbers: Mapping[str, float], program: Program | None, sgd: Sgd, step: int, history: list[dict[str, Any]]
) -> None:
    """Check numbers and, if one is not finite or ``program`` is to be looked through, what it holds.

    Args:
        numbers: name -> number, e.g. the loss of a step.
        program: what holds gradients, parameters and scales.
        sgd: the rule it learns by, for what to try.
        step: the number of steps done.
        history: the rows of the epochs until then.

    Raises:
        Diverged: if a number is NaN or infinite; names it, and the first parameter or gradient in the order
            of the network that is.
    """
    found = [f"{name} is {value}" for name, value in numbers.items() if not isfinite(value)]
    if program is not None:
        found += [f"{name} is not finite" for name, values in program.numbers() if not _finite(values)][:1]
    if found:
        way_out = f"try lr = {sgd.lr / 10:g}, a warmup, or less momentum"
        raise Diverged(", ".join(found), step, history, way_out)


def _finite(values: NDArray[Any] | Iterable[float]) -> bool:
    return bool(np.isfinite(np.asarray(values)).all())
