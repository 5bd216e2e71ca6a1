"""The public minimalloc CSV form of problems and solutions.

One row a block: ``id,lower,upper,size`` and, in a solution, ``offset``. Lifetimes are half-open:
``lower <= t < upper``. The first row names the columns, which may come in any order. This
project's files add ``role``, ``alignment``, ``shrinks`` and ``overlaps`` where a problem needs them:
``time:bytes`` of every shrink, and ``distance:id`` of every block that this one may overlap, a line each.
"""

from __future__ import annotations

import csv as _csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from mcusim.core import BadProblem, Interval, Role
from mcusim.core.boundary import reads
from mcusim.core.files import replacing
from mcusim.memory.block import MAX_BYTES, Block
from mcusim.memory.overlap import Overlap
from mcusim.memory.problem import Problem

MAX_FILE_BYTES = 64 * 2**20
MAX_ROWS = 200_000
MAX_NAME = 400
NEEDED = ("id", "lower", "upper", "size")
OPTIONAL = ("offset", "alignment", "role", "shrinks", "overlaps")
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")


def read_csv(path: str | Path, *, capacity: int | None = None, align: int = 1) -> Problem:
    """Read a problem. Offsets in the file are ignored; see ``read_solution``.

    Raises:
        BadProblem: with the row, if the file is missing, too large, not UTF-8, or breaks any rule.
    """
    return read_placed(path, capacity=capacity, align=align)[0]


@reads(BadProblem, "the form is that of minimalloc: id,lower,upper,size")
def read_placed(
    path: str | Path, *, capacity: int | None = None, align: int = 1
) -> tuple[Problem, dict[str, int] | None]:
    """Read a problem, and the offset of every block if the file has a column of them.

    Raises:
        BadProblem: as ``read_csv``.
    """
    return parse(_text(Path(path)), str(path), capacity=capacity, align=align)


def read_solution(
    path: str | Path, *, capacity: int | None = None, align: int = 1
) -> tuple[Problem, dict[str, int]]:
    """Read a problem and the offset of every block.

    Raises:
        BadProblem: as ``read_csv``, and if there is no column ``offset``.
    """
    problem, offsets = read_placed(path, capacity=capacity, align=align)
    if offsets is None:
        raise BadProblem(str(path), "has no column offset", "it is a problem, not a solution")
    return problem, offsets


def write_csv(path: str | Path, problem: Problem, offsets: Mapping[str, int] | None = None) -> None:
    """Write ``problem``, and its solution if ``offsets`` are given; whole or not at all.

    Raises:
        BadProblem: if a name could not be read again.
        SaveFailed: if the file cannot be written.
    """
    text = format_csv(problem, offsets)
    with replacing(path) as file:
        file.write(text.encode())


def format_csv(problem: Problem, offsets: Mapping[str, int] | None = None) -> str:
    """Return the text of ``write_csv``. Columns beyond the public form appear only where needed.

    Raises:
        BadProblem: if a name could not be read again: empty, too long, or with control characters.
    """
    blocks = problem.blocks
    for block in blocks:
        _check_name(block.name, "problem")
    columns = list(NEEDED)
    if any(problem.align_of(b) > 1 for b in blocks):
        columns.append("alignment")
    if any(b.role is not Role.ACTIVATION for b in blocks):
        columns.append("role")
    if any(b.shrinks for b in blocks):
        columns.append("shrinks")
    if problem.overlaps:
        columns.append("overlaps")
    if offsets is not None:
        columns.append("offset")
    over: dict[str, list[str]] = {}
    for overlap in problem.overlaps:
        over.setdefault(overlap.new, []).append(f"{overlap.distance}:{overlap.old}")
    out = io.StringIO()
    writer = _csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for block in blocks:
        writer.writerow(
            {
                "id": block.name,
                "lower": block.lifetime.start,
                "upper": block.lifetime.end,
                "size": block.bytes,
                "alignment": problem.align_of(block),
                "role": str(block.role),
                "shrinks": " ".join(f"{time}:{size}" for time, size in block.shrinks),
                "overlaps": "\n".join(over.get(block.name, ())),
                "offset": offsets[block.name] if offsets is not None else "",
            }
        )
    return out.getvalue()


