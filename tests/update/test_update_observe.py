from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mcusim.update.observe import error_norm, fisher, gradient_norm


@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from([1, 3]), st.integers(1, 5))
def test_fisher_is_that_of_features_and_errors(seed, channels, kernel, outputs):
    """A layer is linear in weights and in features: both sums of value * gradient are the same."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 6, channels))
    w = rng.integers(-127, 128, (channels, kernel, kernel, outputs)).astype(np.int8)
    size = 7 - kernel
    error = rng.normal(size=(size, size, outputs))
    gradient = np.zeros(w.shape)
    x_gradient = np.zeros(x.shape)
    for i in range(kernel):
        for j in range(kernel):
            patch = x[i : i + size, j : j + size]
            gradient[:, i, j] = np.einsum("hwc,hwo->co", patch, error)
            x_gradient[i : i + size, j : j + size] += np.einsum("co,hwo->hwc", w[:, i, j], error)
    expected = np.square((x * x_gradient).sum(axis=(0, 1)))
    scale = np.abs(x * x_gradient).sum() ** 2
    assert np.allclose(fisher(gradient.astype(np.float32), w), expected, rtol=1e-3, atol=1e-5 * scale)


def test_norms_are_those_of_real_weights():
    rng = np.random.default_rng(0)
    gradient = rng.normal(size=(5, 3, 3, 4)).astype(np.float32)
    scales = rng.uniform(0.01, 0.1, 4)
    qas = (1 / scales**2).astype(np.float32)
    expected = np.sqrt(np.square(gradient / scales).sum(axis=(1, 2, 3)))
    assert np.allclose(gradient_norm(gradient, qas), expected, rtol=1e-5)
    qas[1] = 0  # a dead channel shows nothing
    alive = np.delete(gradient / scales, 1, axis=3)
    assert np.allclose(gradient_norm(gradient, qas), np.sqrt(np.square(alive).sum(axis=(1, 2, 3))), rtol=1e-5)


def test_norms_of_depthwise_and_fully_connected_gradients():
    rng = np.random.default_rng(1)
    gradient = rng.normal(size=(5, 3, 3, 2)).astype(np.float32)
    qas = rng.uniform(1, 9, (5, 2)).astype(np.float32)
    expected = np.sqrt((np.square(gradient) * qas[:, None, None, :]).sum(axis=(1, 2, 3)))
    assert np.allclose(gradient_norm(gradient, qas), expected, rtol=1e-5)
    assert np.allclose(
        gradient_norm(gradient[:, 0, 0], np.ones(2, np.float32)) ** 2,
        np.square(gradient[:, 0, 0]).sum(axis=1),
        rtol=1e-5,
    )
    assert gradient_norm(gradient[:0], np.ones((0, 2), np.float32)).shape == (0,)


def test_error_norms_are_scaled():
    errors = np.array([[[3, -4], [0, 1]]], np.int8)
    assert error_norm(errors, 0.5).tolist() == [4.0]
