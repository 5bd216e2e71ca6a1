"""Runs engine and firmware side by side and compares every live byte after every op."""

from __future__ import annotations

import signal
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim import __version__
from mcusim.core import BadArgument, BadRun, Figure, Phase
from mcusim.deployment.model_files import arena_bytes
from mcusim.deployment.project import fill
from mcusim.deployment.tables import FirmwareTables, tables
from mcusim.emulation.cores import EmulatedCore
from mcusim.emulation.emulator import EmulatedDevice, emulator
from mcusim.emulation.instructions import CLASSES
from mcusim.emulation.meaningful_bytes import MeaningfulBytes
from mcusim.emulation.toolchain import build, toolchain
from mcusim.engine.buffers import ArenaBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.graph import DTYPES
from mcusim.lowering.digest import digest
from mcusim.lowering.step import StepTensor
from mcusim.mcu.core import core, core_names
from mcusim.mcu.instructions import EXACT, instruction_cycles
from mcusim.memory.arena import Arena
from mcusim.planning.plan import Plan
from mcusim.sections.kinds import Facts, Headline, Section
from mcusim.sections.shown import Shown
from mcusim.update.scheme import Scheme, statistics_for

Array = NDArray[Any]
GROUPS = 16
"""Learning rates that the twin's main takes."""
LEARN, CALIBRATE, STAGE = 0, 1, 2
"""Commands of the twin's main."""


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first byte that differs."""

    step: int
    op: str
    tensor: str
    index: int
    engine: float
    firmware: float
    address: int
    last_writer: str
    bytes: int
    """Bytes that differ after this op."""

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"step {self.step}, after op {self.op}: {self.tensor}[{self.index}] is {self.engine!r} in the "
            f"engine and {self.firmware!r} in the firmware, at {self.address:#x}, last written by "
            f"{self.last_writer}; {self.bytes:,} bytes differ"
        )


@dataclass(frozen=True)
class TwinRun(Shown):
    """What a twin has shown.

    ``step`` is the digest of what was run, by which a plan knows it again.
    ``op_instructions`` pairs each op of the last step with its executed instructions, one number for each of
    ``CLASSES`` of ``mcusim.emulation.instructions``.
    """

    network: str
    board: str
    update: str
    step: str
    core: str
    steps: int
    ops: int
    bytes_compared: int
    bytes_differing: int
    first_difference: FirstDifference | None
    op_instructions: tuple[tuple[str, tuple[int, ...]], ...]
    forward: frozenset[str]
    """Names of the ops that belong to the forward pass."""
    stack_bytes: int
    statics_bytes: int
    code_bytes: int
    arena_bytes: int
    outside_arena_writes: int
    toolchain: str
    emulator: str

    @property
    def equal(self) -> bool:
        """True if no byte differs and nothing outside the arena was touched."""
        return self.first_difference is None and not self.outside_arena_writes

    @property
    def instructions_per_step(self) -> int:
        """Executed instructions of the last step."""
        return sum(self.instructions_by_class.values())

    @property
    def instructions_by_class(self) -> dict[str, int]:
        """Executed instructions of the last step by class."""
        rows = [counts for _, counts in self.op_instructions]
        return dict(zip(CLASSES, map(sum, zip(*rows, strict=True)), strict=True))

    @property
    def cycles(self) -> dict[str, Figure]:
        """Cycles of the forward pass and of the rest of the last step; empty if the core's file has none."""
        name = {"cortex-m0+": "cortex-m0plus"}.get(self.core, self.core)
        found: dict[str, Figure] = {}
        for part, forward in (("forward", True), ("backward", False)):
            rows = [c for op, c in self.op_instructions if (op in self.forward or op == "load") is forward]
            counts = dict(zip(CLASSES, map(sum, zip(*rows, strict=True)), strict=True)) if rows else {}
            figure = instruction_cycles(counts, core(name)) if name in core_names() else None
            if figure is not None:
                found[part] = figure
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        first = self.first_difference
        return {
            "mcusim": __version__, "network": self.network, "board": self.board, "update": self.update,
            "step": self.step, "equal": self.equal, "core": self.core, "steps": self.steps, "ops": self.ops,
            "bytes_compared": self.bytes_compared, "bytes_differing": self.bytes_differing,
            "first_difference": None if first is None else {
                "step": first.step, "op": first.op, "tensor": first.tensor, "index": first.index,
                "engine": first.engine, "firmware": first.firmware, "address": first.address,
                "last_writer": first.last_writer,
            },
            "instructions_per_step": self.instructions_per_step,
            "instructions_by_class": self.instructions_by_class,
            "cycles": {part: figure.as_dict() for part, figure in self.cycles.items()},
            "op_instructions": [
                {"op": name, **dict(zip(CLASSES, counts, strict=True))}
                for name, counts in self.op_instructions
            ],
            "stack_bytes": self.stack_bytes,
            "statics_bytes": self.statics_bytes, "code_bytes": self.code_bytes,
            "arena_bytes": self.arena_bytes, "outside_arena_writes": self.outside_arena_writes,
            "toolchain": self.toolchain, "emulator": self.emulator,
        }  # fmt: skip

    def sections(self) -> list[Section]:
        """Return the verdict and the figures."""
        kinds = [(name, count) for name, count in self.instructions_by_class.items() if count]
        verdict = "equal in every bit" if self.equal else "different"
        rows = [
            ("compared", f"{self.bytes_compared:,} B after {self.ops:,} ops of {self.steps:,} steps"),
            ("differing", f"{self.bytes_differing:,} B"),
            *([] if self.first_difference is None else [("first", str(self.first_difference))]),
            ("instructions a step", f"{self.instructions_per_step:,}"),
            ("of these", ", ".join(f"{n.replace('_', ' ')} {c:,}" for n, c in kinds)),
            *((f"cycles {part}", f"{round(f.value):,}{f.band} ({EXACT})") for part, f in self.cycles.items()),
            ("stack", f"{self.stack_bytes:,} B"),
            ("statics", f"{self.statics_bytes:,} B"),
            ("code", f"{self.code_bytes:,} B"),
            ("arena", f"{self.arena_bytes:,} B; {self.outside_arena_writes:,} bytes beside it touched"),
            ("made with", f"{self.toolchain}, {self.emulator}"),
        ]
        return [Headline(f"engine and firmware on {self.core}: {verdict}"), Facts(tuple(rows), "twin")]


