"""Makes the pages of this folder anew: a plan, a trained run, the difference of two traces, a study.

python docs/examples/make.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
SHIPPED = ("--model", "synthetic-mbv2", "--board", "nrf52840")
STUDY = """name = "shapes"
[base]
model = "synthetic-mbv2"
board = "nrf52840"
data = "synthetic"
training = { epochs = 2, limit = 400 }
[axes]
update = ["head", "bias", "last-3", "dynamic"]
lr = [0.005, 0.02]
seed = [0, 1]
"""
CALLS = {
    "plan": ("plan", *SHIPPED, "--html", "plan.html"),
    "run": ("train", *SHIPPED, "--data", "synthetic", "--lr", "0.02", "--epochs", "2", "--limit", "1500",
            "--out", "run", "--html", "run.html"),
    "difference": ("diff", "mbv2-w0.35-head", "mbv2-w0.35-last-6", "--html", "difference.html"),
    "study": ("sweep", "study.toml", "--out", "shapes", "--html", "study.html"),
}  # fmt: skip
"""What makes the page of each name."""


def main() -> None:
    """Make every page, in a folder that is gone afterwards, and put it here."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "study.toml").write_text(STUDY, "utf-8")
        for name, call in CALLS.items():
            subprocess.run([sys.executable, "-m", "mcusim", *call], cwd=folder, check=True)
            (HERE / f"{name}.html").write_bytes((Path(folder) / f"{name}.html").read_bytes())


if __name__ == "__main__":
    main()
