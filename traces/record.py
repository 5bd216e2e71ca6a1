"""Records the traces in this folder.

    MCUSIM_DATA=... python traces/record.py

One step of MobileNetV2-w0.35 under every update scheme, planned for 256 KB on an STM32F746 (what
does not fit is recorded too: its header says what there is, its events what it takes), and one
short session of the small shipped network whose selection changes every third step, and with it the bytes of
weights and features in SRAM.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import mcusim
from mcusim.data import synthetic
from mcusim.reporting.subject import trace_of

HERE = Path(__file__).parent
SCHEMES = (
    "head", "bias", "bias-12", "last-6", "dense", "static:mbv2-49kb", "static:mbv2-99kb", "dynamic",
    "tinytrain", "trady", "medyate", "tinyprop",
)  # fmt: skip
BOARD, SRAM = "stm32f746", "256KiB"
SESSION = "trady:elements=2000,stage=3"
"""Draws channels until a budget is spent: as many as fit, so that stages differ in size."""
STEPS = 12


def steps() -> None:
    """Record one step of every scheme."""
    model = mcusim.load("mbv2-w0.35", classes=10)
    for scheme in SCHEMES:
        plan = mcusim.Session(model, mcusim.board(BOARD), update=scheme, sram=SRAM, seed=0).plan()
        name = scheme.replace("static:mbv2-", "static-")
        path = trace_of(plan).save(HERE / f"mbv2-w0.35-{name}.parquet")
        print(f"{path.name}: {plan.peak_bytes:,} B of {plan.settings.sram_bytes:,} B")


def session() -> None:
    """Record a session of a few steps."""
    data = synthetic(train=STEPS, test=10)
    small = mcusim.Session(
        mcusim.load("synthetic-mbv2"),
        mcusim.board(BOARD),
        update=SESSION,
        sram="128KiB",
        seed=0,
        residency="flash",
    )
    with tempfile.TemporaryDirectory() as folder:
        run = small.train(data, out=folder, trace="all")
        path = HERE / "synthetic-mbv2-session.parquet"
        path.write_bytes((Path(folder) / "trace.parquet").read_bytes())
    print(f"{path.name}: {run.steps} steps")


if __name__ == "__main__":
    steps()
    session()
