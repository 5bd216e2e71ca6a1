"""Writes the folder that an engineer builds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.resources import files as resources
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from mcusim.core import BadRun, Role, SaveFailed, Work
from mcusim.deployment.model_files import files, sizes
from mcusim.deployment.tables import FirmwareTables, tables
from mcusim.deployment.text import literal
from mcusim.deployment.words import words
from mcusim.planning.placement import for_every_stage
from mcusim.planning.plan import Plan
from mcusim.sections.kinds import Facts, Headline, Section
from mcusim.sections.shown import Shown
from mcusim.update.scheme import Scheme

PLAN = "plan.json"
COLUMNS = [f.name for f in fields(Work) if f.name != "kind"]


@dataclass(frozen=True)
class Firmware(Shown):
    """A written folder.

    Attributes:
        folder: where it is.
        name: of the network in C: ``mcusim_train(&name, …)``.
        sizes: bytes of the arena, of an input, of what is learned; numbers of outputs and ops.
        constants: bytes in flash by role.
    """

    folder: Path
    name: str
    sizes: dict[str, int]
    constants: dict[Role, int]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "folder": str(self.folder), "name": self.name,
            "sizes": {name.lower(): value for name, value in self.sizes.items()},
            "constants": {str(role): count for role, count in self.constants.items()},
        }  # fmt: skip

    def sections(self) -> list[Section]:
        """Return where it is and what it takes."""
        rows = [(name.lower().replace("_", " "), f"{value:,}") for name, value in self.sizes.items()]
        rows += [(f"{role} in flash", f"{count:,} B") for role, count in self.constants.items()]
        return [Headline(f"firmware of {self.name} in {self.folder}"), Facts(tuple(rows), "firmware")]


def write_firmware(plan: Plan, scheme: Scheme, out: str | Path) -> Firmware:
    """Write the folder of a plan: kernels, model, builds, how to use them.

    Args:
        plan: of a training step that fits.
        scheme: what learns, and when that changes.
        out: a folder that is not there yet, or is empty.

    Raises:
        BadModel: if something of the step has no C kernel; names it. Nothing is written.
        BadArgument: if nothing learns.
        BadRun: if the folder holds something.
        OutOfSram, OutOfFlash: if the plan does not fit.
        SaveFailed: if the folder cannot be written.
    """
    plan = for_every_stage(plan, scheme)
    made = tables(plan, scheme)
    folder = Path(out)
    with _new(folder) as place:
        fill(place, made, plan, scheme)
    return Firmware(folder, made.prefix, sizes(made, plan), dict(made.constants.role_bytes))


def fill(folder: Path, made: FirmwareTables, plan: Plan, scheme: Scheme) -> None:
    """Write everything into an empty folder."""
    here = resources("mcusim.deployment")
    (folder / "kernels").mkdir()
    for source in (here / "kernels").iterdir():
        if source.name.endswith((".c", ".h")):
            (folder / "kernels" / source.name).write_bytes(source.read_bytes())
    (folder / "model").mkdir()
    (folder / "src").mkdir()
    (folder / "zephyr").mkdir()
    for name, text in files(made, plan, scheme).items():
        _write(folder / "model" / name, text)
    _write(folder / "model" / f"{made.prefix}_works.h", _works(made, plan))
    filled = words(made, plan)
    templates = (
        "README.md",
        "Makefile",
        "CMakeLists.txt",
        "CMakePresets.json",
        "library.properties",
        "main.c",
        "selftest.c",
    )
    for name in (*templates, "zephyr/module.yml", "zephyr/CMakeLists.txt"):
        text = (here / "folder").joinpath(*name.split("/")).read_text("utf-8")
        for word, value in filled.items():
            text = text.replace(f"@{word}@", value)
        _write(folder / name, text)
    # Arduino compiles what lies below src and nothing else.
    for path in (*sorted((folder / "kernels").glob("*.c")), *sorted((folder / "model").glob("*.c"))):
        own = path.parent.name
        _write(folder / "src" / f"{own}_{path.name}", f'#include "../{own}/{path.name}"\n')
    _write(folder / "src" / f"{made.prefix}.h", f'#include "../model/{made.prefix}.h"\n')
    _write(folder / PLAN, json.dumps(plan.as_dict(), indent=2, allow_nan=False) + "\n")


def _works(made: FirmwareTables, plan: Plan) -> str:
    """Return the counted work of each op as rows of the CSV that main.c prints."""
    header = ",".join(["name", "kind", *COLUMNS])
    rows = []
    for op in plan.step.ops:
        counts = [str(getattr(op.work, column)) for column in COLUMNS]
        name = op.name.replace(",", ";")
        rows.append(f"    {literal(','.join([name, op.work.kind, *counts]))},")
    rows += ["    NULL,"] * (len(made.calls) - len(rows))
    body = "\n".join(rows)
    return (
        f'#include "{made.prefix}.h"\n\n/* What each op does, counted; see mcusim calibrate. */\n'
        f"static const char *const {made.prefix}_work_columns = {literal(header)};\n"
        f"static const char *const {made.prefix}_works[{len(made.calls)}] = {{\n{body}\n}};\n"
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


@contextmanager
def _new(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes its place when it is full; nothing is left where that fails.

    Raises:
        BadRun: if there is something in the place.
        SaveFailed: if it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRun(str(folder), "is there and not empty", "choose another folder, or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise _failed(folder, error) from error
    try:
        yield place
        place.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        os.replace(place, folder)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise _failed(folder, error) from error
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _failed(folder: Path, error: OSError) -> SaveFailed:
    return SaveFailed(str(folder), f"cannot be written: {error.strerror}", "choose another place")
