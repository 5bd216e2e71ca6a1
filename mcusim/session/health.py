"""Divergence ends the training that came to it; saturation above a stated share is said at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import Diverged, Kind, is_kind
from mcusim.graph import Model
from mcusim.kernels.number_formats import ERRORS
from mcusim.kernels.overflow import overflow_message, overflows
from mcusim.lowering.step import Step
from mcusim.update.optimizer import Sgd

if TYPE_CHECKING:
    from mcusim.engine.program import Program

MUCH = 0.001
"""Share of the values of error tensors that may saturate unsaid: their scales follow the largest of earlier
steps, so now and then one is larger."""


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


def saturated_share(step: Step, saturations: int, steps: int) -> float:
    """Return which part of the integer values of error tensors was cut off; 0 where there are none."""
    integers = [t for n, t in step.tensors.items() if is_kind(n, Kind.ERROR) and ERRORS[t.dtype].limit]
    values = steps * sum(prod(tensor.shape) for tensor in integers)
    return saturations / values if values else 0.0


def saturation_facts(share: float) -> list[tuple[str, str]]:
    """Return what there is to say of a share of saturated values: nothing, if it is small."""
    if share <= MUCH:
        return []
    reason = f"{share:.2%} of the values of error tensors, more than {MUCH:.1%}: gradients are cut off"
    return [("saturated", f"{reason}; try a smaller lr, or a wider format of errors")]


def overflow_facts(model: Model) -> list[tuple[str, str]]:
    """Return what there is to say of accumulators that the trained network can overflow: nothing, if none."""
    found = overflows(model)
    return [("accumulators", overflow_message(model, found))] if found else []
