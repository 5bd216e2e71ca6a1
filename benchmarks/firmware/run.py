"""Twins whose results this folder keeps: what ``mcusim twin --json`` says, and what each op executes.

    MCUSIM_DATA=… python benchmarks/firmware/run.py [NAME …]

``NAME.json`` is what the command prints, without its list of ops; ``NAME.csv`` is that list: executed
instructions of the last step by class, beside the work of each op as planning counts it, which a model of
cycles can be fitted to. ``kinds.csv`` sums them up: instructions for each multiply-accumulate of each kind of
op on each core. All are exact and do not depend on the machine that they are made on. The last twin of a core
also becomes what ``plan --measured CORE`` says of the shipped kernels.

Long proofs are run by name only: they take hours. SIGINT ends one, and its file says how many steps it did.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import signal
import subprocess
import sys
from dataclasses import astuple, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import mcusim
from mcusim.core import Work
from mcusim.emulation.instructions import CLASSES

HERE = Path(__file__).parent
SHIPPED = Path(mcusim.__file__).parent / "mcu" / "measured"
SMALL = "-m synthetic-mbv2 --data synthetic -u dynamic --steps 3"
DENSE = "-m synthetic-mbv2 --data synthetic -u dense --steps 1"
TWINS = {
    "synthetic-mbv2-dense-cortex-m0plus": f"{DENSE} -b rp2040",
    "synthetic-mbv2-dense-cortex-m4": f"{DENSE} -b nrf52840",
    "synthetic-mbv2-dense-cortex-m7": f"{DENSE} -b stm32f746",
    "synthetic-mbv2-dense-cortex-m33": f"{DENSE} -b stm32u585",
    "synthetic-mbv2-dynamic-cortex-m0plus": f"{SMALL} -b rp2040",
    "synthetic-mbv2-dynamic-cortex-m4": f"{SMALL} -b nrf52840",
    "synthetic-mbv2-dynamic-cortex-m7": f"{SMALL} -b stm32f746",
    "synthetic-mbv2-dynamic-cortex-m33": f"{SMALL} -b stm32u585",
    "mcunet-5fps-static-49kb-cortex-m7":
        "-m mcunet-5fps -b stm32h743 --classes 10 -u static:mcunet-49kb --steps 3",
    "mbv2-w0.35-dynamic-256KiB-cortex-m7":
        "-m mbv2-w0.35 -b stm32f746 --classes 10 -u dynamic --sram 256KiB --steps 20",
}  # fmt: skip
"""Words of ``mcusim twin`` by the name of their files."""
LONG = {
    "long-synthetic-mbv2-dynamic-cortex-m4":
        "-m synthetic-mbv2 -b nrf52840 -u dynamic --data synthetic --steps 10000",
    "long-mbv2-w0.35-dynamic-256KiB-cortex-m7":
        "-m mbv2-w0.35 -b stm32f746 --classes 10 -u dynamic --sram 256KiB --steps 1000",
    "long-mcunet-5fps-static-49kb-cortex-m7":
        "-m mcunet-5fps -b stm32h743 --classes 10 -u static:mcunet-49kb --steps 1000",
    "long-mlperf-kws-dynamic-cortex-m4":
        "-m mlperftiny_kws_ref_model -b nrf52840 -u dynamic --data kws-1000 --steps 100",
    "long-mlperf-vww-dynamic-cortex-m7":
        "-m mlperftiny_vww_96_int8 -b stm32f746 -u dynamic --data vww-1000 --steps 100",
    "long-mlperf-ic-dynamic-cortex-m7":
        "-m mlperftiny_ic_pretrainedResnet_quant -b stm32f746 -u dynamic --data cifar10 --steps 30",
    "long-mlperf-ad-dynamic-cortex-m4":
        "-m mlperftiny_ad01_int8 -b nrf52840 -u dynamic --data frames.npz --steps 100",
    "long-hello-world-dense-cortex-m4":
        "-m tflm_hello_world_int8 -b nrf52840 -u dense --data sine.npz --steps 100000",
}  # fmt: skip
"""Long proofs, of which only the verdict is kept. Networks of MLPerf Tiny and TFLite Micro learn their own
tasks; the frames of machine noise that the autoencoder was made for are drawn: none are at hand."""
FRAMES, ANGLES = (200, 640), (1000, 1)
WORK = [f.name for f in fields(Work)]


def works(words: list[str]) -> dict[str, tuple[object, ...]]:
    """Return the work of each op of the plan that a twin ran; choosing is before the input."""
    choice = dict(zip(words[::2], words[1::2], strict=True))
    classes = choice.get("--classes")
    model = mcusim.load(choice["-m"], **({"classes": int(classes)} if classes else {}))
    more = {"sram": choice["--sram"]} if "--sram" in choice else {}
    session = mcusim.Session(model, choice["-b"], choice["-u"], **more)
    found = {op.name: op.work for op in session.plan().step.ops}
    choosing = session.scheme.cost(session.plan().step.model).stage
    if session.scheme.stage == 1 and choosing.int_ops:
        found["load"] = choosing
    return {name: astuple(work) for name, work in found.items()}


def draw(folder: Path) -> None:
    """Write ``frames.npz``, what the autoencoder of MLPerf Tiny takes, as noise; and ``sine.npz``."""
    rng = np.random.default_rng(0)
    np.savez(folder / "frames.npz", x=rng.normal(0, 1, FRAMES).astype(np.float32))
    angles = rng.uniform(0, 2 * np.pi, ANGLES).astype(np.float32)
    np.savez(folder / "sine.npz", x=angles, y=np.sin(angles))


def twin(words: str) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Return what a twin prints, and its list of ops."""
    command = [sys.executable, "-m", "mcusim", "twin", *shlex.split(words), "--json"]
    with TemporaryDirectory() as folder:
        draw(Path(folder))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
        signal.signal(signal.SIGINT, lambda number, frame: process.send_signal(number))
        out = process.communicate()[0]
    if not out:
        raise SystemExit(process.returncode)
    found = {"command": words, **json.loads(out)}
    for name in ("compile_seconds", "instructions_per_second"):  # which are of this machine
        del found[name]
    return found, found.pop("op_instructions")


