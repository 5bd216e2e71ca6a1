"""The self tests of many networks in one program of this computer: C against engine, op by op.

It is compiled by GCC with AddressSanitizer where that is installed, else by zig; what C leaves undefined ends
the program.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from importlib.resources import files as resources
from pathlib import Path

from mcusim.deployment.model_files import files
from mcusim.deployment.tables import tables
from mcusim.emulation.compilers import zig
from mcusim.session.session import Session


def self_tests(folder: Path, sessions: Iterable[Session]) -> dict[str, str]:
    """Return what the self test of each network has printed, by its name, which is a name in C."""
    (folder / "kernels").mkdir()
    (folder / "model").mkdir()
    for source in (resources("mcusim.deployment") / "kernels").iterdir():
        (folder / "kernels" / source.name).write_bytes(source.read_bytes())
    texts, calls = [], []
    for own in sessions:
        plan, name = own.plan(), own.model.name
        for file, text in files(tables(plan, own.scheme), plan, own.scheme).items():
            (folder / "model" / file).write_text(text, "utf-8")
            texts += [f'#include "model/{file}"', "#undef NAMES"] * file.endswith(".c")
        calls.append(f"    mcusim_selftest(&{name}, &{name}_expected, printf);")
    body = "\n".join(["#include <stdio.h>", *texts, "int main(void) {", *calls, "    return 0;", "}"])
    (folder / "main.c").write_text(body + "\n", "utf-8")
    program = folder / "self_tests"
    flags = ["-std=c99", "-O1", "-ffp-contract=off", "-DMCUSIM_NAMES"]
    sources = [folder / "main.c", *(folder / "kernels").glob("*.c")]
    subprocess.run([*_compiler(), *flags, *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def _compiler() -> list[str]:
    """Return a compiler of this computer and its sanitizers."""
    if shutil.which("gcc"):
        return ["gcc", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    return [*zig(), "-Wno-macro-redefined", "-fsanitize=undefined", "-fsanitize-trap=undefined"]
