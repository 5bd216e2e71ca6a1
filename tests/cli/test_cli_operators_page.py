"""The page of operators says what the tables say."""

from __future__ import annotations

from pathlib import Path

from mcusim.cli.operators_page import page
from mcusim.graph import OpKind

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"


def test_the_page_is_up_to_date_and_has_a_row_for_every_kind() -> None:
    text = PAGE.read_text("utf-8")
    assert text == page(), "python -m mcusim.cli.operators_page > docs/operators.md"
    assert all(f"| `{kind.name}` |" in text for kind in OpKind)
