"""Mutated TFLite files: a network or a `BadModel`, nothing else, in little time and memory.

The default run tries 1,500 mutations. The long run:
``MCUSIM_FUZZ=50000 pytest tests/fuzz/test_fuzz_tflite.py``
"""

from __future__ import annotations

import os
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

from mcusim.core import BadModel
from mcusim.files.tflite.flatbuffer import BUDGET_BASE, BUDGET_RATIO
from mcusim.files.tflite.reader import parse_tflite

MUTATIONS = int(os.environ.get("MCUSIM_FUZZ", "1500"))
SEEDS = (
    "tflm_hello_world_int8",
    "tflm_micro_speech_quantized",
    "mlperftiny_kws_ref_model",
    "mlperftiny_ic_pretrainedResnet_quant",
    "tflm_person_detect",
    "coral_mobilenet_v1_0.25_128_quant",
    "tinyengine_detection",
)
INTERESTING = (0, 1, 2, 4, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return ``data`` with 1 to 4 changes: bytes, words, swapped or shortened parts."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        # Most of a file is weights; its structure lies at both ends.
        near = int(rng.integers(min(len(changed), 4096)))
        at = near if rng.random() < 0.4 else len(changed) - 1 - near if rng.random() < 0.7 else int(
            rng.integers(len(changed))
        )  # fmt: skip
        match rng.integers(6):
            case 0:
                changed[at] = int(rng.integers(256))
            case 1:
                changed[at] ^= 1 << int(rng.integers(8))
            case 2:
                word = int(rng.choice(INTERESTING)).to_bytes(4, "little")
                changed[at : at + 4] = word[: len(changed) - at]
            case 3:
                delta = int(rng.integers(-16, 17))
                word = (int.from_bytes(changed[at : at + 4], "little") + delta) % 2**32
                changed[at : at + 4] = word.to_bytes(4, "little")[: len(changed) - at]
            case 4:
                source = int(rng.integers(len(changed)))
                part = changed[source : source + int(rng.integers(1, 64))]
                changed[at : at + len(part)] = part[: len(changed) - at]
            case _:
                if rng.random() < 0.1:
                    del changed[at:]
        if not changed:
            break
    return bytes(changed)


@pytest.mark.data
@pytest.mark.parametrize("name", SEEDS)
def test_mutated_files_are_read_or_refused(data_dir: Path, name: str) -> None:
    data = (data_dir / "tflite" / f"{name}.tflite").read_bytes()
    rng = np.random.default_rng(len(data))
    bound = 4 * (BUDGET_BASE + BUDGET_RATIO * len(data)) + 16 * 1024**2
    messages: list[str] = []
    tracemalloc.start()
    try:
        for i in range(MUTATIONS // len(SEEDS)):
            changed = mutate(data, rng)
            tracemalloc.reset_peak()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    parse_tflite(changed, "mutated.tflite")
            except BadModel as error:
                messages.append(str(error))
            peak = tracemalloc.get_traced_memory()[1]
            assert peak < bound, f"mutation {i} took {peak:,} B"
    finally:
        tracemalloc.stop()
    assert messages
    assert all(message.startswith("mutated") for message in messages)
