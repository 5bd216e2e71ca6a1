"""The one training step that was published with its time: a check of the modelled backward terms."""

from __future__ import annotations

from mcusim import Session, __version__, board, load
from mcusim.core import Phase
from mcusim.mcu import estimate

PUBLISHED_MS = 373.0
"""STM32F746, MobileNetV2-w0.35 at 128x128, static scheme of about 100 KB (arXiv 2206.15472)."""
PROFILES = (
    "cortex-m7-cubeai-10.0-balanced",
    "cortex-m7-cubeai-7.3-balanced",
    "cortex-m7-bosch-hale-1.0.175-unstated",
    f"cortex-m7-mcusim-{__version__}-os",
)


def training_steps() -> list[dict[str, object]]:
    """Predict that step with each profile of its core. Another kernel library ran it on the chip."""
    home = board("stm32f746")
    plan = Session(load("mbv2-w0.35", classes=10), home, "static:mbv2-99kb", sram="320KiB").plan()
    rows: list[dict[str, object]] = []
    for name in PROFILES:
        accesses = plan.step.accesses(plan.solution.offsets)
        found = estimate([op.work for op in plan.step.ops], home, name, accesses=accesses)
        forward = sum(
            c for c, op in zip(found.cycles, plan.step.ops, strict=True) if op.phase is Phase.FORWARD
        )
        rows.append(
            {
                "profile": name,
                "published_ms": PUBLISHED_MS,
                "predicted_ms": round(found.time_ms.value, 1),
                "forward_ms": round(forward / home.clock_hz * 1000, 1),
                "low_ms": round(found.time_ms.low or 0, 1),
                "high_ms": round(found.time_ms.high or 0, 1),
                "error": round(found.time_ms.value / PUBLISHED_MS - 1, 4),
            }
        )
    return rows
