"""The table of long twins on the page is what the committed results say.

``MCUSIM_GOLDEN=write pytest tests/emulation/test_emulation_results.py`` writes it anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorials" / "firmware.md"
RESULTS = sorted((ROOT / "benchmarks" / "firmware").glob("*.json"))
BETWEEN = re.compile(r"(\|---.*\|\n)((?:\|.*\n)*)(?=\nEach row is a file)")


def row(path: Path) -> str:
    found = json.loads(path.read_text("utf-8"))
    assert found["equal"] is (found["bytes_differing"] == found["outside_arena_writes"] == 0) is True
    cells = [f"`{found['command']}`", found["core"]]
    names = ("steps", "bytes_compared", "bytes_differing", "instructions_per_step")
    cells += [f"{found[name]:,}" for name in (*names, "stack_bytes", "statics_bytes", "code_bytes")]
    return f"| {' | '.join(cells)} |\n"


def test_the_page_shows_the_results():
    rows = "".join(map(row, RESULTS))
    text = PAGE.read_text("utf-8")
    assert RESULTS
    if os.environ.get("MCUSIM_GOLDEN") == "write":
        PAGE.write_text(BETWEEN.sub(lambda m: m[1] + rows, text), "utf-8")
    else:
        found = BETWEEN.search(text)
        assert found is not None
        assert found[2] == rows
