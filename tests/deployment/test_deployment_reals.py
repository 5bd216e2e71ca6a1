"""Roots and sums of float64 made of integers in C: the same bits as numpy's."""

from __future__ import annotations

import ctypes
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mcusim.emulation.toolchain import zig

SOURCE = Path(str(files("mcusim.deployment") / "kernels" / "reals.c"))
F = np.float32


class Real(ctypes.Structure):
    _fields_ = (("m", ctypes.c_uint64), ("e", ctypes.c_int32))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    out = tmp_path_factory.mktemp("reals") / "reals.so"
    command = [*zig(), "-shared", "-O2", "-ffp-contract=off", str(SOURCE), "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    found = ctypes.CDLL(str(out))
    found.mcusim_root.argtypes, found.mcusim_root.restype = (ctypes.c_float,), ctypes.c_float
    found.mcusim_add_square.argtypes = (ctypes.POINTER(Real), ctypes.c_float, ctypes.c_float)
    found.mcusim_root_of.argtypes, found.mcusim_root_of.restype = (ctypes.POINTER(Real),), ctypes.c_float
    return found


def test_the_root_of_a_float32_is_the_nearest_one(library):
    rng = np.random.default_rng(1)
    values = np.concatenate([
        rng.integers(0, 0x7F800000, 4000, dtype=np.uint32).view(F),
        rng.integers(0, 0x800000, 500, dtype=np.uint32).view(F),
        np.arange(300, dtype=F) ** 2, np.array([0.0, np.inf, 1e-45, 1.17549435e-38], F),
    ])  # fmt: skip
    got = np.array([library.mcusim_root(float(v)) for v in values], F)
    assert np.array_equal(got.view(np.uint32), np.sqrt(values).view(np.uint32))


@pytest.mark.parametrize("spread", [0, 3, 30])
def test_norms_are_those_of_float64(library, spread):
    rng = np.random.default_rng(spread)
    for count in [*range(40), *([100] * 60)]:
        x = (rng.normal(size=count) * 2.0 ** rng.uniform(-spread, spread, count)).astype(F)
        factor = (rng.uniform(0, 1e6, count) * (rng.random(count) < 0.9)).astype(F)
        x[: count // 9], expected, total = 0, 0.0, Real(0, 0)
        for a, b in zip(x, factor, strict=True):
            expected += float(a) * float(a) * float(b)
            library.mcusim_add_square(total, float(a), float(b))
        assert float(total.m) * 2.0**total.e == expected
        assert F(library.mcusim_root_of(total)) == np.sqrt(np.float64(expected)).astype(F)
