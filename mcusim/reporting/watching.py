"""How a run in a folder stands, while another process trains it or after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcusim.reporting.course import read_history
from mcusim.sections.kinds import Curve, Facts, Headline, Section, Series
from mcusim.sections.shown import Shown
from mcusim.session.run import is_whole


@dataclass(frozen=True, slots=True)
class Watched(Shown):
    """A run as far as it has come.

    Attributes:
        folder: of the run.
        rows: of its history.
        finished: everything that a finished run leaves is there.
    """

    folder: Path
    rows: Sequence[Mapping[str, Any]]
    finished: bool

    @property
    def standing(self) -> str:
        """How far it is, in one line."""
        if not self.rows:
            return "no step is written down yet"
        last = self.rows[-1]
        ended = "finished" if self.finished else "goes on, or was stopped"
        return f"{ended} at epoch {last['epoch']:.4g}, step {last['steps']:,.0f}"

    def curves(self) -> list[Curve]:
        """Return every quantity of the history over the rows in which it is known."""
        found = []
        for name in self.rows[0] if self.rows else ():
            values = [row[name] for row in self.rows if row[name] is not None]
            if name not in ("epoch", "steps") and values:
                unit = "%" if name.endswith("accuracy") or name == "coverage" else ""
                found.append(Curve(name.replace("_", " "), values, unit))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"folder": str(self.folder), "finished": self.finished, "rows": [dict(r) for r in self.rows]}

    def sections(self) -> list[Section]:
        """Return how far it is, and its curves."""
        found: list[Section] = [Headline(str(self.folder), self.standing)]
        if self.rows:
            last = self.rows[-1]
            known = [(n.replace("_", " "), f"{v:.6g}") for n, v in last.items() if v is not None]
            found.append(Facts(known))
            if len(self.rows) > 1:
                found.append(Series("history", "rows", self.curves()))
        return found


def watch(folder: str | Path) -> Watched:
    """Return how a run stands: one that goes on in another process, was stopped, or is finished.

    Args:
        folder: that a training writes (``out``).

    Returns:
        The rows of its history so far, and whether it is finished.

    Raises:
        BadRun: if there is no history in the folder, or it is damaged.
    """
    folder = Path(folder)
    return Watched(folder, read_history(folder), is_whole(folder))
