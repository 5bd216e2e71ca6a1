"""Boards and schemes side by side: what fits, how long a step takes, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import BadBoard, Figure, OutOfFlash, parse_bytes
from mcusim.core.chosen import chosen
from mcusim.core.counted import counted
from mcusim.files.load import network
from mcusim.graph import Model
from mcusim.lowering.flash import checkpoint_bytes
from mcusim.mcu.board import Board
from mcusim.mcu.board_files import board as find_board
from mcusim.mcu.energy import energy
from mcusim.mcu.flash.write_back import write_back
from mcusim.planning.plan import Plan
from mcusim.planning.settings import Settings
from mcusim.sections.kinds import Column, Headline, Notes, Section, Table
from mcusim.sections.shown import Shown
from mcusim.session.session import Session
from mcusim.update.scheme import Scheme

if TYPE_CHECKING:
    import pandas as pd


COLUMNS = (
    Column("board", kind="name"), Column("update"), Column("fits"), Column("peak", "B", "number"),
    Column("of", "B", "number", 3), Column("time a step", "ms", "number", 1),
    Column("energy a step", "mJ", "number", 2), Column("write-backs", "", "number", 4),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """One scheme on one board. ``missing`` says why a figure is ``None``."""

    plan: Plan
    step_ms: Figure | None
    step_mj: Figure | None
    """Energy of one step; its band is that of the time and the spread of power between laboratories."""
    write_backs: int | None
    """Times the learned parameters can be stored until the flash reaches its endurance; ``None`` if unknown,
    or if nothing learns."""
    missing: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        plan = self.plan
        return {
            "board": plan.board.name,
            "update": plan.settings.update,
            "fits": plan.fits,
            "budget_bytes": plan.settings.sram_bytes,
            "peak_bytes": plan.peak_bytes,
            "flash_bytes": plan.flash.total_bytes,
            "weights_updated": plan.step.scope.weights_updated(plan.step.model),
            "step_ms": None if self.step_ms is None else self.step_ms.as_dict(),
            "step_mj": None if self.step_mj is None else self.step_mj.as_dict(),
            "write_backs": self.write_backs,
            "missing": list(self.missing),
        }


@dataclass(frozen=True, slots=True)
class Comparison(Shown):
    """Every scheme on every board, boards in the order given."""

    model: Model
    rows: tuple[Candidate, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row a candidate; times in milliseconds, energies in millijoules."""
        import pandas as pd

        rows = []
        for row in self.rows:
            data = row.as_dict()
            for name in ("step_ms", "step_mj"):
                data[name] = data[name]["value"] if data[name] else None
            rows.append({k: v for k, v in data.items() if k != "missing"})
        return pd.DataFrame(rows).set_index(["board", "update"])

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"model": self.model.name, "rows": [row.as_dict() for row in self.rows]}

    def sections(self) -> list[Section]:
        """Return one row a candidate, and below them where times come from and what could not be said."""
        rows = [
            (
                row.plan.board.name, row.plan.settings.update, row.plan.fits, row.plan.peak_bytes,
                row.plan.settings.sram_bytes, row.step_ms, row.step_mj, row.write_backs,
            )
            for row in self.rows
        ]  # fmt: skip
        notes: dict[str, None] = {}
        for row in self.rows:
            notes.update(dict.fromkeys(row.missing))
            if row.step_ms is not None and row.plan.estimate is not None:
                profile = row.plan.estimate.profile.name
                notes[f"{row.plan.board.name}: time {row.step_ms.provenance}, {profile}"] = None
        found: list[Section] = [Headline(self.model.name), Table(COLUMNS, rows)]
        return [*found, Notes(tuple(notes), quiet=True)] if notes else found


def compare(
    model: Model | str | Path,
    boards: Iterable[Board | str | Path],
    updates: Sequence[str | Scheme],
    *,
    settings: Settings | None = None,
    **choices: Any,
) -> Comparison:
    """Plan every scheme on every board.

    Args:
        model: the network, or its name or path.
        boards: from ``mcusim.board``, or their names or paths.
        updates: schemes, as ``Session`` takes them.
        settings: the same for all, but ``sram`` is at most what is used: less where the board has less.
        choices: further settings by name, as ``Session`` takes them.

    Returns:
        A row for every scheme on every board, those that do not fit included.

    Raises:
        UnknownName: for an unknown scheme.
        BadArgument: if a scheme does not suit the network.
    """
    wanted = chosen(settings or Settings(), choices)
    model, rows = network(model), []
    for board, update in counted(list(product(map(find_board, boards), updates))):
        most = board.sram_bytes if wanted.sram is None else min(parse_bytes(wanted.sram), board.sram_bytes)
        here = replace(wanted, sram=most)
        rows.append(candidate(Session(model, board, update, settings=here).plan()))
    return Comparison(model, tuple(rows))


def candidate(plan: Plan) -> Candidate:
    """Return time, energy and flash life of a plan, as far as the board's figures allow."""
    missing: list[str] = []
    estimate, board = plan.estimate, plan.board
    joules, writes = None, None
    if estimate is None:
        missing.append(f"{board.name} has no cycle profile")
    else:
        try:
            joules = energy(board, estimate.time_ms.scaled(1e-3, "s")).figure
        except BadBoard as error:
            missing.append(f"{error.thing}: {error.reason}")
    learned = checkpoint_bytes(plan.step)
    try:
        writes = write_back(board, learned, places=plan.flash.copies).sessions if learned else None
    except (BadBoard, OutOfFlash) as error:
        missing.append(f"{error.thing}: {error.reason}")
    return Candidate(plan, None if estimate is None else estimate.time_ms, joules, writes, tuple(missing))
