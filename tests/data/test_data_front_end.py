"""A front end gives what its definition says, and its memory and work are counted on the device."""

from __future__ import annotations

from dataclasses import fields
from math import cos, log, pi, sqrt

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadArgument, BadData, Role, UnknownName
from mcusim.data import Dataset, FrontEnd, Split
from mcusim.kernels.reference.loss import logarithm


def by_definition(front: FrontEnd, sound: np.ndarray) -> np.ndarray:
    """Return the frames of one sound, every sum written out."""
    n, real = front.transform, sound / max(abs(sound))
    rows = []
    for start in range(0, len(sound) - front.frame + 1, front.step):
        windowed = [(0.5 - 0.5 * cos(2 * pi * i / front.frame)) * real[start + i] for i in range(front.frame)]
        spectrum = [
            abs(sum(x * np.exp(-2j * pi * i * k / n) for i, x in enumerate(windowed)))
            for k in range(n // 2 + 1)
        ]
        mel = [1127 * log(1 + k * front.rate / n / 700) for k in range(n // 2 + 1)]
        low, high = (1127 * log(1 + f / 700) for f in (front.low, front.high))
        edges = [low + (high - low) * i / (front.bands + 1) for i in range(front.bands + 2)]
        bands = []
        for b in range(front.bands):
            total = 0.0
            for k in range(1, n // 2 + 1):
                up = (mel[k] - edges[b]) / (edges[b + 1] - edges[b])
                down = (edges[b + 2] - mel[k]) / (edges[b + 2] - edges[b + 1])
                total += spectrum[k] * max(0.0, min(up, down))
            bands.append(log(total + 1e-6))
        if front.kind == "log-mel":
            rows.append(bands)
            continue
        rows.append([
            sum(v * 2 * cos(pi * c * (2 * b + 1) / (2 * front.bands)) for b, v in enumerate(bands))
            / sqrt(2 * front.bands)
            for c in range(front.coefficients)
        ])  # fmt: skip
    return np.array(rows)


@pytest.mark.parametrize(
    "text", ["mfcc:rate=2000,bands=8,coefficients=5,high=900", "log-mel:rate=2000,bands=6,high=1000"]
)
def test_frames_are_what_the_definition_says(text: str) -> None:
    front = FrontEnd.read(text)
    sound = np.random.default_rng(0).normal(size=200) * 3000
    found = front(sound.astype(np.int16)[None])
    assert found.shape == (1, front.frames(200), front.columns)
    np.testing.assert_allclose(
        found[0], by_definition(front, sound.astype(np.int16).astype(float)), rtol=2e-4, atol=1e-4
    )


def test_the_transform_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    front = FrontEnd(peak=False)
    sound = np.random.default_rng(1).uniform(-1, 1, 16_000)
    spectrum = torch.stft(
        torch.tensor(sound), front.transform, front.step, front.frame,
        torch.hann_window(front.frame).double(),
        center=False, return_complex=True,
    ).abs()  # fmt: skip
    # torch pads the window in its middle, so its frames begin (512 - 480) / 2 samples earlier.
    late = (front.transform - front.frame) // 2
    ours = front(sound[None, late:].astype(np.float64))[0]
    bands = np.log(spectrum.T.numpy() @ front._mel + 1e-6) @ front.tables.cosines
    count = min(len(ours), len(bands))
    np.testing.assert_allclose(ours[:count], bands[:count], rtol=1e-3, atol=1e-3)


def in_float64(front: FrontEnd, sounds: np.ndarray) -> np.ndarray:
    """Return the frames of sounds, rounded at their end only."""
    real = sounds / np.maximum(abs(sounds.astype(float)).max(axis=1, keepdims=True), 1e-12)
    framed = np.lib.stride_tricks.sliding_window_view(real, front.frame, axis=1)[:, :: front.step]
    hann = 0.5 - 0.5 * np.cos(2 * pi * np.arange(front.frame) / front.frame)
    bands = np.log(np.abs(np.fft.rfft(framed * hann, front.transform)) @ front._mel + 1e-6)
    place = (2 * np.arange(front.bands)[:, None] + 1) * np.arange(front.coefficients)
    cosines = 2 * np.cos(pi * place / (2 * front.bands)) / sqrt(2 * front.bands)
    return bands @ cosines if front.kind == "mfcc" else bands


@pytest.mark.parametrize("text", ["mfcc", "log-mel", "mfcc:rate=8000", "log-mel:rate=48000,high=20000"])
def test_float32_in_a_stated_order_is_near_float64(text: str) -> None:
    front = FrontEnd.read(text)
    rng, length = np.random.default_rng(2), front.samples(5)
    tones = np.sin(np.arange(length) * rng.uniform(0.01, 2, (12, 1))) + rng.normal(0, 1e-3, (12, length))
    sounds = np.rint(tones * np.geomspace(32_000, 20, 12)[:, None]).astype(np.int16)
    # An input of 8 bits tells 0.5 apart: 1,000 times this.
    np.testing.assert_allclose(front(sounds), in_float64(front, sounds), rtol=0, atol=5e-4)


def test_the_logarithm_of_an_array_is_that_of_its_elements() -> None:
    x = np.geomspace(1e-6, 1e6, 5000).astype(np.float32)
    found = logarithm(x)
    assert found.dtype == np.float32
    assert found.tolist() == [float(logarithm(value)) for value in x]
    np.testing.assert_allclose(found, np.log(x.astype(float)), rtol=3e-7, atol=1e-7)


def test_it_is_written_as_it_is_read() -> None:
    for text in ("mfcc", "log-mel:bands=20", "mfcc:rate=8000,peak=false", "mfcc:window=25,hop=12.5"):
        assert FrontEnd.read(text).text == text
    assert FrontEnd.read("mfcc") == FrontEnd()


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("mffc", UnknownName, "did you mean mfcc"),
        ("mfcc:band=3", UnknownName, "did you mean bands"),
        ("mfcc:bands=many", BadArgument, "bands=many: is no such value"),
        ("mfcc:coefficients=50", BadArgument, "coefficients=50: makes no sense"),
        ("mfcc:rate=4000", BadArgument, "high=4000"),
    ],
)
def test_what_makes_no_sense_is_named(text: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        FrontEnd.read(text)
    with pytest.raises(kind, match=said):
        mcusim.Settings(front_end=text)


def test_sounds_shorter_than_a_frame_are_refused() -> None:
    with pytest.raises(BadData, match="at least 480 samples"):
        FrontEnd()(np.zeros((1, 100), np.float32))


def test_silence_is_finite() -> None:
    assert np.isfinite(FrontEnd()(np.zeros((1, 16_000), np.int16))).all()


def network() -> mcusim.Model:
    """A network whose input is 16 frames of 16 bands."""
    return small_network(channels=1)


FRONT = "log-mel:rate=2000,bands=16,high=1000"


def test_its_buffers_work_and_tables_are_those_of_the_device() -> None:
    front = FrontEnd.read(FRONT)
    without = mcusim.Session(network(), "nrf52840", "head", patches=None).plan()
    plan = mcusim.Session(network(), "nrf52840", "head", patches=None, front_end=FRONT).plan()
    step = plan.step
    assert [op.action for op in step.ops[:3]] == ["load", "front_end", "forward"]
    assert step.tensors["samples"].bytes == 2 * front.samples(16)
    assert step.tensors["samples"].role is Role.INPUT
    assert step.tensors[step.ops[1].scratch].bytes == front.scratch_bytes
    assert step.live_profile()[1] - without.step.live_profile()[0] >= front.scratch_bytes
    assert step.ops[1].work.float_ops == 16 * front.work(1).float_ops > 0
    assert plan.flash.total_bytes >= without.flash.total_bytes
    assert {i.name: i.bytes for i in plan.flash.items}["front_end"] == front.tables.bytes
    assert plan.estimate.total_cycles > without.estimate.total_cycles
    assert plan.peak_bytes >= without.peak_bytes


def test_a_large_front_end_can_be_the_peak() -> None:
    large = "log-mel:rate=48000,window=85,bands=16,high=20000"
    plan = mcusim.Session(network(), "stm32f746", "head", front_end=large).plan()
    assert plan.peak_op == "front_end"


def test_frames_that_do_not_make_up_the_input_are_refused() -> None:
    with pytest.raises(BadArgument, match="gives rows of 7"):
        mcusim.Session(network(), "nrf52840", "head", front_end="log-mel:bands=7").plan()


@pytest.mark.filterwarnings("ignore:.*saturate")
def test_a_network_learns_from_sounds_through_it() -> None:
    front = FrontEnd.read(FRONT)
    length = front.samples(16)
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 4
    tones = np.sin(np.arange(length) * (0.2 + 0.4 * labels[:, None])) + rng.normal(0, 0.05, (48, length))
    sounds = Split((tones * 8000 / 32768).astype(np.float32), labels)
    data = Dataset(sounds, sounds, tuple("abcd"), "tones")
    model, sgd = network(), mcusim.Sgd(lr=0.05)
    session = mcusim.Session(model, "nrf52840", "head", front_end=FRONT, sgd=sgd)
    run = session.train(data, 6, trace="off")
    again = mcusim.Session(model, "nrf52840", "head", sgd=sgd)
    assert again.train(front.apply(data), 6, trace="off").model.same_as(run.model)
    assert run.identity["settings"]["front_end"] == FRONT
    assert run.metric_after > run.metric_before
    assert len(fields(FrontEnd)) == 9
