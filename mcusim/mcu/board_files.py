"""Boards by name, by file, or from other packages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mcusim.core import BadBoard, Registry, UnknownName
from mcusim.core.boundary import reads
from mcusim.mcu import toml_files
from mcusim.mcu.board import Board

_NO_FIGURES = ("name", "title", "core", "chip", "profile", "sources")
"""What a board file says that is no figure and needs no source."""

BOARDS: Registry[str | Path | Board] = Registry("board", "mcusim.boards")
"""Other packages register a ``Board`` or the path of a TOML file under ``mcusim.boards``."""


def board(name_or_path: str | Path | Board) -> Board:
    """Return a board by its name, or from a TOML file of the same form.

    Args:
        name_or_path: a name that ``mcusim.boards()`` lists, or the path of a TOML file, or a board already.

    Raises:
        UnknownName: if no board is called so; suggests the nearest names.
        BadBoard: if the file is wrong; names the field.
    """
    if isinstance(name_or_path, Board):
        return name_or_path
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text:
        return load_board(Path(name_or_path))
    name = text.strip().lower()
    if name in _shipped():
        return _load_shipped(name)
    if name not in BOARDS:
        raise UnknownName("board", text, board_names())
    found = BOARDS[name]
    return found if isinstance(found, Board) else load_board(Path(found))


def boards() -> list[Board]:
    """Return every known board, sorted by name."""
    return [board(name) for name in board_names()]


def board_names() -> list[str]:
    """Return the names of all boards, shipped and installed."""
    return sorted({*_shipped(), *BOARDS.names()})


@reads(BadBoard, "compare it with one that comes with the package")
def load_board(path: Path) -> Board:
    """Read one board file.

    Raises:
        BadBoard: if the file cannot be read, has unknown keys, absurd values or figures without a source,
            or contradicts itself.
    """
    data = toml_files.read(path)
    if "file" in data:
        raise BadBoard(str(path), "unknown key file", "the path is filled in when the board is read")
    if "step" in data.get("runtime", {}):
        raise BadBoard(str(path), "unknown key runtime.step", "runtime.measured names a file that says it")
    found = toml_files.build(Board, {**data, "file": str(path)}, str(path))
    _check(found)
    _check_sources(found, data)
    if (named := found.runtime.measured) is not None:
        beside = path.parent / named
        found = found.with_measured(beside if beside.is_file() else named)
        _check(found)
    return found


def _check_sources(board: Board, data: dict[str, Any]) -> None:
    """Refuse a figure that does not say where it was read: every result with it would be hearsay."""
    figures = list(_figures({key: value for key, value in data.items() if key not in _NO_FIGURES}))
    unsourced = [path for path in figures if not board.has_source(path)]
    if unsourced:
        more = f" and {len(unsourced) - 1} more" if len(unsourced) > 1 else ""
        raise BadBoard(
            board.file,
            f"states no source of {unsourced[0]}{more}",
            f'write it under [sources], a figure or a whole table: "{unsourced[0]}" = "data sheet, page"',
        )
    known = {p for path in figures for p in (path, *_tables(path))}
    for path in board.sources:
        # A shipped file names the source of figures that it leaves out too, such as an absent cache.
        if path not in known and not _exists(board, path):
            raise toml_files.unknown_key(board.file, f"sources.{path}", path, sorted(known))


def _figures(table: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{before}{key}.")
        elif f"{before}{key}" not in ("runtime.measured", "runtime.fitted"):  # each is its own source
            yield f"{before}{key}"


def _tables(path: str) -> Iterator[str]:
    while path := path.rpartition(".")[0]:
        yield path


def _exists(board: Board, path: str) -> bool:
    value: Any = board
    for part in path.split("."):
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True


def _check(board: Board) -> None:
    """Refuse figures that contradict each other."""
    flash, power = board.flash, board.power
    total = sum(s.count * s.bytes for s in flash.sectors)
    if total != flash.bytes:
        raise BadBoard(
            board.file,
            f"flash.sectors add up to {total:,} B and flash.bytes is {flash.bytes:,}",
            "count x bytes of all sectors is the whole flash",
        )
    for sector in flash.sectors:
        if sector.bytes % flash.program_bytes:
            raise BadBoard(
                board.file,
                f"a sector of {sector.bytes:,} B is no multiple of flash.program_bytes",
                "check both",
            )
        _ordered(board, "erase_typ_ms", sector.erase_typ_ms, "erase_max_ms", sector.erase_max_ms)
    _ordered(board, "program_typ_us", flash.program_typ_us, "program_max_us", flash.program_max_us)
    _ordered(board, "power.active_low_mw", power.active_low_mw, "power.active_mw", power.active_mw)
    _ordered(board, "power.active_mw", power.active_mw, "power.active_high_mw", power.active_high_mw)
    for low, value in (("active_mw", power.active_mw), ("active_high_mw", power.active_high_mw)):
        _ordered(board, f"power.{low}", value, "power.bound_mw", power.bound_mw)
    _ordered(board, "power.sleep_mw", power.sleep_mw, "power.active_mw", power.active_mw)
    if board.runtime_bytes >= board.sram_bytes:
        raise BadBoard(board.file, "runtime leaves no SRAM for tensors", "lower runtime.stack_bytes")
    _check_cache(board)
    if len({region.name for region in board.sram}) != len(board.sram):
        raise BadBoard(board.file, "two SRAM regions have the same name", "rename one")
    outside = [region.external for region in board.sram]
    if outside[0] or outside != sorted(outside):
        reason = "an external SRAM region comes before one on the chip"
        raise BadBoard(board.file, reason, "list what is on the chip first: it is filled first")


def _check_cache(board: Board) -> None:
    cache = board.cache
    behind = [region.name for region in board.sram if region.cached]
    if behind and (not cache.data_bytes or cache.line_bytes is None):
        missing = "line_bytes" if cache.data_bytes else "data_bytes"
        raise BadBoard(
            board.file,
            f"SRAM region {behind[0]} is cached, and cache.{missing} is absent",
            "fill it in, with its source, or leave cached out",
        )
    if cache.line_bytes is not None and cache.data_bytes % cache.line_bytes:
        raise BadBoard(
            board.file,
            f"cache.data_bytes = {cache.data_bytes:,} is no multiple of cache.line_bytes",
            f"check both: a line is {cache.line_bytes} B",
        )


def _ordered(board: Board, low_name: str, low: float | None, high_name: str, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise BadBoard(board.file, f"{low_name} = {low:g} is above {high_name} = {high:g}", "swap or correct")


@cache
def _shipped() -> frozenset[str]:
    return frozenset(
        p.name[:-5] for p in files("mcusim.mcu").joinpath("boards").iterdir() if p.name.endswith(".toml")
    )


@cache
def _load_shipped(name: str) -> Board:
    return load_board(Path(str(files("mcusim.mcu").joinpath("boards", f"{name}.toml"))))
