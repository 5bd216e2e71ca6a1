"""Every rule by which a parameter moves, in C on this computer, against its definition in float64."""

from __future__ import annotations

import ctypes
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mcusim.emulation.compilers import zig
from mcusim.kernels.number_formats import BIASES, WEIGHTS

KERNELS = Path(str(files("mcusim.deployment") / "kernels"))
F = np.float32


class Learner(ctypes.Structure):
    _fields_ = (("rule", ctypes.c_void_p), ("value", ctypes.c_void_p), ("extra", ctypes.c_void_p))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    out = tmp_path_factory.mktemp("rules") / "rules.so"
    sources = [str(KERNELS / name) for name in ("update.c", "reals.c")]
    command = [*zig(), "-shared", "-O2", "-ffp-contract=off", *sources, "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(out))


def steps(rng: np.random.Generator) -> np.ndarray:
    """Return steps of every size, near halves and integers too, and what is no number."""
    sizes = F(2.0) ** rng.integers(-70, 45, 20_000).astype(F) * rng.uniform(1, 2, 20_000).astype(F)
    near = rng.integers(-300, 300, 5000).astype(F) / F(2)
    near = np.concatenate([near, np.nextafter(near, F(np.inf)), np.nextafter(near, F(-np.inf))])
    tiny = -(F(2.0) ** -32) * rng.integers(0, 9, 2000).astype(F)
    tiny = np.concatenate([tiny, np.nextafter(tiny, F(0)), np.nextafter(tiny, F(-1))])
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45], F)
    return np.concatenate([sizes, -sizes, near, tiny, odd]).astype(F)


def words(rng: np.random.Generator, count: int) -> np.ndarray:
    found = rng.integers(0, 2**32, count, dtype=np.uint32)
    ends = rng.integers(0, 10, count, dtype=np.uint32)
    return np.where(rng.random(count) < 0.2, ends, np.where(rng.random(count) < 0.2, ~ends, found))


FORMATS = [own for formats in (WEIGHTS, BIASES) for own in (formats.plain, *formats.values())]


def test_every_rule_in_c_is_that_of_one_format():
    source = (KERNELS / "update.c").read_text("ascii")
    written = re.findall(r"(?m)^void (mcusim_(?:weight|bias)_\w+)\(", source)
    assert sorted(written) == sorted(own.c_rule for own in FORMATS)


@pytest.mark.parametrize("own", FORMATS, ids=lambda own: own.c_rule)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rules_give_the_bits_of_their_definitions(library, own):
    rng = np.random.default_rng(5)
    step = steps(rng)
    word = words(rng, step.size)
    if own.dtype == "float32":
        value = rng.normal(size=step.size).astype(F)
    else:
        info = np.iinfo(own.dtype)
        value = rng.integers(info.min, info.max, step.size, endpoint=True).astype(own.dtype)
        value[::3] = rng.integers(-128, 128, value[::3].size)
    extra = None
    if own.extra is not None:
        extra = own.extra.start(value)
        if extra.dtype == np.int8:
            extra = rng.integers(-128, 128, step.size).astype(np.int8)
    draw = word.astype(np.float64) * 2.0**-32
    expected, kept = own.step(value.copy(), None if extra is None else extra.copy(), step, lambda: draw)
    got, beside = value.copy(), None if extra is None else extra.copy()
    learner = Learner(None, got.ctypes.data, 0 if beside is None else beside.ctypes.data)
    function = getattr(library, own.c_rule)
    function.argtypes = (ctypes.POINTER(Learner), ctypes.c_uint32, ctypes.c_float, ctypes.c_uint32)
    for i in range(step.size):
        function(learner, i, float(step[i]), int(word[i]))
    wrong = np.flatnonzero(got.view(f"u{got.itemsize}") != expected.view(f"u{got.itemsize}"))
    wrong = wrong if own.dtype != "float32" else wrong[~np.isnan(expected[wrong])]
    assert not wrong.size, (
        value[wrong[0]],
        step[wrong[0]],
        word[wrong[0]],
        got[wrong[0]],
        expected[wrong[0]],
    )
    if kept is not None:
        assert np.array_equal(beside, kept, equal_nan=kept.dtype.kind == "f")
