"""The least SRAM that each scheme can learn in, for the public networks; ``smallest.csv`` keeps it.

    MCUSIM_DATA=… python benchmarks/smallest.py [NETWORK …] [--missing]

All roles counted, weights in SRAM or flash and the front in patches where that saves anything, errors in
float32 and in 16 bits. The board's SRAM does not matter; its flash and its stack do.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import mcusim

TABLE = Path(__file__).with_suffix(".csv")
NETWORKS = {
    "mbv2-w0.35": ("mbv2-49kb", "mbv2-99kb", "mbv2-138kb"),
    "mcunet-5fps": ("mcunet-49kb", "mcunet-99kb", "mcunet-148kb"),
    "proxyless-w0.3": ("proxyless-49kb", "proxyless-98kb", "proxyless-148kb"),
}
"""Networks, and published configurations of the static scheme for them."""
BOARD = "stm32f746"
BEFORE = ("head", "bias-12", "last-3", "last-6")
AFTER = ("dynamic", "tinytrain", "trady", "medyate", "tinyprop", "dense")
ERRORS = ("float32", "int16")
HEADER = ("network", "scheme", "errors", "bytes", "patches", "weights_in")


def row(network: str, scheme: str, error: str) -> tuple[str, ...]:
    """Return one row of the table."""
    model = mcusim.load(network, classes=10)
    plan = mcusim.plan(model, mcusim.board(BOARD), scheme, smallest=True, formats=mcusim.Formats(error=error))
    patches = plan.settings.patches
    return (
        network, scheme, error, str(plan.peak_bytes), "" if patches is None else str(patches),
        str(plan.step.residency),
    )  # fmt: skip


def known() -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the rows of the table by network, scheme and format of errors."""
    if not TABLE.is_file():
        return {}
    with TABLE.open(newline="") as file:
        _, *rows = csv.reader(file)
    return {tuple(cells[:3]): tuple(cells) for cells in rows}


def main() -> None:
    """Look for the least SRAM, and keep every row as soon as it is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--errors", nargs="*", default=ERRORS)
    parser.add_argument("--missing", action="store_true", help="only rows that the table does not have")
    arguments = parser.parse_args()
    rows = known()
    for network in arguments.networks:
        for scheme in (*BEFORE, *(f"static:{name}" for name in NETWORKS[network]), *AFTER):
            for error in arguments.errors:
                if arguments.missing and (network, scheme, error) in rows:
                    continue
                rows[network, scheme, error] = found = row(network, scheme, error)
                print(*found, flush=True)
                with TABLE.open("w", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows([HEADER, *rows.values()])


if __name__ == "__main__":
    main()
