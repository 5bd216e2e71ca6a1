"""The compilers that a twin can be made with: zig, which comes as a package for Python, or Arm's GCC."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec

from mcusim.core import BadArgument, BadRun, MissingPackage, UnknownName
from mcusim.core.wording import choice
from mcusim.emulation.cores import EmulatedCore

OPTIMISE = "-Os"
FLAGS = (
    "-std=c99", "-g", "-ffreestanding", "-fno-builtin", "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections",
    "-Wall", "-Wextra", "-Wconversion", "-Werror",
)  # fmt: skip
"""Products and sums that are not fused are what all machines agree on: see ``-ffp-contract``."""


def zig() -> list[str]:
    """Return the command that runs zig's compiler of C.

    Raises:
        MissingPackage: if it is not installed.
    """
    if find_spec("ziglang") is None:
        raise MissingPackage("ziglang", "compiling firmware", "firmware")
    return [sys.executable, "-m", "ziglang", "cc"]


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler, by the name under which it is asked for; zig's, unless a class below says otherwise."""

    name: str

    def require(self) -> None:
        """Do nothing if it is installed.

        Raises:
            MissingPackage: if a package is missing.
            BadRun: if a program is missing; says how it is had.
        """
        zig()

    def described(self) -> str:
        """Return name, version and how it optimises."""
        self.require()
        return f"zig {version('ziglang')} {OPTIMISE}"

    def command(self, core: EmulatedCore) -> list[str]:
        """Return the command that compiles for a core, files and what is made of them left out."""
        return [
            *zig(), "-target", core.target, f"-mcpu={core.cpu}", OPTIMISE,
            *FLAGS, "-fno-sanitize=undefined", "-Wno-unused-command-line-argument",
            *([] if core.soft else ["-nostdlib"]),
        ]  # fmt: skip

    def libraries(self, core: EmulatedCore) -> list[str]:
        """Return what is linked behind everything else."""
        return []


@dataclass(frozen=True, slots=True)
class Gcc(Compiler):
    """GCC for Arm, as Debian and Arm offer it."""

    def require(self) -> None:
        """Do nothing if it is installed; raise BadRun if not."""
        if shutil.which(self.name) is None:
            way_out = f"install it (Debian: apt install gcc-{self.name[:-4]}), or leave out toolchain"
            raise BadRun(f"toolchain {self.name}", "is not installed", way_out)

    def described(self) -> str:
        """Return name, version and how it optimises."""
        self.require()
        return f"{_first_line(self.name)} {OPTIMISE}"

    def command(self, core: EmulatedCore) -> list[str]:
        """Return the command; ``BadArgument`` for a core that is not Arm's."""
        self.require()
        if core.riscv:
            way_out = f"use {choice('toolchain', 'zig')}"
            raise BadArgument(f"core {core.name}", f"is none that {self.name} compiles for", way_out)
        unit = ["-mfloat-abi=soft"] if core.soft else ["-mfloat-abi=hard", f"-mfpu={core.fpu}"]
        # GCC speaks of constants where a wider type meets a narrow one, of which C99 says the same.
        return [
            self.name, f"-mcpu={core.cpu.partition('+')[0].replace('_', '-')}", "-mthumb", *unit, OPTIMISE,
            *FLAGS, "-nostdlib",
        ]  # fmt: skip

    def libraries(self, core: EmulatedCore) -> list[str]:
        """Return its library of arithmetic that a core has not."""
        return ["-lgcc"]


@cache
def _first_line(name: str) -> str:
    done = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [name])[0]


COMPILERS = {each.name: each for each in (Compiler("zig"), Gcc("arm-none-eabi-gcc"))}
"""Compilers by name; the first is used where none is asked for."""
ZIG = COMPILERS["zig"]


def compiler_named(name: str | None) -> Compiler:
    """Return a compiler by name, zig if there is none.

    Raises:
        UnknownName: if it is not known.
    """
    if name is None:
        return ZIG
    if name not in COMPILERS:
        raise UnknownName("toolchain", name, COMPILERS)
    return COMPILERS[name]