def run_twin(
    plan: Plan,
    scheme: Scheme,
    examples: Iterable[tuple[Array, Any, float]],
    core: EmulatedCore,
    *,
    folder: Path | None = None,
) -> TwinRun:
    """Compile a plan's firmware, run it, and compare.

    Args:
        plan: what both execute.
        scheme: what learns, and when that changes.
        examples: an input of the model's shape, its target, and the factor on the learning rates, for every
            step.
        core: what to emulate.
        folder: where the firmware has been written; a temporary one if not given.

    Raises:
        BadModel: if something has no C kernel.
        BadRun: if the C does not compile, or the core faults.
        MissingPackage: if there is no compiler or emulator.
    """
    toolchain(), emulator()
    made = tables(plan, scheme)
    with TemporaryDirectory() as temporary:
        place = Path(temporary) if folder is None else folder
        if folder is None:
            fill(place, made, plan, scheme)
        elf = build(place, made.prefix, core, arena_bytes(plan))
        return Twin(plan, scheme, made, EmulatedDevice(elf, core, arena_bytes(plan))).run(examples)


class Twin:
    """One engine and one device with the same step.

    Args:
        plan, scheme: as for ``run_twin``.
        made: the tables of the firmware.
        device: it, not yet started.
    """

    def __init__(self, plan: Plan, scheme: Scheme, made: FirmwareTables, device: EmulatedDevice) -> None:
        self._plan, self._scheme, self._made, self._device = plan, scheme, made, device
        step, settings = plan.step, plan.settings
        if len(made.rates) > GROUPS:
            raise BadArgument(
                f"{len(made.rates)} different learning rates", f"are more than the {GROUPS} that a twin takes"
            )
        self._arena = Arena(settings.sram_bytes)
        buffers = ArenaBuffers(step, plan.solution.offsets, self._arena)
        state = State.of(step.model, step.scope, settings.formats)
        self._statistics = statistics_for(scheme, step.model)
        self._program = Program(
            step, buffers, state, settings.sgd, seed=settings.seed, statistics=self._statistics
        )
        self._stage = 0
        self._program.load(scheme.select(step.model, 0, settings.seed))
        self._live = MeaningfulBytes(step, plan.solution.offsets, arena_bytes(plan))
        self._snapshots: list[Array] = []
        self._compared = self._differing = self._number = 0
        self._first: FirstDifference | None = None
        self._counts: list[NDArray[np.int64]] = []

    def run(self, examples: Iterable[tuple[Array, Any, float]]) -> TwinRun:
        """Run a step on each example, on both sides; stop at the first that differs, or when interrupted."""
        device = self._device
        device.after_op(self._compare)
        device.run()
        counts = np.zeros((0, len(CLASSES)), np.int64)
        with _interrupts() as interrupted:
            for x, target, factor in examples:
                if self._number == 0:
                    self._calibrate(x, target)
                counts = self._step(x, target, factor)
                self._number += 1
                if self._first is not None or interrupted:
                    break
        if not device.count.trusted:
            raise BadRun("count of instructions", "is not to be trusted: a block of code changed its length")
        names = [name for name, _ in self._made.calls]
        plan = self._plan
        return TwinRun(
            network=plan.step.model.name, board=plan.board.name, update=plan.settings.update,
            step=digest(plan.step), core=device.core.name, steps=self._number, ops=len(names),
            bytes_compared=self._compared,
            bytes_differing=self._differing, first_difference=self._first,
            op_instructions=tuple(zip(names, map(tuple, counts.tolist()), strict=False)),
            forward=frozenset(op.name for op in plan.step.ops if op.phase is Phase.FORWARD),
            stack_bytes=device.stack_bytes, statics_bytes=device.statics_bytes, code_bytes=device.code_bytes,
            arena_bytes=device.arena_bytes, outside_arena_writes=device.outside_writes,
            toolchain=toolchain(), emulator=emulator(),
        )  # fmt: skip

    def _step(self, x: Array, target: Any, factor: float) -> NDArray[np.int64]:
        """Run a step on both sides; return executed instructions of each op by class."""
        program, step = self._program, self._plan.step
        self._select(program.state.iteration)
        program.rate = factor
        self._snapshots = []
        for _ in program.run_each(x.reshape(step.tensors[step.model.inputs[0]].shape), target):
            self._snapshots.append(self._arena.bytes[: self._device.arena_bytes].copy())
        self._command(LEARN, x, target, factor)
        self._counts = []
        before = self._device.count.by_class()
        self._device.run()
        self._compare_numbers()
        return np.diff(np.array([before, *self._counts]), axis=0)

    def _select(self, iteration: int) -> None:
        """Change the engine's channels with the stage; the device draws its own."""
        length = self._made.fields["selection_steps"]
        stage = iteration // length if length else 0
        if stage != self._stage:
            self._stage = stage
            self._statistics.close_stage()
            model, seed = self._plan.step.model, self._plan.settings.seed
            self._program.select(self._scheme.select(model, stage, seed, self._statistics))

    def _calibrate(self, x: Array, target: Any) -> None:
        if not self._made.fields["error_scales"]:
            return
        shape = self._plan.step.tensors[self._plan.step.model.inputs[0]].shape
        self._program.calibrate(x.reshape(shape), target, tail=False)
        self._snapshots = []
        self._command(CALIBRATE, x, target, 1.0)
        self._device.write(self._device.symbols["twin_input"], np.ascontiguousarray(x).tobytes())
        self._device.run()

    def _command(self, command: int, x: Array, target: Any, factor: float) -> None:
        step, device, offsets = self._plan.step, self._device, self._plan.solution.offsets

        def put(name: str, values: Array) -> None:
            tensor = step.tensors[name]
            data = np.ascontiguousarray(values, tensor.dtype).tobytes()
            device.write(device.arena + offsets[tensor.buffer], data)

        put(step.model.inputs[0], x)
        label = 0
        if step.target is None:
            label = int(target)
        else:
            put(step.target.name, target)
        rates = np.zeros(GROUPS, np.float32)
        for group, rate in enumerate(self._made.rates):
            rates[group] = np.float32(rate * factor)
        device.write(device.symbols["twin_box"], struct.pack("<III", command, label, 0) + rates.tobytes())

    def _compare(self, op: int) -> None:
        """Compare the arena after an op; called by the device."""
        if op >= len(self._snapshots):
            self._counts.append(self._device.count.by_class())
            return
        self._counts.append(self._device.count.by_class())
        mine = self._snapshots[op]
        theirs = np.frombuffer(self._device.read(self._device.arena, self._device.arena_bytes), np.uint8)
        mask = self._live.masks[op]
        wrong = (mine != theirs) & mask
        self._compared += int(mask.sum())
        if wrong.any():
            self._differing += int(wrong.sum())
            if self._first is None:
                self._first = self._difference(op, int(np.argmax(wrong)), int(wrong.sum()), mine, theirs)

    def _difference(self, op: int, place: int, count: int, mine: Array, theirs: Array) -> FirstDifference:
        tensor, byte = self._live.at(op, place)
        index = byte // DTYPES[tensor.dtype]
        start = self._plan.solution.offsets[tensor.buffer]
        first, second = (_value(side[start : start + tensor.bytes], tensor, index) for side in (mine, theirs))
        return FirstDifference(
            self._number, self._plan.step.ops[op].name, tensor.name, index, first, second,
            self._device.arena + place, self._live.last_writer(op, tensor.name), count,
        )  # fmt: skip

    def _compare_numbers(self) -> None:
        """Compare the loss and the scales of errors, which are no tensors."""
        device, program = self._device, self._program
        mine = [program.loss]
        state = device.symbols[f"{self._made.prefix}_state"]
        theirs = [float(np.frombuffer(device.read(state + 16, 4), np.float32)[0])]
        names = ["loss"]
        count = self._made.fields["error_scales"]
        if count:
            start = device.arena + self._plan.solution.offsets["error_scales"]
            data = device.read(start, 16 * count)
            peaks = np.frombuffer(data[: 8 * count], np.float64)
            scales = np.frombuffer(data[12 * count :], np.float32)
            for number, (name, scale, peak) in enumerate(program.scales.integers()):
                mine += [scale, peak]
                theirs += [float(scales[number]), float(peaks[number])]
                names += [f"scale of {name}", f"largest magnitude of {name}"]
        self._compared += 4 + 12 * count
        for name, a, b in zip(names, mine, theirs, strict=True):
            if a != b and not (a != a and b != b):
                self._differing += 4
                if self._first is None:
                    last = self._made.calls[-1][0]
                    self._first = FirstDifference(self._number, last, name, 0, a, b, state, last, 4)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Note SIGINT instead of raising it: the emulator's callbacks would swallow it, and a comparison."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _value(data: Array, tensor: StepTensor, index: int) -> float:
    return float(np.frombuffer(data.tobytes(), tensor.dtype)[index])
