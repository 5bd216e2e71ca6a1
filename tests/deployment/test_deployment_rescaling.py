"""Accumulators rescaled by fixed-point numbers in C, in the fast form too: the integers of the slow twin."""

from __future__ import annotations

import ctypes
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mcusim.emulation.compilers import zig
from mcusim.kernels.reference.rescale import multiply_by_quantized

KERNELS = Path(str(files("mcusim.deployment") / "kernels"))
LOWEST, HIGHEST = -(1 << 31), (1 << 31) - 1
EDGES = [0, 1, -1, LOWEST, LOWEST + 1, HIGHEST, HIGHEST - 1, 1 << 30, -(1 << 30), (1 << 30) - 1]
FORMS = ("multiply", "multiply_down")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rescaling")
    lines = ['#include "arithmetic.h"']
    for name in FORMS:
        arguments = "(int32_t x, int32_t multiplier, int shift)"
        lines += [f"int32_t {name}{arguments};"]
        lines += [f"int32_t {name}{arguments} {{ return mcusim_{name}(x, multiplier, shift); }}"]
    source, out = folder / "forms.c", folder / "forms.so"
    source.write_text("\n".join(lines) + "\n", "utf-8")
    command = [*zig(), "-shared", "-O2", f"-I{KERNELS}", str(source), "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(out))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_rescales_as_the_slow_twin(library, name):
    rng = np.random.default_rng(2)
    xs = np.array([*EDGES, *(rng.integers(LOWEST, HIGHEST, 30) >> rng.integers(0, 31, 30))])
    multipliers = [1 << 30, HIGHEST, *rng.integers(1 << 30, HIGHEST, 6)]
    shifts = [-1, -2, -7, -8, -15, -30, -31] + ([0, 1, 5] if name == "multiply" else [])
    for multiplier in map(int, multipliers):
        for shift in shifts:
            expected = multiply_by_quantized(xs.astype(np.int32), multiplier, shift)
            got = [getattr(library, name)(int(x), multiplier, shift) for x in xs]
            assert got == expected.tolist(), (multiplier, shift)
