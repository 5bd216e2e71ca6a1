"""The SRAM of MobileNetV2-w0.35 under every scheme, as the table in the README.

    MCUSIM_DATA=… python benchmarks/memory_table.py [--sram 256KiB] [--board stm32f746]

Bytes of each role at the fullest moment of a training step; they and the holes add up to the peak. What
does not fit is shown as well, with the patches and the residency that come closest. ``least`` is the least
SRAM that the scheme can learn in at all, as ``smallest.py`` found it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import mcusim
from mcusim.core import SRAM_ROLES

MODEL = "mbv2-w0.35"
UPDATES = (
    "head", "bias-12", "last-3", "last-6", "static:mbv2-49kb", "static:mbv2-99kb", "static:mbv2-138kb",
    "dynamic", "tinytrain", "trady", "medyate", "tinyprop", "dense",
)  # fmt: skip


def least() -> dict[str, int]:
    """Return the least SRAM of each scheme, with errors in float32."""
    with Path(__file__).with_name("smallest.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        return {
            row["scheme"]: int(row["bytes"])
            for row in rows
            if row["network"] == MODEL and row["errors"] == "float32"
        }


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sram", default="256KiB")
    parser.add_argument("--board", default="stm32f746")
    arguments = parser.parse_args()
    model, board = mcusim.load(MODEL, classes=10), mcusim.board(arguments.board)
    plans = [mcusim.Session(model, board, update, sram=arguments.sram).plan() for update in UPDATES]
    roles = [role for role in SRAM_ROLES if any(plan.by_role[role] for plan in plans)]
    header = ("scheme", "learns", *roles, "holes", "peak", "least", "fits", "patches", "weights in")
    print("| " + " | ".join(map(str, header)) + " |")
    print("|---" + "|---:" * (len(header) - 4) + "|---" * 3 + "|")
    smallest = least()
    for update, plan in zip(UPDATES, plans, strict=True):
        patches = plan.settings.patches
        cells = (
            f"`{plan.settings.update}`", f"{plan.step.scope.weights_updated(model):,}",
            *(f"{plan.by_role[role]:,}" if plan.by_role[role] else "" for role in roles),
            f"{plan.peak_bytes - plan.live_bytes:,}", f"**{plan.peak_bytes:,}**",
            f"{smallest[update]:,}", "yes" if plan.fits else "no",
            str(patches).replace(" up to ", " to ") if patches else "", plan.step.residency,
        )  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
