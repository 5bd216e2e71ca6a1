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
const part = (text) => (text.match(/[\\d.]+/g) ?? ["0", "0", "0", "0"]).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const mixed = (over, under, share) => over.slice(0, 3).map((v, i) => v * share + under[i] * (1 - share));
function ground(node) {
  if (!node) return part(getComputedStyle(document.body).backgroundColor);
  const own = part(getComputedStyle(node).backgroundColor), share = own[3] ?? 1;
  return share === 1 ? own : mixed(own, ground(node.parentElement), share);
}
function contrast(node) {
  const style = getComputedStyle(node), under = ground(node);
  let share = 1;
  for (let up = node; up; up = up.parentElement) share *= +getComputedStyle(up).opacity;
  const ink = mixed(part(node instanceof SVGElement ? style.fill : style.color), under, share);
  const [low, high] = [light(ink), light(under)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
const written = all("main *").filter((node) => node.getClientRects().length &&
  [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
const dimmed = (node) => node.closest("[aria-pressed=false]");
say("pale", written.filter((node) => contrast(node) < 4.5 && !dimmed(node)).map(begins));
const tiny = (node) => parseFloat(getComputedStyle(node).fontSize) *
  (node.ownerSVGElement ? node.getScreenCTM().a : 1) < 9.5;
say("tiny", written.filter(tiny).map(begins));
const places = all("svg text").map((node) => [node, node.getBoundingClientRect()]);
const meet = (a, b, from, to) => Math.min(a[to], b[to]) - Math.max(a[from], b[from]) > 2;
const lies = ([one, a], [other, b]) => a.width && b.width &&
  one.ownerSVGElement === other.ownerSVGElement && meet(a, b, "left", "right") && meet(a, b, "top", "bottom");
say("crowded", places.flatMap((one, i) => places.slice(i + 1).filter((other) => lies(one, other))
  .map(([other]) => [one[0].textContent, other.textContent])));
const over = (node) => node.getBoundingClientRect().right > innerWidth + 1;
say("wide", all("main *").filter((node) => over(node) && !node.closest(".wide, .beside > div")).map(begins));
document.getElementById("probe").textContent =
  JSON.stringify(Object.fromEntries([...said, ["errors", window.errors]]));
</script>"""


def probed(text: str, script: str, folder: Path, *, dark: bool = False, width: int = 1100) -> dict[str, Any]:
    """Return what ``script`` says of a page by ``say(name, value)``, and its ``errors``.

    Everything that can be pointed at or reached must have a name that is read out, tables that sort and
    charts with marks be reached by the keyboard, and no id stand twice. Every text must be read: its contrast
    as WCAG asks for it, its letters not tiny, nothing wider than the window, whether it is light or dark.

    Skips where there is no Chromium.
    """
    file = folder / "probed.html"
    whole = re.sub("<body[^>]*>", lambda found: f"{found[0]}{WATCH}", text, count=1)
    file.write_text(whole.replace("</body>", PROBE.replace("SCRIPT", script) + "</body>"), "utf-8")
    found = re.search(
        r'<pre id="probe">(.*?)</pre>', seen(file.as_uri(), folder, dark=dark, width=width), re.DOTALL
    )
    assert found
    assert found[1], "the script did not come to its end"
    said: dict[str, Any] = json.loads(unescape(found[1]))
    for name in ("nameless", "unreachable", "twice", "pale", "tiny", "wide", "crowded"):
        wrong = said.pop(name)
        assert not wrong, f"{name}: {wrong[:9]}"
    return said


def seen(address: str, folder: Path, *, budget: int = 2000, dark: bool = False, width: int = 1100) -> str:
    """Return the document at an address after so many milliseconds of a browser's time.

    Skips where there is no Chromium.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
         f"--window-size={width},1500", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
         f"--virtual-time-budget={budget}", "--dump-dom", address],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout
