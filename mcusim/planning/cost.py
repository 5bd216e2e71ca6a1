"""What a whole session costs on its device: time, energy, write-backs, wear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.core import BadArgument, BadBoard, Figure, Provenance
from mcusim.core.errors import OutOfFlash
from mcusim.lowering.flash import checkpoint_bytes
from mcusim.lowering.residency import Residency
from mcusim.mcu.board import Board
from mcusim.mcu.cycles.cycles import Estimate
from mcusim.mcu.cycles.cycles import estimate as cycles_of
from mcusim.mcu.cycles.profile import of_own_kernels
from mcusim.mcu.energy import energy, energy_at_most
from mcusim.mcu.flash.write_back import write_back
from mcusim.sections.kinds import Facts, Section, duration
from mcusim.sections.shown import Shown
from mcusim.update.cost import Cost
from mcusim.update.scheme import Scheme

if TYPE_CHECKING:
    from mcusim.planning.plan import Plan

NOT_COUNTED = "evaluation, sensor and sleep are not counted"
MOST_STEPS = 10**12


@dataclass(frozen=True, slots=True)
class SessionCost(Shown):
    """Steps and write-backs of a session on one board. ``missing`` says why a figure is ``None``.

    Evaluation is not counted: a device in use has no test images. Nor is sleep: see the timeline.
    """

    steps: int
    write_backs: int
    """Times the learned parameters go back to flash: at the end, and where they live in flash at the end
    of every stage."""
    compute_s: Figure | None
    """All steps, with the error band of the time of a step."""
    choosing_s: Figure | None
    """Choosing channels at the start of every stage: at most that, where what was observed decides."""
    writing_s: Figure | None
    """All write-backs. The core is taken to wait, which bounds parts that read while they write."""
    energy_mj: Figure | None
    """Of all three; the band is that of the time and the spread of power between laboratories together."""
    sessions: int | None
    """Sessions like this until the flash reaches its endurance; ``None`` if nothing is written or known."""
    missing: tuple[str, ...] = ()
    energy_at_most_mj: Figure | None = None
    """By a limit of the supply, where nobody published what the board takes."""
    energy_parts_mj: Mapping[str, float] = field(default_factory=dict, hash=False)
    """What the energy is made of, by state and by region outside the chip."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        figures = {
            "compute_s": self.compute_s, "choosing_s": self.choosing_s, "writing_s": self.writing_s,
            "energy_mj": self.energy_mj, "energy_at_most_mj": self.energy_at_most_mj,
        }  # fmt: skip
        return {
            "steps": self.steps,
            "write_backs": self.write_backs,
            **{name: None if f is None else f.as_dict() for name, f in figures.items()},
            "energy_parts": [{"what": what, "mj": part} for what, part in self.energy_parts_mj.items()],
            "sessions_until_worn": self.sessions,
            "not_counted": NOT_COUNTED,
            "missing": list(self.missing),
        }

    def sections(self) -> list[Section]:
        """Return the facts."""
        return [Facts(self.facts())]

    def facts(self) -> list[tuple[str, str]]:
        """Return what the session costs, as pairs of a label and a text."""
        rows = [("session", f"{self.steps:,} steps; {NOT_COUNTED}")]
        if self.compute_s is not None:
            rows.append(
                (
                    "time",
                    f"{duration(self.compute_s.value)}{self.compute_s.band} ({self.compute_s.provenance})",
                )
            )
        if self.choosing_s is not None and self.choosing_s.value >= 0.05:
            took = f"{duration(self.choosing_s.value)} more at the start of stages"
            rows.append(("choosing", f"{took} ({self.choosing_s.provenance})"))
        if self.energy_mj is not None:
            found = self.energy_mj
            said = f"{found.provenance}: {found.source}"
            rows.append(("energy", f"{found.value / 1000:,.4g} J{found.band} ({said})"))
        if len(self.energy_parts_mj) > 1:
            total = sum(self.energy_parts_mj.values())
            shares = (f"{what} {part / total:.1%}" for what, part in self.energy_parts_mj.items())
            rows.append(("spent on", ", ".join(shares)))
        if self.energy_at_most_mj is not None:
            most = self.energy_at_most_mj
            rows.append(("energy", f"at most {most.value / 1000:,.4g} J ({most.source})"))
        if self.writing_s is not None and self.write_backs:
            rows.append(("write-backs", f"{self.write_backs:,}, {duration(self.writing_s.value)} in all"))
        if self.sessions is not None:
            rows.append(("life of the flash", f"{self.sessions:,} such sessions"))
        return rows + [("missing", line) for line in self.missing]


def write_backs_of(plan: Plan, stage: int | None, steps: int) -> int:
    """Return how often a session of ``steps`` steps writes back, with stages of ``stage`` steps."""
    if not steps or not checkpoint_bytes(plan.step):
        return 0
    if stage is None or plan.step.residency is not Residency.FLASH:
        return 1
    return _stages(plan, stage, steps)


