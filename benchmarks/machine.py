"""What a measured figure belongs to: the processor, and how busy the machine was."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> dict[str, object]:
    """Return the model of the processor, its cores, and the load average of the last minute."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {key.strip(): value.strip() for key, value in fields.items()}
    model = " ".join(
        [
            names.get("model name", platform.processor()),
            f"family {names.get('cpu family', '?')} model {names.get('model', '?')}",
        ]
    )
    return {"cpu": model, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
