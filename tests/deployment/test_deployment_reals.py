"""Roots and sums of float64 made of integers in C: the same bits as numpy's."""

from __future__ import annotations

import ctypes
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mcusim.emulation.compilers import zig

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
    for name, count in (("sum", 2), ("product", 2), ("quotient", 2)):
        function = getattr(found, f"mcusim_real_{name}")
        function.argtypes, function.restype = (Real,) * count, Real
    found.mcusim_real_scaled.argtypes = (ctypes.c_uint64, ctypes.c_int32)
    found.mcusim_real_scaled.restype = Real
    found.mcusim_real_floor.argtypes = found.mcusim_real_float.argtypes = (Real,)
    found.mcusim_real_floor.restype, found.mcusim_real_float.restype = ctypes.c_uint32, ctypes.c_float
    pointers = (ctypes.POINTER(Real), ctypes.POINTER(ctypes.c_int))
    found.mcusim_add_product.argtypes = (*pointers, ctypes.c_float, ctypes.c_int32)
    return found


def value(real):
    return float(real.m) * 2.0**real.e


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


@pytest.mark.parametrize("name", ["sum", "product", "quotient"])
def test_one_operation_gives_the_float64(library, name):
    rng = np.random.default_rng(len(name))
    function = getattr(library, f"mcusim_real_{name}")
    exact = {"sum": float.__add__, "product": float.__mul__, "quotient": float.__truediv__}[name]
    for number in range(3000):
        m = rng.integers(1, 2 ** rng.integers(1, 54), 2)
        reals = [library.mcusim_real_scaled(int(k), int(rng.integers(-75, -20))) for k in m]
        expected = exact(*map(value, reals))
        found = function(*reals)
        assert value(found) == expected, number
        assert F(library.mcusim_real_float(found)) == F(expected)
        assert library.mcusim_real_floor(found) == int(expected) or expected >= 2**32


@pytest.mark.parametrize("spread", [0, 3, 30])
def test_signed_sums_of_products_are_those_of_float64(library, spread):
    rng = np.random.default_rng(spread)
    for count in [*range(40), *([100] * 60)]:
        x = (rng.normal(size=count) * 2.0 ** rng.uniform(-spread, spread, count)).astype(F)
        w = rng.integers(-128, 128, count)
        x[count // 2 : count // 2 + 3] = x[count // 2 - 1] if count else 0  # what cancels
        total, negative, expected = Real(0, 0), ctypes.c_int(0), 0.0
        for a, b in zip(x, w, strict=True):
            expected += float(a) * int(b)
            library.mcusim_add_product(total, negative, float(a), int(b))
            assert value(total) * (-1 if negative.value else 1) == expected
