"""Everything a person chooses about a session, as one value; and the same once all of it is decided.

Each choice is one field: see ``mcusim.core.setting`` for what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from mcusim.core import BadArgument, UnknownName, parse_bytes
from mcusim.core.chosen import Chosen
from mcusim.core.setting import NameChoice, setting
from mcusim.data.front_end import FrontEnd
from mcusim.data.replay import Rehearsal
from mcusim.graph import Model
from mcusim.graph.outputs import heads, with_outputs
from mcusim.lowering.patches import Patches
from mcusim.lowering.residency import Residency
from mcusim.mcu.board import Board
from mcusim.tasks.goals import SEPARATOR, spelled, weights_of
from mcusim.tasks.task import TASKS
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd

AUTO, ALL, OFF = "auto", "all", "off"


def parse_patches(value: Any) -> Any:
    """Read ``auto``, ``off`` or ``COUNT:OP``, e.g. ``2:blocks.2.pointwise2``; other values stay.

    Raises:
        BadArgument: if a text is none of these.
    """
    if not isinstance(value, str) or value == AUTO:
        return value
    if value in ("off", "none"):
        return None
    count, _, split = value.partition(":")
    if not count.isdecimal() or not split:
        raise BadArgument(f"patches {value!r}", "is not auto, off or COUNT:OP", "e.g. 2:blocks.2.pointwise2")
    return Patches(int(count), split)


def write_patches(patches: Patches | str | None) -> str:
    """Return what ``parse_patches`` reads."""
    if isinstance(patches, Patches):
        return f"{patches.count}:{patches.split}"
    return "off" if patches is None else patches


def parse_rewrites(value: Any) -> str:
    """Read ``all``, ``off``, or names of rewrites joined by ``+``, in any order; return them in order.

    Raises:
        BadArgument: if it is no text.
        UnknownName: for a rewrite that does not exist; suggests the nearest.
    """
    if not isinstance(value, str):
        raise BadArgument(f"simplify {value!r}", "is not all, off or names of rewrites", "e.g. pad+identity")
    if value in (ALL, OFF):
        return value
    from mcusim.simplify.registry import REWRITES

    names = sorted({name.strip() for name in value.split("+")})
    for name in names:
        if name not in REWRITES:
            raise UnknownName("rewrite", name, [ALL, OFF, *REWRITES])
    return "+".join(names)


def _schemes() -> NameChoice:
    from mcusim.update.scheme import SCHEMES

    return SCHEMES


def _planners() -> NameChoice:
    from mcusim.memory.planners import PLANNERS

    return PLANNERS


def _allocators() -> NameChoice:
    from mcusim.memory.allocators import ALLOCATORS

    return ALLOCATORS


def _profiles() -> NameChoice:
    from mcusim.mcu.cycles.profile import profile_names

    return profile_names()


def _tasks() -> NameChoice:
    return (AUTO, *TASKS)


def _task(text: Any) -> Any:
    """Check the name of a task, or of one for each of several outputs."""
    for part in text.split(SEPARATOR) if isinstance(text, str) else ():
        if part not in _tasks():
            raise UnknownName("task", part, _tasks())
    return text


def _size(size: Any) -> Any:
    """Check a size, and leave it as it was written."""
    if size is None or size == "none":
        return None
    parse_bytes(size)
    return size


def _front_end(text: Any) -> Any:
    """Check a front end, and leave it as it was written."""
    if text is None or text == "none":
        return None
    if isinstance(text, str):
        FrontEnd.read(text)
    return text


def _replay(text: Any) -> Any:
    """Check a replay buffer, and leave it as it was written."""
    if text is None or text == "none":
        return None
    if isinstance(text, str):
        Rehearsal.read(text)
    return text


def _residency(name: Any) -> Any:
    return Residency(name) if name in list(Residency) else name


@dataclass(frozen=True, slots=True)
class Choices(Chosen):
    """What is the same before and after planning."""

    update: str = setting(
        "dynamic", "what learns, e.g. none (inference alone), last-6, static:NAME, dynamic:ratio=0.02",
        values=_schemes, open=True, flags=("--update", "-u"),
    )  # fmt: skip
    seed: int = setting(0, "seed of everything that is drawn", least=0, most=2**32 - 1)
    formats: Formats = setting(Formats, "number formats")
    sgd: Sgd = setting(Sgd, "stochastic gradient descent")
    smoothing: float = setting(
        0.0, "label smoothing: part of the right class that is spread over all classes; costs no memory",
        label="label smoothing", terse=True, least=0, below=1, example="0.1",
    )  # fmt: skip
    front_end: str | None = setting(
        None, "what makes the input of a sound on the device, e.g. mfcc, log-mel:rate=8000,bands=20",
        read=_front_end, example="mfcc:rate=8000",
    )  # fmt: skip
    replay: str | None = setting(
        None, "examples kept to be learned again: raw:COUNT or latent:COUNT, with policy=, ratio=, place=",
        read=_replay, example="latent:200,policy=balanced,place=flash",
    )  # fmt: skip
    simplify: str = setting(
        ALL, "rewrites of the network before planning, none of which changes a bit: all, off, or their names",
        read=parse_rewrites, example="pad+identity",
    )  # fmt: skip
    in_place: bool = setting(
        True, "let outputs overwrite inputs that nobody needs any more",
        cheaper=lambda now: () if now else (True,),
    )  # fmt: skip
    overlap: bool = setting(
        True, "let outputs grow over dying inputs as far as the order of the loops allows; not on a heap",
        cheaper=lambda now: () if now else (True,),
    )  # fmt: skip
    fuse: bool = setting(
        True, "compute a pool with the frozen convolution before it, row by row, where that takes less room",
        cheaper=lambda now: () if now else (True,),
    )  # fmt: skip
    planner: str = setting(
        "best", "static planner that places the tensors", values=_planners,
        cheaper=lambda now: {"best"} - {now},
    )  # fmt: skip
    allocator: str | None = setting(
        None,
        "serve the step with a dynamic allocator instead, as a heap at run time would",
        values=_allocators,
        cheaper=lambda now: () if now is None else (None,),
    )
    profile: str | None = setting(
        None, "cycle profile, by name or file; the board's own if not given", values=_profiles, open=True
    )


@dataclass(frozen=True, slots=True)
class Settings(Choices):
    """What a person wants; the defaults are what a newcomer should get. ``auto`` leaves a choice open."""

    sram: int | str | None = setting(
        None, "SRAM that may be used, e.g. 256KiB; all of the board's if not given", unit="bytes",
        read=_size, example="256KiB",
    )  # fmt: skip
    residency: str = setting(
        AUTO,
        "where layers that can learn live; auto: in SRAM if that fits",
        values=lambda: (AUTO, *Residency),
        cheaper=lambda now: {str(Residency.FLASH)} - {now},
    )
    patches: Patches | str | None = setting(
        AUTO, "patch-based first stage: off, COUNT:OP, or auto: if needed, with the fewest recomputed MACs",
        read=parse_patches, write=write_patches, example="2:blocks.2.pointwise2",
    )  # fmt: skip
    output: str = setting(
        AUTO,
        "which output learns, by name or by number from 0, where the network has several; "
        "NAME+OTHER*0.5: these together, their losses with such weights",
        values=lambda: (AUTO,), open=True, example="1",
    )  # fmt: skip
    task: str = setting(
        AUTO,
        "what the outputs are for; auto: what network and data say; several, one an output, joined by +",
        values=_tasks,
        open=True,
        read=_task,
        example="regression",
    )

    def budget(self, board: Board) -> int:
        """Return the bytes of SRAM that may be used on a board.

        Raises:
            BadArgument: if more is asked for than the board has.
        """
        if self.sram is None:
            return board.sram_bytes
        found = parse_bytes(self.sram)
        if found > board.sram_bytes:
            raise BadArgument(
                f"SRAM of {self.sram if isinstance(self.sram, str) else f'{found:,} B'}",
                f"is more than the {board.sram_bytes:,} B of {board.name}",
                "ask for less, or choose a larger board",
            )  # fmt: skip
        return found

    def named(self, model: Model) -> Self:
        """Return the same settings with the output by its name."""
        if self.chosen is None:
            return self
        return replace(self, output=spelled(weights_of(model, self.chosen)))

    def part(self, model: Model) -> Model:
        """Return the part of a network that learns: all of it, or what leads to the outputs that are chosen.

        Raises:
            UnknownName: if it has no such output.
            BadArgument: if a weight is no positive number.
        """
        return model if self.chosen is None else with_outputs(model, tuple(weights_of(model, self.chosen)))

    @property
    def chosen(self) -> str | None:
        """The outputs that are asked for; None where that is left open."""
        return None if self.output == AUTO else self.output

    def decide(
        self, model: Model, board: Board, residency: Residency, patches: Patches | None, task: str | None
    ) -> Decided:
        """Return the settings with nothing left open; an inference has no task."""
        return Decided(
            **_shared(self) | {"formats": replace(self.formats, head=head_format(model, self.formats))},
            sram_bytes=self.budget(board), residency=residency, patches=patches, task=task,
            output=self.chosen,
        )  # fmt: skip

    @classmethod
    def fixed(cls, decided: Decided) -> Self:
        """Return the settings that ask for exactly what was decided."""
        return cls(
            **_shared(decided), sram=decided.sram_bytes, residency=str(decided.residency),
            patches=decided.patches, task=decided.task or AUTO, output=decided.output or AUTO,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decided(Choices):
    """The settings of a plan: what was wanted, and what was found for all that was left open."""

    sram_bytes: int = setting(262_144, "SRAM that may be used", unit="bytes", least=1)
    residency: Residency = setting(
        Residency.SRAM, "where layers that can learn live", values=lambda: tuple(Residency), read=_residency
    )
    patches: Patches | None = setting(
        None, "patch-based first stage", read=parse_patches, write=write_patches
    )
    output: str | None = setting(
        None, "names of the outputs that learn, with their weights, where they are chosen", terse=True
    )
    task: str | None = setting(
        "classification",
        "what the outputs are for, joined by +; none where nothing learns",
        values=lambda: TASKS,
        open=True,
        read=_task,
        example="regression",
    )


def head_format(model: Model, formats: Formats) -> str:
    """Return the format of a network's classifier; that of ``formats`` if it names none."""
    if not heads(model):
        return formats.head
    weight = model.tensors[model.op(heads(model)[0]).inputs[1]]
    return "float32" if weight.dtype == "float32" else "int8"


def _shared(settings: Choices) -> dict[str, Any]:
    return {item.name: getattr(settings, item.name) for item in fields(Choices)}
