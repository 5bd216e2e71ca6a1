"""How long the page of a long trace takes: to be made, and to be open in a browser.

    python benchmarks/page.py [--json]

The trace is that of a training of the shipped network, every step recorded, until it has 100,000 events.
Chromium opens the page from disk without a window; the time is from the start of its navigation until all
scripts ran, by its own clock.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from machine import machine

import mcusim

EVENTS = 100_000
WANTED_S = 2.0
PROBE = """<pre id="opened"></pre><script>addEventListener("load", () => {
document.getElementById("opened").textContent = performance.now().toFixed(1); });</script></body>"""


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = measured(Path(folder))
    if wanted.json:
        print(json.dumps({**found, "machine": machine()}, indent=1))
        return
    print(f"{found['events']:,} events, a page of {found['bytes']:,} B")
    print(f"made in {found['made_s']:.2f} s, open after {found['opened_s']:.2f} s (wanted: < {WANTED_S:g} s)")


def measured(folder: Path) -> dict[str, float]:
    """Record a trace, make its page, open it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("there is no Chromium on this machine")
    session = mcusim.Session(mcusim.load("synthetic-mbv2"), mcusim.board("nrf52840"), update="dynamic")
    session.train(mcusim.data.synthetic(train=500, test=20), out=folder / "run", limit=400, trace="all")
    trace = mcusim.open_trace(folder / "run")
    assert len(trace) >= EVENTS, len(trace)
    began = perf_counter()
    path = mcusim.report(trace, folder / "page.html")
    made = perf_counter() - began
    size = path.stat().st_size
    path.write_text(path.read_text("utf-8").replace("</body>", PROBE), "utf-8")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
         "--dump-dom", path.as_uri()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    opened = re.search(r'<pre id="opened">([\d.]+)</pre>', done.stdout)
    assert opened is not None
    return {"events": len(trace), "bytes": size, "made_s": made, "opened_s": float(opened[1]) / 1000}


if __name__ == "__main__":
    main()