def parse(
    text: str, source: str, *, capacity: int | None = None, align: int = 1
) -> tuple[Problem, dict[str, int] | None]:
    """Return the problem in ``text``, and its offsets if there are any; ``source`` names it in errors.

    Raises:
        BadProblem: with the row that breaks a rule.
    """
    rows = _csv.reader(io.StringIO(text), strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        _check_header(header, source)
        blocks: dict[str, Block] = {}
        offsets: dict[str, int] = {}
        overlaps: list[Overlap] = []
        for row in rows:
            if not row:
                continue
            where = f"{source} row {rows.line_num}"
            if len(blocks) >= MAX_ROWS:
                raise BadProblem(where, f"is one too many: at most {MAX_ROWS:,} blocks")
            if len(row) != len(header):
                raise BadProblem(where, f"has {len(row)} fields and the header {len(header)}")
            cells = dict(zip(header, row, strict=True))
            block = _block(cells, where)
            if block.name in blocks:
                raise BadProblem(where, f"repeats the id {block.name!r}", "ids are unique")
            if capacity is not None and block.bytes > capacity:
                reason = f"has {block.bytes:,} bytes, more than the capacity of {capacity:,}"
                raise BadProblem(f"{where}: block {block.name!r}", reason, "give at least its size")
            blocks[block.name] = block
            overlaps += [_overlap(part, block, where) for part in cells.get("overlaps", "").splitlines()]
            if "offset" in cells:
                offsets[block.name] = _integer(cells["offset"], "offset", where)
    except _csv.Error as error:
        raise BadProblem(f"{source} row {rows.line_num}", f"is no CSV: {error}") from error
    problem = Problem(tuple(blocks.values()), capacity, align, overlaps=tuple(overlaps))
    return problem, offsets if "offset" in header else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise BadProblem(str(path), f"is larger than {MAX_FILE_BYTES >> 20} MiB")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise BadProblem(str(path), f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadProblem(str(path), f"is no text: byte {error.start} is not UTF-8") from error


def _check_header(header: list[str], source: str) -> None:
    way_out = f"the columns are {', '.join(NEEDED)}, and if wanted {', '.join(OPTIONAL)}"
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise BadProblem(f"{source} row 1", f"lacks the column {missing[0]}", way_out)
    for name in header:
        if name not in NEEDED + OPTIONAL:
            raise BadProblem(f"{source} row 1", f"has an unknown column {name[:MAX_NAME]!r}", way_out)
        if header.count(name) > 1:
            raise BadProblem(f"{source} row 1", f"has the column {name} twice", way_out)


def _block(cells: dict[str, str], where: str) -> Block:
    name = cells["id"].strip()
    _check_name(name, where)
    lower = _integer(cells["lower"], "lower", where)
    upper = _integer(cells["upper"], "upper", where)
    if upper < lower:
        raise BadProblem(
            where, f"ends at {upper} before it starts at {lower}", "lifetimes are lower <= t < upper"
        )
    role = cells.get("role", "").strip() or str(Role.ACTIVATION)
    if role not in set(Role):
        raise BadProblem(where, f"has an unknown role {role[:MAX_NAME]!r}", f"roles are {', '.join(Role)}")
    alignment = cells.get("alignment", "").strip()
    try:
        return Block(
            name,
            _integer(cells["size"], "size", where),
            Interval(lower, upper),
            Role(role),
            _integer(alignment, "alignment", where) if alignment else 1,
            tuple(_shrink(part, where) for part in cells.get("shrinks", "").split()),
        )
    except BadProblem as error:
        if error.thing == where:
            raise
        raise BadProblem(where, f"{error.thing} {error.reason}", error.way_out) from error


def _check_name(name: str, where: str) -> None:
    if not name or len(name) > MAX_NAME:
        raise BadProblem(where, f"has an id of {len(name)} characters", f"use 1 to {MAX_NAME}")
    if name != name.strip() or not name.isprintable():
        raise BadProblem(where, f"has the id {name!r}", "leave out spaces around it and control characters")


def _shrink(text: str, where: str) -> tuple[int, int]:
    time, _, size = text.partition(":")
    return _integer(time, "shrinks", where), _integer(size, "shrinks", where)


def _overlap(text: str, new: Block, where: str) -> Overlap:
    distance, _, old = text.partition(":")
    return Overlap(old.strip(), new.name, _integer(distance, "overlaps", where))


def _integer(text: str, column: str, where: str) -> int:
    text = text.strip()
    if not _INTEGER.fullmatch(text):
        raise BadProblem(where, f"has {text[:40]!r} as {column}", "write a whole number")
    value = int(text)
    if not -MAX_BYTES < value < MAX_BYTES:
        raise BadProblem(where, f"has {column} {text}, beyond ±{MAX_BYTES}", "check the number")
    return value
