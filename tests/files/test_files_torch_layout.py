"""The order of the dimensions of PyTorch's tensors in memory."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mcusim.files.torch.layout import gathered, permuted, plain, reshaped, settled, stored

SIZES = st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=5)


@st.composite
def reshapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Draw a shape, another one of as many elements, and an order of the first."""
    old = tuple(draw(SIZES))
    new, left = [], prod(old)
    while left > 1:
        size = draw(st.sampled_from([d for d in range(2, left + 1) if left % d == 0]))
        new.append(size)
        left //= size
    for _ in range(draw(st.integers(0, 2))):
        new.insert(draw(st.integers(0, len(new))), 1)
    return old, tuple(new) or (1,), tuple(draw(st.permutations(range(len(old)))))


@given(reshapes())
def test_a_reshape_that_moves_nothing_gives_the_same_elements(drawn):
    old, new, order = drawn
    x = np.arange(prod(old)).reshape(old)
    found = reshaped(old, new, order)
    if found is not None:
        assert (
            x.transpose(order).reshape(stored(new, found)).tolist()
            == x.reshape(new).transpose(found).tolist()
        )
    first = gathered(old, new, order)
    assert sorted(first) == list(range(len(old)))
    assert reshaped(old, new, first) is not None


@given(SIZES, st.data())
def test_a_permutation_moves_nothing(sizes, data):
    shape = tuple(sizes)
    order, axes = (tuple(data.draw(st.permutations(range(len(shape))))) for _ in range(2))
    x = np.arange(prod(shape)).reshape(shape)
    counted = x.transpose(axes)
    found = permuted(shape, order, axes)
    assert x.transpose(order).reshape(-1).tolist() == counted.transpose(found).reshape(-1).tolist()


def test_dimensions_of_one_element_do_not_count():
    assert settled((1, 8, 1, 1), (0, 1, 2, 3)) == plain(4) == (0, 2, 3, 1)
    assert settled((1, 8, 2, 2), (0, 1, 2, 3)) == (0, 1, 2, 3)
    assert reshaped((1, 8, 4, 4), (1, 8, 16), (0, 2, 3, 1)) == (0, 2, 1)  # pixels in a row, channels last
    assert reshaped((1, 8, 4, 4), (1, 128), (0, 2, 3, 1)) is None  # PyTorch flattens planes first
