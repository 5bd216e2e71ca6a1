"""Sections as lines of a given width, in pieces that have a style: what text and terminal have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, assert_never

from mcusim.core.legible import legible
from mcusim.sections.kinds import Column, Command, Facts, Headline, Notes, Section, Series, Shares, Table
from mcusim.sections.spelling import spelled
from mcusim.sections.wrapping import pieces, wrap

Style = Literal["", "title", "good", "bad", "label", "bar"]
Line = list[tuple[str, Style]]

BAR: Final = 24
"""Characters of the longest bar."""
GAP: Final = 2
TEXT: Final = 14
"""A column of text is not made narrower than this while another could be left out."""
LEVELS: Final = "▁▂▃▄▅▆▇█"


def layout(sections: Iterable[Section], width: int = 100, encoding: str = "utf-8") -> Iterator[Line]:
    """Yield the lines of sections, one empty line between two.

    Args:
        sections: what to show.
        width: characters of a line; longer is only what cannot be broken, such as a command or a number.
        encoding: of the stream; what it does not have is spelled in ASCII.
    """
    first = True
    for section in sections:
        if not first:
            yield []
        first = False
        yield from _Layout(max(width, 20), encoding).lines(section)


class _Layout:
    def __init__(self, width: int, encoding: str) -> None:
        self.width = width
        self.encoding = encoding

    def lines(self, section: Section) -> Iterator[Line]:
        match section:
            case Headline():
                yield from self._headline(section)
            case Facts():
                yield from self._facts(section)
            case Shares():
                yield from self._shares(section)
            case Table():
                yield from self._table(section)
            case Series():
                yield from self._series(section)
            case Notes():
                yield from self._notes(section)
            case Command():
                yield from self._title(section.title)
                yield [(spelled(section.line, self.encoding), "")]
            case _:
                assert_never(section)

    def spell(self, text: str) -> str:
        return spelled(legible(text), self.encoding)

    def _title(self, title: str) -> Iterator[Line]:
        yield from _styled((line for line in wrap(self.spell(title), self.width) if line), "title")

    def _headline(self, section: Headline) -> Iterator[Line]:
        """Style the title and the verdict, wherever the line breaks."""
        style: Style = "" if section.good is None else "good" if section.good else "bad"
        words = self.spell(str(section))
        left = len(self.spell(section.title)) + (1 if section.title and section.verdict else 0)
        for line in wrap(words, self.width):
            head = line[: max(left, 0)]
            yield [(head, "title"), (line[len(head) :], style)]
            left -= len(line) + 1

    def _facts(self, section: Facts) -> Iterator[Line]:
        yield from self._title(section.title)
        rows = [(self.spell(label), self.spell(value)) for label, value in section.rows]
        side = max((len(label) for label, _ in rows if len(label) <= self.width // 2), default=0)
        for label, value in rows:
            fits = len(label) <= side
            room = self.width - side - GAP
            lines = wrap(value, room)
            if not fits and len(label) + GAP + len(value) <= self.width:
                yield [(label, "label"), (" " * GAP + value, "")]
                continue
            if not fits:
                yield [(label, "label")]
            for index, line in enumerate(lines):
                yield [(f"{label if fits and not index else '':<{side + GAP}}", "label"), (line, "")]

    def _shares(self, section: Shares) -> Iterator[Line]:
        title, whole = self.spell(section.title), self.spell(section.whole)
        rows: list[tuple[str, int, bool]] = []
        for part in section.parts:
            rows.append((self.spell(part.name), part.bytes, True))
            rows += [("  " + self.spell(name), size, False) for name, size in part.items]
        sizes = max(len(f"{section.total:,}"), len("bytes"))
        room = self.width - sizes - 6 - 2 * GAP
        side = min(max(map(len, (title, whole, *(name for name, *_ in rows)))), max(room, TEXT))
        bar = min(BAR, self.width - side - sizes - 6 - 3 * GAP)
        largest = max((part.bytes for part in section.parts), default=1)
        rule = self.spell("─") * (side + sizes + 6 + 2 * GAP)
        yield from self._named(title, side, f"{'bytes':>{sizes}}  {' share':>6}", "label")
        yield [(rule, "label")]
        for name, size, top in rows:
            numbers = f"{size:>{sizes},}" + (f"  {section.share(size):>6.1%}" if top else "")
            *before, last = wrap(name.strip(), side - 2 * (not top)) if len(name) > side else [name.strip()]
            indent = "" if top else "  "
            yield from _styled((indent + line for line in before), "" if top else "label")
            count = round(bar * size / largest) if top and bar > 3 else 0
            yield [
                (f"{indent + last:<{side}}  ", "" if top else "label"), (numbers, "" if top else "label"),
                ("  " + self.spell("█" * count) if count else "", "bar"),
            ]  # fmt: skip
        yield [(rule, "label")]
        yield from self._named(whole, side, f"{section.total:>{sizes},}", "title")

    def _named(self, name: str, side: int, numbers: str, style: Style) -> Iterator[Line]:
        *before, last = wrap(name, side)
        yield from _styled(before, style)
        yield [(f"{last:<{side}}  {numbers}", style)]

    def _table(self, section: Table) -> Iterator[Line]:
        yield from self._title(section.title)
        cells = [[self.spell(c.text(v)) for c, v in zip(section.columns, row, strict=True)]
                 for row in (*section.rows, *([section.last] if section.last else []))]  # fmt: skip
        heads = [self.spell(column.head) for column in section.columns]
        shown, widths = _fit(section.columns, heads, cells, self.width)
        rule: Line = [(self.spell("─") * (sum(widths) + GAP * (len(widths) - 1)), "label")]
        columns = [section.columns[i] for i in shown]

        def row(texts: Sequence[str], style: Style, *, low: bool = False) -> Iterator[Line]:
            blocks = [wrap(texts[i], width) for i, width in zip(shown, widths, strict=True)]
            height = max((len(block) for block in blocks), default=0)
            if low:  # a head stands on the line below it
                blocks = [[""] * (height - len(block)) + block for block in blocks]
            for y in range(height):
                parts = []
                for column, block, width in zip(columns, blocks, widths, strict=True):
                    text = block[y] if y < len(block) else ""
                    parts.append(f"{text:<{width}}" if column.left else f"{text:>{width}}")
                yield [((" " * GAP).join(parts), style)]

        yield from row(heads, "label", low=True)
        yield rule
        for index, texts in enumerate(cells):
            is_last = bool(section.last) and index == len(section.rows)
            if is_last:
                yield rule
            yield from row(texts, "title" if is_last else "")
        left_out = [head for i, head in enumerate(heads) if i not in shown]
        if left_out:
            note = f"no room at {self.width} columns for: {'; '.join(left_out)}"
            yield from _styled(wrap(note, self.width), "label")

    def _series(self, section: Series) -> Iterator[Line]:
        count = max((len(curve.values) for curve in section.curves), default=0)
        yield from self._title(f"{section.title}, {count:,} {section.axis}")
        rows = [
            (self.spell(c.name), self.spell(c.text(c.values[0])), self.spell(c.text(c.values[-1])), c.values)
            for c in section.curves
            if c.values
        ]
        names, firsts, lasts = (max((len(row[i]) for row in rows), default=0) for i in range(3))
        room = max(min(BAR, self.width - names - firsts - lasts - 3 * GAP), 4)
        for name, first, last, values in rows:
            yield [
                (f"{name:<{names}}  ", "label"), (f"{first:>{firsts}}  ", ""),
                (self.spell(_sparks(values, room)), "bar"), (f"  {last:>{lasts}}", ""),
            ]  # fmt: skip

    def _notes(self, section: Notes) -> Iterator[Line]:
        yield from self._title(f"{section.title}:" if section.title else "")
        style: Style = "label" if section.quiet else ""
        indent = "  " if section.title else ""
        for note in section.lines:
            for index, line in enumerate(wrap(self.spell(note), self.width - 2 * len(indent))):
                yield [((indent if not index else 2 * indent) + line, style)]


def _fit(
    columns: Sequence[Column], heads: Sequence[str], cells: Sequence[Sequence[str]], width: int
) -> tuple[list[int], list[int]]:
    """Return the columns that there is room for, and their widths: text wraps, then columns are left out."""
    full, wide, least = [], [], []
    for i, column in enumerate(columns):
        texts = [row[i] for row in cells]
        long = max(map(len, texts), default=0)
        word = max(map(len, heads[i].split()), default=0)
        parts = max((len(piece) for text in texts for piece in pieces(text)), default=0)
        full.append(max(long, word))
        wide.append(max(long, len(heads[i])))
        least.append(max(min(long, TEXT), parts, word) if column.kind == "text" else max(long, word))
    shown = list(range(len(columns)))

    def room() -> int:
        return width - GAP * (len(shown) - 1) - sum(least[i] for i in shown)

    while room() < 0 and (candidates := [i for i in shown if columns[i].priority]):
        shown.remove(max(candidates, key=lambda i: (columns[i].priority, i)))
    widths = [least[i] for i in shown]
    for _ in range(max(room(), 0)):  # first for the cells, then for the heads
        wanting = [place for place, i in enumerate(shown) if widths[place] < full[i]] or [
            place for place, i in enumerate(shown) if widths[place] < wide[i]
        ]
        if not wanting:
            break
        widths[min(wanting, key=lambda place: widths[place])] += 1
    return shown, widths


def _styled(lines: Iterable[str], style: Style) -> Iterator[Line]:
    for line in lines:
        yield [(line, style)]


def _sparks(values: Sequence[float], room: int) -> str:
    """Return a small curve, of at most ``room`` values evenly chosen."""
    if len(values) > room:
        values = [values[round(i * (len(values) - 1) / (room - 1))] for i in range(room)]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(LEVELS[round((len(LEVELS) - 1) * (value - low) / span)] for value in values)
