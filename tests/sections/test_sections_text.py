"""Sections as text: every width, every encoding, and nothing cut in the middle of a number."""

from __future__ import annotations

import io
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mcusim.core import Figure, Provenance
from mcusim.sections.html import element, fragment
from mcusim.sections.kinds import (
    Column,
    Command,
    Curve,
    Facts,
    Headline,
    Notes,
    Part,
    Section,
    Series,
    Shares,
    Table,
)
from mcusim.sections.terminal import show
from mcusim.sections.text import text
from mcusim.sections.wrapping import wrap

FIGURE = Figure(1234.5, "ms", Provenance.MODELLED, "a model", 1135.7, 1333.3)
COLUMNS = (
    Column("board", kind="name"), Column("update"), Column("fits"), Column("peak", "B", "number"),
    Column("time a step", "ms", "number", 1), Column("clipped", "", "share", 2),
    Column("change", "", "change", 3),
)  # fmt: skip
EXAMPLES: tuple[Section, ...] = (
    Headline("net on a board", "does not fit: 1,234 B are missing", good=False),
    Facts((("SRAM", "87,434 of 262,144 B"), ("a label that is longer than half of a line", "±8 %")), "facts"),
    Shares("SRAM at the peak", (Part("error", 61_440, (("grad:blocks.1.depthwise:grad_input", 49_152),)),
                                Part("holes", 22)), "peak"),
    Table(COLUMNS, (("nrf52840", "dynamic:ratio=0.05,stage=20", True, 1_234_567, FIGURE, 0.25, -12),
                    ("rp2040", "head", False, 21_800, None, None, 0.5)), "boards",
          ("all", "", "", 1_256_367, None, None, None)),
    Series("history", "epochs", (Curve("loss", (2.3, 1.1, 0.4)), Curve("accuracy", (0.1, 0.5, 0.9), "%"))),
    Notes(("first: 1,000 B less", "second"), "what would lower the peak"),
    Command("mcusim plan --model net --board nrf52840", "again"),
)  # fmt: skip


def test_there_is_an_example_of_every_kind():
    assert {type(example) for example in EXAMPLES} == set(get_args(Section))


@pytest.mark.smoke
@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_every_kind_fits_every_width_and_encoding(width, encoding):
    shown = text(EXAMPLES, width, encoding)
    shown.encode(encoding)
    assert max(map(len, shown.splitlines())) <= width
    for number in ("61,440", "49,152", "1,234,567", "21,800", "1,256,367", "87,434 of 262,144 B"):
        assert number in shown
    assert "grad:blocks.1.depthwise:grad_input" in re.sub(r"\n +", "", shown)


def test_columns_are_left_out_by_priority_and_named():
    table = EXAMPLES[3]
    wide, narrow = text([table], 100), text([table], 60)
    assert "no room" not in wide
    for said in ("1,234 ±8%", "25.0%", " -12", "+50.0%", "yes", "no", "–"):
        assert said in wide
    assert "no room at 60 columns for: clipped; change" in narrow
    assert "1,234 ±8%" in narrow
    assert " -12" not in narrow


def test_a_long_name_breaks_at_a_seam():
    table = Table(
        (Column("update"), Column("peak", "B", "number")), [("dynamic:ratio=0.05,stage=20", 12_345)]
    )
    assert text([table], 30).splitlines()[-2:] == ["dynamic:ratio=0.05,     12,345", "stage=20"]


def test_ascii_has_no_other_characters():
    assert text([EXAMPLES[2]], 100, "ascii").count("#") == 24
    assert "+/-8 %" in text([EXAMPLES[1]], 60, "ascii")
    assert "±8 %" in text([EXAMPLES[1]], 60, "cp1252")
    assert "\\u4e2d" in text([Headline("中")], 60, "ascii")


def test_shares_add_up():
    shares = Shares.of("all", [("a", 30), ("b", 0), ("c", 10)], "sum")
    assert [part.name for part in shares.parts] == ["a", "c"]
    assert shares.total == 40
    assert "75.0%" in text([shares])
    assert "0" in text([Shares.of("none", [], "sum")])


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=12), st.integers(20, 120))
def test_numbers_are_never_cut(numbers, width):
    words = [f"{number:,} B" for number in numbers]
    lines = wrap("; ".join(words), width)
    assert " ".join(lines) == "; ".join(words)
    for word in words:
        assert any(word in line for line in lines)


@given(st.text(alphabet="ab1.,:/_= ", max_size=80), st.integers(20, 60))
def test_wrapping_loses_nothing(said, width):
    assert "".join("".join(wrap(said, width)).split()) == "".join(said.split())


def test_html_escapes_names():
    evil = "<script>'1'</script>&\""
    sections = (
        Headline(evil, evil), Facts(((evil, evil),), evil),
        Shares(evil, (Part(evil, 1, ((evil, 1),)),), evil),
        Table((Column(evil),), ((evil,),), evil), Series(evil, evil, (Curve(evil, (1.0, 2.0)),)),
        Notes((evil,), evil), Command(evil, evil),
    )  # fmt: skip
    assert {type(section) for section in sections} == set(get_args(Section))
    for section in sections:
        assert "<script>" not in element(section)
        assert "&lt;script&gt;" in element(section)


def test_html_aligns_numbers_to_the_right_and_words_to_the_left():
    shown = fragment(EXAMPLES)
    assert '<td class="n">1,234,567</td>' in shown
    assert "<td>dynamic:ratio=0.05,stage=20</td>" in shown
    assert "td.n" in shown


def test_html_is_well_formed():
    from xml.etree import ElementTree

    ElementTree.fromstring(fragment(EXAMPLES))


@pytest.mark.parametrize("width", [60, 120])
def test_a_terminal_gets_the_same_text_with_colors(width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="standard")
    show(EXAMPLES, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1;31m" in said  # the verdict is bad
    plain = re.sub(r"\x1b\[[\d;]*m", "", said)
    assert [line.rstrip() for line in plain.splitlines()] == text(EXAMPLES, width).splitlines()