def _stages(plan: Plan, stage: int | None, steps: int) -> int:
    """Return how many stages begin in so many steps; a stage ends only after an update."""
    if stage is None:
        return int(steps > 0)
    accumulate = plan.settings.sgd.accumulate
    return -(-steps // (-(-stage // accumulate) * accumulate))


def session_cost(plan: Plan, scheme: Scheme, steps: int, *, cycles: int | None = None) -> SessionCost:
    """Return what ``steps`` steps of a plan cost, and writing back what they learned.

    Args:
        plan: where and how they run; its estimate gives the cycles of a step.
        scheme: its stages decide how often weights that live in flash are written back.
        steps: batch-1 training steps.
        cycles: of all steps together, if their plans differed; those of ``plan`` by default.

    Raises:
        BadArgument: if ``steps`` is negative or absurd.
    """
    if not 0 <= steps <= MOST_STEPS:
        raise BadArgument(f"{steps} steps", f"are not within 0 and {MOST_STEPS:,}", "count batch-1 steps")
    board, missing = plan.board, []
    compute = choosing = writing = joules = sessions = None
    if not plan.fits:
        return SessionCost(
            steps, 0, None, None, None, None, None, ("the step does not fit: there is no session",)
        )
    if plan.estimate is None:
        missing.append(f"{board.name} has no cycle profile: neither time nor energy of a session")
    else:
        one = plan.estimate.total_cycles
        count = steps * one if cycles is None else cycles
        compute = plan.estimate.time_ms.scaled(count / max(1, one) / 1000, "s")
        choosing = _choosing(plan.estimate, scheme.cost(plan.step.model), _stages(plan, scheme.stage, steps))
    writes = write_backs_of(plan, scheme.stage, steps)
    if not writes:
        writing = Figure(0.0, "s", Provenance.EXACT, "nothing is written back")
    try:
        back = write_back(board, checkpoint_bytes(plan.step), places=plan.flash.copies) if writes else None
        sessions = None if back is None else back.sessions // writes
    except (BadBoard, OutOfFlash) as error:
        missing.append(_why(error, board))
        back = None
    if back is not None:
        try:
            writing = back.time_ms.scaled(writes / 1000, "s")
        except BadBoard as error:
            missing.append(_why(error, board))
    most, parts = None, {}
    if compute is not None:
        written = 0.0 if writing is None else writing
        try:
            found = energy(board, _together(compute, choosing), written, moved=_moved(plan, compute))
            joules, parts = found.figure, dict(found.parts)
            missing += found.unknown
        except BadBoard as error:
            most = energy_at_most(board, _together(compute, choosing, writing))
            missing += [_why(error, board)] if most is None else []
    if joules is not None and writing is None:
        missing.append("the energy is that of the steps alone: the time of a write-back is unknown")
    return SessionCost(
        steps, writes, compute, choosing, writing, joules, sessions, tuple(missing), most, parts
    )


def _moved(plan: Plan, compute: Figure) -> dict[str, float]:
    """Return the bytes that a session moves outside the chip, by region, as every step moves them."""
    if plan.estimate is None:
        return {}
    steps = compute.value / max(plan.estimate.seconds, 1e-12)
    return {
        use.region.name: (use.read_bytes + use.written_bytes) * steps
        for use in plan.estimate.regions if use.region.external
    }  # fmt: skip


def _choosing(estimate: Estimate, cost: Cost, stages: int) -> Figure:
    """Return the seconds in which so many stages choose channels: only kernels of our own do that."""
    profile = of_own_kernels(estimate.board.core) or estimate.profile
    once, each = (cycles_of([work], estimate.board, profile).time_ms for work in (cost.first, cost.stage))
    return Figure(
        (bool(stages) * once.value + stages * each.value) / 1000, "s", Provenance.MODELLED,
        f"executed by the C kernels that choose: {profile.source}",
    )  # fmt: skip


def _together(*times: Figure | None) -> Figure:
    """Return the seconds of all that is known, with the ends of their bands."""
    known = [time for time in times if time is not None]
    if len(known) == 1 or not any(time.value for time in known[1:]):
        return known[0]
    low, high = (
        sum(time.value if end is None else end for time, end in ends)
        for ends in ([(t, t.low) for t in known], [(t, t.high) for t in known])
    )
    return Figure(sum(t.value for t in known), "s", Provenance.MODELLED, known[0].source, low, high)


def _why(error: BadBoard | OutOfFlash, board: Board) -> str:
    """Name what is missing and the file, without the folder: it is stored with runs."""
    return f"{error.thing}: {error.reason} ({Path(board.file or board.name + '.toml').name})"
