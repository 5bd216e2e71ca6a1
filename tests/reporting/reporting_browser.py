"""A page in a headless browser: what a script that is put into it says, and every error there was."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

WATCH = """<script>window.errors = []; onerror = (text) => { errors.push(text); };
console.error = (...words) => { errors.push(words.join(" ")); };</script>"""
PROBE = """<pre id="probe"></pre><script>
const said = [], all = (text) => [...document.querySelectorAll(text)], one = (text) => all(text)[0];
const say = (name, value) => said.push([name, value]), tip = document.getElementById("tip");
const press = (node, key) => node.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const at = {bubbles: true, clientX: 5, clientY: 5};
const move = (node) => node.dispatchEvent(new MouseEvent("mousemove", at));
SCRIPT
document.getElementById("probe").textContent =
  JSON.stringify(Object.fromEntries([...said, ["errors", window.errors]]));
</script>"""


def probed(text: str, script: str, folder: Path) -> dict[str, Any]:
    """Return what ``script`` says of a page by ``say(name, value)``, and its ``errors``.

    Skips where there is no Chromium.
    """
    file = folder / "probed.html"
    whole = re.sub("<body[^>]*>", lambda found: f"{found[0]}{WATCH}", text, count=1)
    file.write_text(whole.replace("</body>", PROBE.replace("SCRIPT", script) + "</body>"), "utf-8")
    found = re.search(r'<pre id="probe">(.*?)</pre>', seen(file.as_uri(), folder), re.DOTALL)
    assert found
    assert found[1], "the script did not come to its end"
    return json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


def seen(address: str, folder: Path, *, budget: int = 2000) -> str:
    """Return the document at an address after so many milliseconds of a browser's time.

    Skips where there is no Chromium.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
         "--window-size=1100,1500", f"--virtual-time-budget={budget}", "--dump-dom", address],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout
