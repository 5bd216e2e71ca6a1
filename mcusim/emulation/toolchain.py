"""Compiles the C of a network and what runs it into a program for an emulated machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from mcusim.core import BadRun, cache
from mcusim.emulation.compilers import ZIG, Compiler
from mcusim.emulation.cores import UNICORN, EmulatedCore, MemoryMap

PAGE = 4096


def arena_address(base: int, arena_bytes: int) -> int:
    """Return where the arena begins: it ends with a page, as does the memory that is there, or watched."""
    return base + -arena_bytes % PAGE // 8 * 8


def build(
    folder: Path,
    network: str,
    core: EmulatedCore,
    arena_bytes: int,
    program: str = "main",
    *,
    compiler: Compiler = ZIG,
    memory: MemoryMap = UNICORN,
) -> Path:
    """Compile a written folder for an emulated core; return the ELF file, beside the folder's files.

    Args:
        folder: what ``mcusim firmware`` wrote.
        network: the prefix of the network's symbols.
        core: what to compile for.
        arena_bytes: size of the network's arena.
        program: what runs there: ``main`` does what a twin asks for, ``selftest`` what a board would.
        compiler: what compiles it.
        memory: of the machine.

    Raises:
        MissingPackage: if there is no compiler.
        BadRun: if it refuses; with its first complaint.
    """
    own = folder / "twin"
    own.mkdir(exist_ok=True)
    write_target(own, ("startup.c", f"{program}.c", "link.ld"), memory, arena_bytes)
    named = f"#define NETWORK {network}\n#define INPUT_BYTES {network.upper()}_INPUT_BYTES\n"
    named += f"#define EXPECTED {network}_expected\n"
    named += f"#define AREA_BYTES {network.upper()}_CHECKPOINT_AREA_BYTES\n"
    sizes = (folder / "model" / f"{network}.h").read_text("utf-8")
    named += "".join(
        f"#define {word} {network.upper()}_{word}\n"
        for word in ("REPLAYS", "REPLAY_AREA_BYTES")
        if f"{network.upper()}_{word} " in sizes
    )
    named += "".join(f"#define {word}\n" for word in _kinds(folder / "model" / f"{network}.c"))
    (own / "network.h").write_text(f'#include "{network}.h"\n{named}', "utf-8")
    elf = own / f"{core.name}-{program}.elf"
    kernels = compile_kernels(sorted((folder / "kernels").iterdir()), core, compiler, own)
    sources = [*sorted((folder / "model").glob("*.c")), own / "startup.c", own / f"{program}.c"]
    compile_for(core, compiler, [
        *(["-DMCUSIM_NAMES"] if program == "selftest" else []),  # it says which op differs
        f"-I{folder / 'kernels'}", f"-I{folder / 'model'}", f"-I{own}",
        f"-Wl,--gc-sections,-T,{own / 'link.ld'}",
        *map(str, (*sources, kernels)), *compiler.libraries(core), "-o", str(elf),
    ])  # fmt: skip
    return elf


def write_target(own: Path, names: Sequence[str], memory: MemoryMap, arena_bytes: int) -> None:
    """Write files of ``target`` into a folder, the linker's script with addresses for its names."""
    here = files("mcusim.emulation") / "target"
    for name in names:
        text = (here / name).read_text("utf-8")
        (own / name).write_text(_placed(text, memory, arena_bytes) if name == "link.ld" else text, "utf-8")


def _kinds(tables: Path) -> list[str]:
    """Return what a network is called by: with several inputs or outputs, or in sequences."""
    text = tables.read_text("utf-8")
    words = {"SEVERAL": (".inputs_count =", ".goals_count ="), "STATES": (".states_count =",)}
    return [word for word, fields in words.items() if any(field in text for field in fields)]


def _placed(script: str, memory: MemoryMap, arena_bytes: int) -> str:
    """Return a linker's script with addresses for its names."""
    arena = arena_address(memory.arena, arena_bytes)
    constants = "." if memory.constants is None else hex(memory.constants)
    places = {
        "CODE_ADDRESS": memory.code, "STACK_ADDRESS": memory.stack, "STATICS_ADDRESS": memory.statics,
        "BOX_ADDRESS": memory.box, "ARENA_ADDRESS": arena,
    }  # fmt: skip
    for name, address in places.items():
        script = script.replace(name, hex(address))
    return script.replace("CONSTANTS_ADDRESS", constants)


def compile_kernels(sources: Sequence[Path], core: EmulatedCore, compiler: Compiler, own: Path) -> Path:
    """Return the kernels as one object, compiled once for a core and kept in the cache.

    Where nothing can be kept that is said, and the object lies in ``own``.

    Raises:
        MissingPackage: if there is no compiler.
        BadRun: if it refuses; with its first complaint.
    """
    root = cache.cache_dir()
    key = sha256(repr((compiler.described(), compiler.command(core))).encode())
    for source in sources:
        key.update(source.name.encode() + source.read_bytes())
    paths = [str(source.resolve()) for source in sources if source.suffix == ".c"]
    place = root / cache.FIRMWARE / f"{core.name}-{key.hexdigest()[:16]}.o"
    if place.is_file():
        cache.use(place)
        return place
    # One object of all of them, in which unused functions can still be left out.
    made = own / place.name
    compile_for(core, compiler, ["-r", "-nostdlib", *paths, "-o", str(made)])
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


def compile_for(core: EmulatedCore, compiler: Compiler, words: Sequence[str]) -> None:
    """Run the compiler, with words behind those of every program.

    Raises:
        BadRun: if it refuses; with its first complaint.
    """
    command = [
        *compiler.command(core), "-DMCUSIM_AFTER_OP",
        '-DMCUSIM_ARENA=__attribute__((section(".arena")))', *words,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise BadRun(f"firmware for {core.name}", f"does not compile: {(lines or ['no reason given'])[0]}")
