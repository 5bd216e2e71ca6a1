"""A verdict as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

from mcusim.gate.verdict import Verdict

MOST_ROWS = 200
"""Rows shown; hosts of code refuse comments of more than 65,536 characters."""
_SIGNS = {"ok": "✅", "over": "❌", "grew": "⚠️", "error": "❌"}


def markdown(verdict: Verdict) -> str:
    """Return a headline, a table of all figures and the list of what is wrong."""
    lines = [
        f"### {'✅' if verdict.holds else '❌'} Memory, time and energy budgets: {verdict.line}", "",
        "| | budget | quantity | figure | limit | change |", "|---|---|---|--:|--:|--:|",
    ]  # fmt: skip
    # What is wrong comes first: where rows are left out, they are not those.
    rows = sorted(verdict.rows(), key=lambda row: row[5] == "ok")
    for name, quantity, figure, limit, change, state in rows[:MOST_ROWS]:
        changed = "" if change is None else f"{change:+.2%}" if change else "0"
        cells = (_SIGNS[state], name, quantity, figure, limit, changed)
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    if len(rows) > MOST_ROWS:
        lines.append(f"\n{len(rows) - MOST_ROWS:,} more figures hold.")
    problems = [
        f"- **{_cell(item.name)}**: {_cell(problem)}"
        for item in verdict.wrong[:MOST_ROWS]
        for problem in item.problems(increases=verdict.increases)
    ]
    return "\n".join([*lines, *(["", *problems] if problems else [])]) + "\n"


def _cell(text: str) -> str:
    """Return text that cannot end a cell or begin a tag."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
