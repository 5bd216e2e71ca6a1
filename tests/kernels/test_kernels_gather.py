"""Moving selected pixels and channels together, against indexing element by element."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels_cases import SEEDS, int8

from mcusim.core import BadArgument
from mcusim.kernels.compiled.gather import Gather


@given(SEEDS, st.booleans())
def test_gathering_equals_indexing_in_place_too(seed, in_place):
    rng = np.random.default_rng(seed)
    height, width, count = (int(n) for n in rng.integers(1, 20, 3))
    buffer = int8(rng, height * width * count)
    x = buffer.reshape(1, height, width, count)
    pixels, channels = (
        np.sort(rng.choice(n, rng.integers(1, n + 1), replace=False)).astype(np.int32)
        for n in (height * width, count)
    )
    expected = np.array([[x.reshape(-1, count)[p, c] for c in channels] for p in pixels])
    size = expected.size
    saved = (buffer[:size] if in_place else np.empty(size, np.int8)).reshape(1, len(pixels), len(channels))
    before = buffer.copy()
    Gather("op")(x, pixels, channels, saved)
    np.testing.assert_array_equal(saved[0], expected)
    untouched = slice(size, None) if in_place else slice(None)
    np.testing.assert_array_equal(buffer[untouched], before[untouched])


def test_what_does_not_fit_or_exist_is_refused():
    x, one = np.zeros((1, 2, 3, 4), np.int8), np.zeros(1, np.int32)
    saved = np.zeros((1, 1, 1), np.int8)
    kernel = Gather("conv")
    for pixels, channels in ((-1, 0), (6, 0), (0, -1), (0, 4)):
        with pytest.raises(BadArgument, match="'conv': are asked for at a pixel or channel"):
            kernel(x, one + np.int32(pixels), one + np.int32(channels), saved)
    for wrong in (x.astype(np.int16), np.zeros((2, 2, 3, 4), np.int8), np.zeros((2, 3), np.int8)):
        with pytest.raises(BadArgument, match="conv"):
            kernel(wrong, one, one, saved)
    with pytest.raises(BadArgument, match="conv"):
        kernel(x, one, one, np.zeros((1, 2, 1), np.int8))
