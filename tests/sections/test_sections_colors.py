"""Roles are told apart by their colours by every eye, and what is written on them is read."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from mcusim.sections.colors import OTHER, ROLE_COLORS, ink_on

EYES = {
    "normal": np.eye(3),
    "without red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "without green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "without blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Of linear sRGB, for a complete lack; table 1 of Machado, Oliveira and Fernandes (2009)."""
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(shade: str) -> NDArray[np.float64]:
    value = np.array([int(shade[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(light: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z = (
        np.cbrt(part) if part > 0.008856 else 7.787 * part + 16 / 116
        for part in XYZ @ np.clip(light, 0, 1) / WHITE
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", EYES)
def test_roles_are_told_apart_by_every_eye(eyes: str) -> None:
    shades = {**{str(role): shade for role, shade in ROLE_COLORS.items()}, "no role": OTHER}
    seen = {name: lab(EYES[eyes] @ linear(shade)) for name, shade in shades.items()}
    names = list(seen)
    for one, other in combinations(names, 2):
        apart = float(np.linalg.norm(seen[one] - seen[other]))
        assert apart > 12, (one, other)
        assert apart > 19 or abs(names.index(one) - names.index(other)) > 1, (one, other)


def test_names_are_read_on_the_colour_of_their_role() -> None:
    """The contrast of WCAG, for large and bold letters at least 3."""
    for shade in (*ROLE_COLORS.values(), OTHER):
        ground, ink = (float(XYZ[1] @ linear(of)) + 0.05 for of in (shade, ink_on(shade)))
        assert max(ground, ink) / min(ground, ink) > 3, shade
