"""What a session would need: memory to the byte, work, and modelled time, without running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mcusim.core import FLASH_ROLES, SRAM_ROLES, LiveBlock, OutOfSram, Phase, Role
from mcusim.core.errors import OutOfFlash
from mcusim.events import Header
from mcusim.lowering.digest import digest
from mcusim.lowering.features import dense_feature_bytes, saved_feature_bytes
from mcusim.lowering.flash import FlashLayout
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board
from mcusim.mcu.cycles.cycles import Estimate
from mcusim.memory.bound import Bound
from mcusim.memory.planners import best
from mcusim.memory.problem import Problem, Solution
from mcusim.planning.facts import (
    flash_fact,
    flash_shares,
    measured_facts,
    region_facts,
    time_facts,
    work_facts,
)
from mcusim.planning.regions import Filled, filled, outside_at_least, outside_bytes
from mcusim.planning.settings import Decided
from mcusim.sections.kinds import Facts, Headline, Notes, Section, Shares
from mcusim.sections.shown import Shown
from mcusim.simplify import Simplified
from mcusim.traces.explanation import Explanation, title_of
from mcusim.traces.template import OpSpan, StepTemplate, step_template
from mcusim.update.tinytraining import accounting

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Shown):
    """A placed training step.

    ``peak_bytes`` is the end of the highest block, holes included; ``live_bytes`` is what is live at
    the fullest moment, ``bound.bytes`` what no placement can beat.
    """

    step: Step
    problem: Problem
    solution: Solution
    bound: Bound
    board: Board
    settings: Decided
    flash: FlashLayout
    estimate: Estimate | None
    """Cycles and time; ``None`` where the board has no cycle profile."""
    suggestions: tuple[str, ...] = ()
    network: Simplified | None = None
    """How the network of ``step`` came from the one that was given; ``None`` if it is that one."""

    @property
    def fits(self) -> bool:
        """True if the step fits in the SRAM and the constants fit in flash."""
        return self.peak_bytes <= self.settings.sram_bytes and not self.apart and self.flash.fits

    @cached_property
    def apart(self) -> str:
        """What no block of SRAM holds by itself; empty where SRAM is one block, or each tensor has room."""
        if not self.problem.gaps:
            return ""
        largest = max(self.problem.blocks, key=lambda b: b.bytes)
        run, size = self.board.longest_run(self.settings.sram_bytes)
        if largest.bytes > size:
            what = f"{largest.name} of {largest.bytes:,} B"
            return f"{what} is larger than {run}, the largest block of SRAM ({size:,} B)"
        return ""

    @property
    def peak_bytes(self) -> int:
        """Bytes of SRAM this placement needs."""
        return self.solution.height

    @property
    def board_name(self) -> str:
        """Name of the board."""
        return self.board.name

    @cached_property
    def fullest(self) -> int:
        """The op during which most bytes are live; where tensors overlap, at the offsets they have."""
        if not self.step.overlaps:
            return self.bound.time
        profile = self.step.live_profile(self.solution.offsets)
        most = max(profile)
        return self.bound.time if profile[self.bound.time] == most else profile.index(most)

    @cached_property
    def by_role(self) -> dict[Role, int]:
        """Bytes of each role at the fullest moment; they sum to the live bytes there."""
        live = self.step.live_bytes(self.fullest, self.solution.offsets)
        return {role: live.get(role, 0) for role in SRAM_ROLES}

    @property
    def live_bytes(self) -> int:
        """Bytes live at the fullest moment."""
        return sum(self.by_role.values())

    @cached_property
    def regions(self) -> tuple[Filled, ...]:
        """What lies in each region of SRAM, and what a step moves there."""
        return filled(self.problem, self.step, self.board, self.solution.offsets)

    @property
    def static_peak_bytes(self) -> int:
        """Peak of a static plan of the same step: what a dynamic allocator's peak compares with."""
        if self.settings.allocator is None:
            return self.peak_bytes
        return best(self.problem, seed=self.settings.seed).height

    @property
    def peak_op(self) -> str:
        """Name of the op during which most bytes are live."""
        return self.step.ops[self.fullest].name

    def live_tensors(self) -> list[LiveBlock]:
        """Return the tensors live at the fullest moment, largest first; of shared bytes the new one's."""
        live = self.step.live(self.fullest, self.solution.offsets)
        found = [LiveBlock(tensor.name, str(tensor.role), size) for tensor, size in live]
        return sorted(found, key=lambda block: (-block.bytes, block.name))

    def template(self) -> StepTemplate:
        """Return the events of one step, and of what is resident before and after."""
        ops = self.step.ops
        cycles = [0] * len(ops) if self.estimate is None else self.estimate.cycles
        spans = [OpSpan(op.name, str(op.phase), count) for op, count in zip(ops, cycles, strict=True)]
        return step_template(
            self.problem, self.solution.offsets, spans, resident=self.step.resident, reuses=self.step.reuses()
        )

    def explain(self) -> Explanation:
        """Say when the peak is, what it is made of, and, once asked for, what would lower it."""
        return Explanation(
            title=title_of(self.header),
            capacity_bytes=self.settings.sram_bytes,
            peak_bytes=self.peak_bytes,
            lower_bound_bytes=self.bound.bytes,
            op=self.peak_op,
            phase=str(self.step.ops[self.fullest].phase),
            live=self.live_tensors(),
            planner=self.header.planner,
            suggestions=self.suggestions,
        )

    def require(self) -> None:
        """Raise if the session cannot run.

        Raises:
            OutOfSram, OutOfFlash: with what is missing, what the peak is made of, and what would help.
        """
        if not self.flash.fits:
            raise OutOfFlash(
                capacity_bytes=self.flash.capacity_bytes, needed_bytes=self.flash.total_bytes,
                live=[LiveBlock(str(r), str(r), b) for r, b in self.flash.by_role.items()],
                suggestions=self.suggestions,
            )  # fmt: skip
        if not self.fits:
            raise OutOfSram(
                capacity_bytes=self.settings.sram_bytes, needed_bytes=self.solution.height,
                live=self.live_tensors(),
                where=f"{self.peak_op}; {self.apart}" if self.apart else self.peak_op,
                suggestions=self.suggestions,
            )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; the keys are documented in the README."""
        step, model = self.step, self.step.model
        saved, dense = saved_feature_bytes(step), dense_feature_bytes(model)
        updated = step.scope.weights_updated(model)
        patches = self.settings.patches
        return {
            "model": model.name,
            "board": self.board.name,
            "update": self.settings.update,
            "task": None if step.goals is None else step.goals.name,
            "fits": self.fits,
            "sram": {
                "budget_bytes": self.settings.sram_bytes,
                "peak_bytes": self.peak_bytes,
                "lower_bound_bytes": self.bound.bytes,
                "live_bytes": self.live_bytes,
                "by_role": {str(r): b for r, b in self.by_role.items()},
                "peak_op": self.peak_op,
                "regions": [row.as_dict() for row in self.regions],
                "planner": self.solution.winner or self.solution.planner,
                "status": str(self.solution.status),
                "allocator": self.settings.allocator,
                "static_peak_bytes": self.static_peak_bytes,
                "residency": str(step.residency),
                "patches": None if patches is None else str(patches),
            },
            "flash": {
                "capacity_bytes": self.flash.capacity_bytes,
                "total_bytes": self.flash.total_bytes,
                "by_role": {str(r): self.flash.by_role.get(r, 0) for r in FLASH_ROLES},
                "fits": self.flash.fits,
            },
            "features": {
                "saved_bytes": saved,
                "dense_bytes": dense,
                "reduction": 1 - saved / dense if dense else 0.0,
                "pattern": self.settings.formats.feature,
                "pruned": dict(step.saved_pixels),
            },
            "weights": {
                "updated": updated,
                "conv_total": model.conv_weights,
                "ratio": updated / model.conv_weights if model.conv_weights else 0.0,
            },
            "accounting": {"tiny_training_kb": round(accounting(model, step.scope).kilobytes, 3)},
            "macs": {
                "forward": step.macs(Phase.FORWARD),
                "backward": step.macs(Phase.BACKWARD, Phase.UPDATE),
                "recomputed": step.patch_macs,
            },
            "time": self._time(),
            "formats": self.settings.as_dict()["formats"],
        }

    def __repr__(self) -> str:
        return f"<Plan {self.title}: {self.peak_bytes:,} B, {self.verdict}>"

    @property
    def title(self) -> str:
        """What was planned, in one line."""
        of = "" if self.settings.output is None else f" of {self.settings.output}"
        task = "" if self.step.goals is None else f"{self.step.goals.name}{of}, "
        return f"{self.step.model.name} on {self.board.name}, {task}update {self.settings.update}"

    @property
    def verdict(self) -> str:
        """Does it fit, and by how much, in one line."""
        room = self.settings.sram_bytes - self.peak_bytes
        if not self.flash.fits:
            missing = self.flash.total_bytes - self.flash.capacity_bytes
            return f"does not fit: {missing:,} B of flash are missing"
        if self.apart:
            return f"does not fit: {self.apart}"
        if room < 0:
            return f"does not fit: {-room:,} B of SRAM are missing at {self.peak_op}"
        return f"fits, {room:,} B of SRAM to spare"

    def sram_shares(self) -> Shares:
        """Return bytes of each role at the peak, holes included."""
        rows = [*self.by_role.items(), ("holes", self.peak_bytes - self.live_bytes)]
        return Shares.of("SRAM at the peak", rows, "peak")

    def sections(self) -> list[Section]:
        """Return the verdict, the facts, what SRAM and flash are made of, and what would lower the peak."""
        found: list[Section] = [
            Headline(self.title, self.verdict, self.fits), Facts(self._facts()),
            self.sram_shares(), flash_shares(self.flash),
        ]  # fmt: skip
        if self.suggestions:
            what = "what would lower the peak" if self.flash.fits else "what would help"
            found.append(Notes(self.suggestions, what))
        return found

    def _facts(self) -> list[tuple[str, str]]:
        settings, solution = self.settings, self.solution
        formats = settings.formats
        proof = "" if solution.status != "optimal" else ", no placement is lower"
        rows = [
            ("SRAM", f"{self.peak_bytes:,} of {settings.sram_bytes:,} B"),
            *self._region_facts(),
            ("peak at", f"{self.peak_op} ({solution.winner or solution.planner}{proof})"),
            ("flash", flash_fact(self.flash)),
            *work_facts(self.step, formats.feature),
        ]
        if self.network is not None and self.network.gone:
            gone = ", ".join(f"{count} {kind}" for kind, count in self.network.gone.items())
            rows.append(("simplified", f"the device runs the same network without {gone}"))
        if self.step.scope.learns:
            rows.append(("formats", ", ".join(f"{part} {name}" for part, name in formats.as_dict().items())))
            rows.append(("residency", str(self.step.residency)))
        if settings.allocator is not None:
            more = self.peak_bytes - self.static_peak_bytes
            rows.append(("allocator", f"{settings.allocator}, {more:+,} B against a static plan"))
        if settings.patches is not None:
            rows.append(("patches", str(settings.patches)))
        return rows + measured_facts(self.board, self.step) + time_facts(self.estimate, self.board)

    def _region_facts(self) -> list[tuple[str, str]]:
        if len(self.board.sram_runs) < 2:
            return []
        outside = self.settings.sram_bytes > self.board.inside_bytes
        least = outside_at_least(self.problem, self.step, self.board) if outside else 0
        return region_facts(self.regions, least)

    def measured(self) -> dict[str, Any] | None:
        """Return what was measured of a firmware on this board; ``None`` where ``runtime`` is an allowance.

        ``same_step`` says if it was this very step: only then are its instructions those of the plan.
        """
        runtime = self.board.runtime
        if runtime.step is None:
            return None
        return {
            **runtime.step.as_dict(), "same_step": runtime.step.step == digest(self.step),
            "application_bytes": runtime.application_bytes,
            "application_code_bytes": runtime.application_code_bytes,
        }  # fmt: skip

    def _time(self) -> dict[str, Any] | None:
        return None if self.estimate is None else self.estimate.as_dict()

    @property
    def table(self) -> pd.DataFrame:
        """Bytes of each role at the fullest moment."""
        import pandas as pd

        rows = [(str(r), b, b / self.live_bytes) for r, b in self.by_role.items()]
        return pd.DataFrame(rows, columns=["role", "bytes", "share"]).set_index("role")

    @property
    def header(self) -> Header:
        """What a trace of this plan says about itself."""
        return Header(
            model=self.step.model.name, board=self.board.name, scheme=self.settings.update,
            seed=self.settings.seed,
            formats={k: str(v) for k, v in self.settings.as_dict()["formats"].items()},
            sram_bytes=self.settings.sram_bytes,
            profile="" if self.estimate is None else self.estimate.profile.name,
            planner=self.solution.winner or self.solution.planner, clock_hz=self.board.clock_hz,
        )  # fmt: skip

    @property
    def operations(self) -> pd.DataFrame:
        """One row an op: name, phase, MACs, live bytes, bytes moved outside, cycles and stalls."""
        import pandas as pd

        return pd.DataFrame(self.by_op())

    def by_op(self) -> list[Mapping[str, Any]]:
        """Return the rows of ``operations`` as plain data."""
        cycles: Sequence[int | None] = [None] * len(self.step.ops)
        stalls = cycles
        if self.estimate is not None:
            cycles, stalls = self.estimate.cycles, self.estimate.stalls
        rows: list[Mapping[str, Any]] = []
        profile = self.step.live_profile(self.solution.offsets)
        outside = outside_bytes(self.step, self.board, self.solution.offsets)
        for time, (op, live) in enumerate(zip(self.step.ops, profile, strict=True)):
            rows.append(
                {
                    "op": op.name, "action": str(op.action), "phase": str(op.phase), "kind": op.work.kind,
                    "macs": op.work.macs, "float_macs": op.work.float_macs, "live_bytes": live,
                    "scratch_bytes": self.step.tensors[op.scratch].bytes if op.scratch else 0,
                    "outside_bytes": outside[time], "cycles": cycles[time], "stall_cycles": stalls[time],
                }
            )  # fmt: skip
        return rows
