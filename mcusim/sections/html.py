"""Sections as HTML: a fragment for notebooks, and what the page is made of."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from mcusim.core.legible import legible
from mcusim.sections.colors import color
from mcusim.sections.kinds import Command, Curve, Facts, Headline, Notes, Section, Series, Shares, Table

STYLE: Final = """
.mcusim{font:14px/1.45 system-ui,sans-serif;max-width:62rem;text-align:left}
.mcusim .head{font-size:1.1em;margin:.2em 0 .7em}
.mcusim .good{color:#1b7f3b;font-weight:600}.mcusim .bad{color:#b3261e;font-weight:600}
.mcusim table{border-collapse:collapse;margin:.3em 0 1em;border:0}
.mcusim caption{text-align:left;font-weight:600;padding:.2em 0;caption-side:top;color:inherit}
.mcusim th,.mcusim td{text-align:left;padding:.12em 1.1em .12em 0;border:0;vertical-align:top;
background:none;white-space:normal;max-width:46rem}
.mcusim th{font-weight:600}.mcusim .facts th{font-weight:400;opacity:.7;white-space:nowrap}
.mcusim td.n,.mcusim th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.mcusim thead th,.mcusim tfoot td,.mcusim tfoot th{border-bottom:1px solid #8886}
.mcusim tfoot td,.mcusim tfoot th{border-bottom:0;border-top:1px solid #8886;font-weight:600}
.mcusim .item th,.mcusim .item td{opacity:.7;font-weight:400}.mcusim .item th{padding-left:1.2em}
.mcusim .bar{width:14rem;min-width:6rem}.mcusim .bar i{display:block;height:.75em;margin-top:.35em;
border-radius:2px;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.mcusim .wide{overflow-x:auto}
.mcusim .quiet{opacity:.7}.mcusim ul{margin:.2em 0 1em;padding-left:1.3em}.mcusim p{margin:.2em 0 .6em}
.mcusim pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3em 0 1em}
.mcusim svg.curve{width:14rem;height:2.2em;overflow:visible}
"""


def escape(text: str) -> str:
    """Return a text for HTML, without control characters and with long names short."""
    return html.escape(legible(text))


def fragment(sections: Iterable[Section]) -> str:
    """Return sections as one element with its own style."""
    return f'<div class="mcusim"><style>{STYLE}</style>{body(sections)}</div>'


def body(sections: Iterable[Section]) -> str:
    """Return sections as elements, all texts escaped."""
    return "\n".join(map(element, sections))


def element(section: Section) -> str:
    """Return one section as an element."""
    match section:
        case Headline():
            return _headline(section)
        case Facts():
            rows = (f'<tr><th scope="row">{escape(a)}</th><td>{escape(b)}</td></tr>' for a, b in section.rows)
            return f'<table class="facts">{_caption(section.title)}<tbody>{"".join(rows)}</tbody></table>'
        case Shares():
            return _shares(section)
        case Table():
            return _table(section)
        case Series():
            return _series(section)
        case Notes():
            return _notes(section)
        case Command():
            title = f"<p>{escape(section.title)}</p>" if section.title else ""
            return f"{title}<pre><code>{html.escape(section.line)}</code></pre>"
        case _:
            assert_never(section)


def _caption(title: str) -> str:
    return f"<caption>{escape(title)}</caption>" if title else ""


def _headline(section: Headline) -> str:
    kind = "" if section.good is None else "good" if section.good else "bad"
    title = f"<b>{escape(section.title)}</b>" if section.title else ""
    verdict = f'<span class="{kind}">{escape(section.verdict)}</span>' if section.verdict else ""
    return f'<p class="head">{": ".join(part for part in (title, verdict) if part)}</p>'


def _shares(section: Shares) -> str:
    largest = max((part.bytes for part in section.parts), default=1) or 1
    rows = []
    for part in section.parts:
        bar = f'<i style="width:{100 * part.bytes / largest:.1f}%;background:{color(part.name)}"></i>'
        rows.append(
            f'<tr><th scope="row">{escape(part.name)}</th><td class="n">{part.bytes:,}</td>'
            f'<td class="n">{section.share(part.bytes):.1%}</td><td class="bar">{bar}</td></tr>'
        )
        rows += [
            f'<tr class="item"><th scope="row">{escape(name)}</th><td class="n">{size:,}</td>'
            "<td></td><td></td></tr>"
            for name, size in part.items
        ]
    return (
        f'<table class="shares"><thead><tr><th scope="col">{escape(section.title)}</th>'
        '<th class="n" scope="col">bytes</th>'
        f'<th class="n" scope="col">share</th><td></td></tr></thead><tbody>{"".join(rows)}</tbody><tfoot><tr>'
        f'<th scope="row">{escape(section.whole)}</th><td class="n">{section.total:,}</td><td></td><td></td>'
        "</tr></tfoot></table>"
    )


def _table(section: Table) -> str:
    classes = ["" if column.left else ' class="n"' for column in section.columns]

    def row(values: Sequence[object], tag: str = "td") -> str:
        scope = ' scope="col"' if tag == "th" else ""
        cells = (f"<{tag}{c}{scope}>{escape(str(v))}</{tag}>" for c, v in zip(classes, values, strict=True))
        return f"<tr>{''.join(cells)}</tr>"

    def texts(values: Sequence[object]) -> list[str]:
        return [c.text(v) for c, v in zip(section.columns, values, strict=True)]  # type: ignore[arg-type]

    head = row([column.head for column in section.columns], "th")
    rows = "".join(row(texts(values)) for values in section.rows)
    foot = f"<tfoot>{row(texts(section.last))}</tfoot>" if section.last else ""
    head = f"{_caption(section.title)}<thead>{head}</thead>"
    return f'<div class="wide"><table class="data">{head}<tbody>{rows}</tbody>{foot}</table></div>'


def _series(section: Series) -> str:
    count = max((len(curve.values) for curve in section.curves), default=0)
    rows = (
        f'<tr><th scope="row">{escape(c.name)}</th><td class="n">{escape(c.text(c.values[0]))}</td>'
        f'<td>{_curve(c)}</td><td class="n">{escape(c.text(c.values[-1]))}</td></tr>'
        for c in section.curves
        if c.values
    )
    title = f"{section.title}, {count:,} {section.axis}"
    return f'<table class="series">{_caption(title)}<tbody>{"".join(rows)}</tbody></table>'


def _curve(curve: Curve) -> str:
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in _points(curve.values))
    label = escape(f"{curve.name} from {curve.text(curve.values[0])} to {curve.text(curve.values[-1])}")
    return (
        f'<svg class="curve" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )


def _points(values: Sequence[float]) -> Iterator[tuple[float, float]]:
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    for index, value in enumerate(values):
        yield 100 * index / max(len(values) - 1, 1), 19 - 18 * (value - low) / span


def _notes(section: Notes) -> str:
    quiet = ' class="quiet"' if section.quiet else ""
    if not section.title:
        return "".join(f"<p{quiet}>{escape(line)}</p>" for line in section.lines)
    items = "".join(f"<li>{escape(line)}</li>" for line in section.lines)
    return f"<p><b>{escape(section.title)}</b></p><ul{quiet}>{items}</ul>"
