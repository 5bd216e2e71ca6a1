"""Exactly one class of several is right."""

from __future__ import annotations

from abc import abstractmethod

from mcusim.tasks.task import Loss, Task


class SingleLabel(Task):
    """Softmax cross-entropy against one class, of which a part may be spread over all: label smoothing."""

    # A degree-6 exp with range reduction (about 20), a logarithm's share, the division, maximum and sums.
    float_ops = 40

    def loss(self) -> Loss:
        """Return the cross-entropy with the class itself; write its gradient."""
        return self.smoothed(0.0)

    @abstractmethod
    def smoothed(self, smoothing: float) -> Loss:
        """Return the loss with label smoothing, as ``loss()`` does without.

        Of the target, 1 for the right class, the part ``smoothing``, from 0 to below 1, is spread over all
        classes alike (Szegedy et al. 2016, arXiv 1512.00567, section 7).
        """
