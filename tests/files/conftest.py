"""Small networks for the readers' tests."""

from __future__ import annotations

import pytest
from files_synthetic import synthetic

from mcusim.graph import Model


@pytest.fixture
def synthetic_model() -> Model:
    """Return a convolution, a depthwise convolution, a mean, a classifier and a softmax."""
    return synthetic()
