"""What is confused with what: the matrix, each class by itself, pictures that are wrong."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.sections.html import element, escape
from mcusim.sections.kinds import Cell, Column, Notes, Table
from mcusim.session.answers import Answers

MOST_CLASSES = 40
"""Classes of a matrix that can still be read; of more there is the table."""
SIDE = 48
"""Most pixels of a side of a picture on a page."""
CLASSES = (
    Column("class", kind="name"), Column("there are", "", "number"), Column("found", "", "share"),
    Column("of what is called so, right", "", "share"), Column("most taken for", kind="name"),
)  # fmt: skip


def confusion(answers: Answers) -> str:
    """Return the matrix, the table of classes, and the pictures that are surest and wrong."""
    title = f"<h3>What is taken for what ({answers.counts.sum():,} {answers.part} {answers.unit})</h3>"
    matrix = _matrix(answers) if len(answers.names) <= MOST_CLASSES else ""
    return f'{title}<div class="wide">{matrix}</div>{element(_classes(answers))}{_wrong(answers)}'


def _matrix(answers: Answers) -> str:
    counts, names = answers.counts, [escape(name) for name in answers.names]
    totals = np.maximum(counts.sum(axis=1), 1)
    head = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    rows = []
    for i, name in enumerate(names):
        cells = []
        for j, other in enumerate(names):
            share = counts[i, j] / totals[i]
            said = f"{name} taken for {other}: {counts[i, j]:,} of {totals[i]:,} ({share:.1%})"
            kind = "hit" if i == j else "miss"
            cells.append(
                f'<td class="{kind}" style="--share:{share:.3f}" data-tip="{said}">'
                f"{counts[i, j] if counts[i, j] else ''}</td>"
            )
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return (
        '<table class="matrix"><caption>rows: what it is; columns: what it is taken for</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _classes(answers: Answers) -> Table:
    counts = answers.counts
    rows: list[list[Cell]] = []
    for i, name in enumerate(answers.names):
        there, called = int(counts[i].sum()), int(counts[:, i].sum())
        others = counts[i].copy()
        others[i] = 0
        worst = answers.names[int(others.argmax())] if others.any() else None
        found = counts[i, i] / there if there else None
        rows.append(
            [
                name, there, None if found is None else float(found),
                float(counts[i, i] / called) if called else None, worst,
            ]
        )  # fmt: skip
    return Table(CLASSES, rows)


def _wrong(answers: Answers) -> str:
    pictures = [one for one in answers.wrong if one.image.dtype == np.uint8 and one.image.ndim == 3]
    if not pictures:
        return ""
    items = []
    for one in pictures:
        said = f"{answers.names[one.wanted]}, taken for {answers.names[one.said]}"
        items.append(
            f'<figure><img alt="{answers.part} example {one.number}" src="{data_uri(one.image)}">'
            f"<figcaption>{escape(said)}</figcaption></figure>"
        )
    note = element(Notes((f"The {len(pictures)} wrong {answers.part} examples that it was surest of:",)))
    return f'{note}<div class="pictures">{"".join(items)}</div>'


def data_uri(image: NDArray[Any]) -> str:
    """Return a picture ``uint8 [H, W, 1 or 3]`` as an address that holds it: a PNG, made smaller if large."""
    step = -(-max(image.shape[:2]) // SIDE)
    small = np.ascontiguousarray(image[::step, ::step])
    height, width, planes = small.shape
    lines = b"".join(b"\0" + row.tobytes() for row in small)
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if planes == 3 else 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    whole = b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()
    return f"data:image/png;base64,{whole}"
