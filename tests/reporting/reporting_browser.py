"""A page in a headless browser: what a script that is put into it says, and every error there was."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
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
const named = (node) =>
  (node.getAttribute("aria-label") || node.labels?.[0]?.textContent || node.textContent).trim();
const reached = "a, button, input, summary, [tabindex], [role=button], [role=img], [role=group]";
const begins = (node) => node.outerHTML.slice(0, 90);
say("nameless", all(reached).filter((node) => !named(node)).map(begins));
const keyed = "table.data thead th, .map, figure.chart svg:has(.mark)";
say("unreachable", all(keyed).filter((node) => node.tabIndex).map(begins));
const ids = all("[id]").map((node) => node.id);
say("twice", ids.filter((id, at) => ids.indexOf(id) !== at));
document.getElementById("probe").textContent =
  JSON.stringify(Object.fromEntries([...said, ["errors", window.errors]]));
</script>"""


def probed(text: str, script: str, folder: Path) -> dict[str, Any]:
    """Return what ``script`` says of a page by ``say(name, value)``, and its ``errors``.

    Everything that can be pointed at or reached must have a name that is read out, tables that sort and
    charts with marks be reached by the keyboard, and no id stand twice.

    Skips where there is no Chromium.
    """
    file = folder / "probed.html"
    whole = re.sub("<body[^>]*>", lambda found: f"{found[0]}{WATCH}", text, count=1)
    file.write_text(whole.replace("</body>", PROBE.replace("SCRIPT", script) + "</body>"), "utf-8")
    found = re.search(r'<pre id="probe">(.*?)</pre>', seen(file.as_uri(), folder), re.DOTALL)
    assert found
    assert found[1], "the script did not come to its end"
    said: dict[str, Any] = json.loads(unescape(found[1]))
    for name in ("nameless", "unreachable", "twice"):  # for who uses a screen reader or a keyboard
        assert said.pop(name) == [], name
    return said


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
