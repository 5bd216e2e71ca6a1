"""The front end in C gives the float32 bits of its slow twin, before an input of 8 bits hides them."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from networks import small_network

from mcusim.data import FrontEnd
from mcusim.data.preprocess import TIE, held
from mcusim.deployment.text import real
from mcusim.emulation.compilers import zig
from mcusim.graph import Quant

KERNELS = Path(str(files("mcusim.deployment") / "kernels"))
FRONTS = ["mfcc", "log-mel", "mfcc:rate=8000,peak=false", "log-mel:rate=11025,window=17,hop=9,bands=13"]


class Real(ctypes.Structure):
    _fields_ = (("m", ctypes.c_uint64), ("e", ctypes.c_int32))


class Record(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("samples", "y", "scratch", "window", "waves", "weights")),
        *((name, ctypes.c_void_p) for name in ("cosines", "bins")),
        ("scale", Real), ("count", ctypes.c_uint32),
        *((name, ctypes.c_uint16) for name in ("frame", "hop", "points", "frames", "bands", "columns")),
        *((name, ctypes.c_int16) for name in ("zero", "low", "high")),
        ("bytes", ctypes.c_uint8), ("peak", ctypes.c_uint8),
    )  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    out = tmp_path_factory.mktemp("front") / "front_end.so"
    sources = [str(KERNELS / name) for name in ("front_end.c", "reals.c", "loss.c")]
    command = [*zig(), "-shared", "-O2", "-ffp-contract=off", *sources, "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(out))


def heard(library, front, samples, quant=None):
    """Return what C makes of a sound: float32, or int8 of these numbers."""
    tables, count = front.tables, front.frames(len(samples))
    y = np.zeros((count, front.columns), np.float32 if quant is None else np.int8)
    scratch = np.zeros(front.scratch_bytes // 4, np.float32)
    # Scratch is as large as the plan says: what lies behind it stays.
    guarded = np.append(scratch, np.full(8, 7, np.float32))
    scale = Real(**real(TIE / float(quant.scale[0]))) if quant is not None else Real()
    record = Record(
        samples.ctypes.data, y.ctypes.data, guarded.ctypes.data, tables.window.ctypes.data,
        tables.waves.ctypes.data, tables.weights.ctypes.data,
        None if tables.cosines is None else tables.cosines.ctypes.data, tables.bins.ctypes.data,
        scale, len(samples), front.frame, front.step, front.transform, count, front.bands, front.columns,
        0 if quant is None else int(quant.zero_point), -128, 127, y.itemsize, front.peak,
    )  # fmt: skip
    library.mcusim_hear(ctypes.byref(record), None)
    assert (guarded[-8:] == 7).all()
    return y


def sounds(front):
    """Yield tones, noise, the loudest there is, and silence."""
    rng, length = np.random.default_rng(0), front.samples(6)
    for loud in (32_767, 3_000, 40, 1):
        tone = np.sin(np.arange(length) * rng.uniform(0.01, 1.5)) + rng.normal(0, 0.1, length)
        yield np.clip(np.rint(tone * loud), -32_768, 32_767).astype(np.int16)
    yield np.full(length, -32_768, np.int16)
    yield np.zeros(length, np.int16)


@pytest.mark.parametrize("text", FRONTS)
def test_every_number_has_the_bits_of_the_slow_twin(library, text):
    front = FrontEnd.read(text)
    for sound in sounds(front):
        found, expected = heard(library, front, sound), front(sound[None])[0]
        assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("scale", [0.1, 13.815511 / 2.5, 13.815511 / 3.5, 1e-3])
def test_numbers_are_rounded_as_inputs_are(library, scale):
    """Of silence every band is log(1e-6): with two of these scales just halfway between two integers."""
    front = FrontEnd.read("log-mel:rate=2000,bands=16,high=1000")
    quant = Quant.of(scale, 3)
    x = replace(small_network().input, quant=quant)
    for sound in sounds(front):
        assert np.array_equal(heard(library, front, sound, quant), held(front(sound[None])[0], x))
