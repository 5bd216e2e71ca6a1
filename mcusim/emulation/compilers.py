"""The compilers that a twin can be made with: zig, which comes as a package for Python, or Arm's GCC."""

from __future__ import annotations

import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
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
class Compiler(ABC):
    """A compiler, by the name under which it is asked for."""

    name: str

    @abstractmethod
    def described(self) -> str:
        """Return name, version and how it optimises.

        Raises:
            MissingPackage, BadRun: if a package or a program is missing; says how it is had.
        """

    @abstractmethod
    def command(self, core: EmulatedCore) -> list[str]:
        """Return the command that compiles for a core, files and what is made of them left out.

        Raises:
            MissingPackage, BadRun: as ``described``.
            BadArgument: if it does not know the core.
        """

    @abstractmethod
    def libraries(self, core: EmulatedCore) -> list[str]:
        """Return what is linked behind everything else."""


class Zig(Compiler):
    """The compiler of the package ``ziglang``."""

    def described(self) -> str:
        """Return name, version and how it optimises."""
        zig()
        return f"zig {version('ziglang')} {OPTIMISE}"

    def command(self, core: EmulatedCore) -> list[str]:
        """Return the command; for a core without floats zig links its own arithmetic."""
        return [
            *zig(), "-target", core.target, f"-mcpu={core.cpu}", OPTIMISE, *FLAGS,
            "-fno-sanitize=undefined", "-Wno-unused-command-line-argument",
            *([] if core.soft else ["-nostdlib"]),
        ]  # fmt: skip

    def libraries(self, core: EmulatedCore) -> list[str]:
        """Return nothing."""
        return []


class Gcc(Compiler):
    """GCC for Arm, as Debian and Arm offer it."""

    def _require(self) -> None:
        if shutil.which(self.name) is None:
            way_out = f"install it (Debian: apt install gcc-{self.name[:-4]}), or leave out toolchain"
            raise BadRun(f"toolchain {self.name}", "is not installed", way_out)

    def described(self) -> str:
        """Return name, version and how it optimises."""
        self._require()
        return f"{_first_line(self.name)} {OPTIMISE}"

    def command(self, core: EmulatedCore) -> list[str]:
        """Return the command; ``BadArgument`` for a core that is not Arm's."""
        self._require()
        if core.riscv:
            way_out = f"use {choice('toolchain', 'zig')}"
            raise BadArgument(f"core {core.name}", f"is none that {self.name} compiles for", way_out)
        unit = ["-mfloat-abi=soft"] if core.soft else ["-mfloat-abi=hard", f"-mfpu={core.fpu}"]
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


COMPILERS = {each.name: each for each in (Zig("zig"), Gcc("arm-none-eabi-gcc"))}
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