def prove(name: str) -> bool:
    """Run a long proof and keep its verdict; return whether all was equal."""
    found, _ = twin(LONG[name])
    (HERE / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(name, found["steps"], "equal" if found["equal"] else found["first_difference"])
    return bool(found["equal"])


def run(name: str) -> bool:
    """Run a twin and keep its files; return whether it was equal."""
    found, ops = twin(TWINS[name])
    text = json.dumps(found, indent=2) + "\n"
    (HERE / f"{name}.json").write_text(text, "utf-8")
    core = str(found["core"]).replace("+", "plus")
    if name == [other for other in TWINS if other.endswith(f"-{core}")][-1]:
        (SHIPPED / f"{core}.json").write_text(text, "utf-8")
    counted = works(shlex.split(TWINS[name]))
    with (HERE / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*ops[0], *WORK])
        rows.writerows([*op.values(), *counted.get(str(op["op"]), ())] for op in ops)
    print(name, found["instructions_per_step"], "equal" if found["equal"] else found["first_difference"])
    return bool(found["equal"])


def summed(name: str) -> list[tuple[object, ...]]:
    """Return instructions, multiply-accumulates and outputs of each kind of op of a twin, largest first."""
    totals: dict[str, list[int]] = {}
    with (HERE / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        for op in csv.DictReader(file):
            one = totals.setdefault(op["kind"] or "scales of errors", [0, 0, 0, 0])
            counts = (
                sum(int(op[c]) for c in CLASSES),
                int(op["macs"]) + int(op["float_macs"]),
                op["outputs"],
            )
            for place, count in enumerate((1, *counts)):
                one[place] += int(count)
    rows = sorted(totals.items(), key=lambda row: -row[1][1])
    return [(name, kind, *c, round(c[1] / c[2], 2) if c[2] else "") for kind, c in rows]


def main() -> None:
    """Run the twins that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*TWINS, *LONG]))
    names = parser.parse_args().names or TWINS
    equal = [(prove if name in LONG else run)(name) for name in names]
    with (HERE / "kinds.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["twin", "kind", "ops", "instructions", "macs", "outputs", "instructions_per_mac"])
        rows.writerows(row for name in TWINS for row in summed(name))
    raise SystemExit(0 if all(equal) else 3)


if __name__ == "__main__":
    main()
