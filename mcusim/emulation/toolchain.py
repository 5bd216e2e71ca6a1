"""Compiles the C of a network with zig, whose compiler comes as a package for Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from mcusim.core import BadRun, MissingPackage, cache
from mcusim.emulation.cores import EmulatedCore

OPTIMISE = "-Os"
FLAGS = (
    "-std=c99", "-g", "-ffreestanding", "-fno-builtin", "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables", "-ffp-contract=off", "-fno-sanitize=undefined",
    "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Wconversion", "-Werror",
    "-Wno-unused-command-line-argument",
)  # fmt: skip
"""Products and sums that are not fused are what all machines agree on: see ``-ffp-contract``."""
PAGE = 4096
ARENA_BASE = 0x2020_0000


def zig() -> list[str]:
    """Return the command that runs the compiler.

    Raises:
        MissingPackage: if it is not installed.
    """
    if find_spec("ziglang") is None:
        raise MissingPackage("ziglang", "compiling firmware", "firmware")
    return [sys.executable, "-m", "ziglang", "cc"]


def toolchain() -> str:
    """Return name and version of the compiler.

    Raises:
        MissingPackage: if it is not installed.
    """
    zig()
    return f"zig {version('ziglang')} {OPTIMISE}"


def arena_address(arena_bytes: int) -> int:
    """Return where the arena begins, so that it ends with a page: what lies behind it is not there."""
    return ARENA_BASE + -arena_bytes % PAGE // 8 * 8


def build(folder: Path, network: str, core: EmulatedCore, arena_bytes: int, program: str = "main") -> Path:
    """Compile a written folder for an emulated core; return the ELF file, beside the folder's files.

    Args:
        folder: what ``mcusim firmware`` wrote.
        network: the prefix of the network's symbols.
        core: what to compile for.
        arena_bytes: size of the network's arena.
        program: what runs there: ``main`` does what a twin asks for, ``selftest`` what a board would.

    Raises:
        MissingPackage: if there is no compiler.
        BadRun: if it refuses; with its first complaint.
    """
    own = folder / "twin"
    own.mkdir(exist_ok=True)
    here = files("mcusim.emulation") / "target"
    for name in ("startup.c", f"{program}.c", "link.ld"):
        text = (here / name).read_text("utf-8").replace("ARENA_ADDRESS", hex(arena_address(arena_bytes)))
        (own / name).write_text(text, "utf-8")
    named = f"#define NETWORK {network}\n#define INPUT_BYTES {network.upper()}_INPUT_BYTES\n"
    named += f"#define EXPECTED {network}_expected\n"
    named += f"#define AREA_BYTES {network.upper()}_CHECKPOINT_AREA_BYTES\n"
    (own / "network.h").write_text(f'#include "{network}.h"\n{named}', "utf-8")
    elf = own / f"{core.name}-{program}.elf"
    kernels = _kernels(sorted((folder / "kernels").iterdir()), core, own)
    sources = [*sorted((folder / "model").glob("*.c")), own / "startup.c", own / f"{program}.c"]
    _run(core, [
        *(["-DMCUSIM_NAMES"] if program == "selftest" else []),  # it says which op differs
        f"-I{folder / 'kernels'}", f"-I{folder / 'model'}", f"-I{own}",
        f"-Wl,--gc-sections,-T,{own / 'link.ld'}",
        *map(str, (*sources, kernels)), "-o", str(elf),
    ])  # fmt: skip
    return elf


def _kernels(sources: Sequence[Path], core: EmulatedCore, own: Path) -> Path:
    """Return the kernels as one object, compiled once for a core and kept in the cache.

    Where nothing can be kept that is said, and the object lies in ``own``.
    """
    root = cache.cache_dir()
    key = sha256(repr((toolchain(), FLAGS, core)).encode())
    for source in sources:
        key.update(source.name.encode() + source.read_bytes())
    paths = [str(source.resolve()) for source in sources if source.suffix == ".c"]
    place = root / cache.FIRMWARE / f"{core.name}-{key.hexdigest()[:16]}.o"
    if place.is_file():
        cache.use(place)
        return place
    # One object of all of them, in which unused functions can still be left out.
    made = own / place.name
    _run(core, ["-r", "-nostdlib", *paths, "-o", str(made)])
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        cache.make_room(root, made.stat().st_size, place)
        shutil.copyfile(made, part)
        os.replace(part, place)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        reason = f"cache {root} cannot be used: {error.strerror or error}"
        warnings.warn(f"{reason}; kernels are compiled anew every time", stacklevel=2)
    return made


def _run(core: EmulatedCore, words: Sequence[str]) -> None:
    """Run the compiler.

    Raises:
        BadRun: if it refuses; with its first complaint.
    """
    command = [
        *zig(), "-target", core.target, f"-mcpu={core.cpu}", OPTIMISE, *FLAGS,
        *([] if core.soft else ["-nostdlib"]), "-DMCUSIM_AFTER_OP",
        '-DMCUSIM_ARENA=__attribute__((section(".arena")))', *words,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise BadRun(f"firmware for {core.name}", f"does not compile: {(lines or ['no reason given'])[0]}")
