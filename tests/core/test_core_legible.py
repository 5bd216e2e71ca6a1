"""Text out of files: nothing in it reaches the terminal, and long names are cut in the middle."""

from __future__ import annotations

import pytest

from mcusim.core import BadModel
from mcusim.core.errors import LONGEST_PART
from mcusim.core.legible import LONGEST_WORD, escaped, legible, shortened

CONTROL = ["\x1b[31m", "\x07", "\r", "\x9b2J", "\u202e", "\u2028", "\ud800"]


@pytest.mark.parametrize("control", CONTROL)
def test_nothing_controls_a_terminal(control):
    for text in (escaped(f"a{control}b"), shortened(f"a{control}b"), legible(f"a{control}b c\nd")):
        assert control not in text
        assert text.replace("\n", "").isprintable()
        assert text.startswith("a\\")
    assert control not in str(BadModel(f"op {control}", f"'{control}' is wrong", control))


def test_a_name_is_cut_in_its_middle():
    name = "begin" + "x" * 300 + "end"
    assert len(shortened(name, 50)) == 50
    assert shortened(name, 50).startswith("beginx")
    assert shortened(name, 50).endswith("xend")
    assert (
        legible(f"op {name} of {name}")
        == f"op {shortened(name, LONGEST_WORD)} of {shortened(name, LONGEST_WORD)}"
    )
    assert legible("ä" * LONGEST_WORD) == "ä" * LONGEST_WORD


@pytest.mark.parametrize(
    "place", ["/tmp/", "./", "../", "~/", "C:\\", "https://example.org/", "git+https://a/"]
)
def test_paths_and_addresses_are_whole(place):
    text = f"see {place}{'d' * 300}/file for more"
    assert legible(text) == text


def test_what_a_library_says_of_a_whole_file_is_cut_too():
    said = str(BadModel("file", f"is damaged: {'word ' * 1000}", "get it again"))
    assert len(said) < LONGEST_PART + 100
    assert said.startswith("file: is damaged: word")
    assert said.endswith("(get it again)")
