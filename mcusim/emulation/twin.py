"""Runs engine and firmware side by side and compares every live byte after every op."""

from __future__ import annotations

import signal
import struct
import threading
from collections.abc import Iterable, Iterator, Sized
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadRun, Phase
from mcusim.core.counted import tell
from mcusim.deployment.model_files import arena_bytes, header
from mcusim.deployment.project import fill
from mcusim.deployment.tables import FirmwareTables, tables
from mcusim.emulation.compilers import compiler_named
from mcusim.emulation.cores import EmulatedCore
from mcusim.emulation.emulators import emulator_for
from mcusim.emulation.flash_twin import FlashTwin
from mcusim.emulation.instructions import CLASSES
from mcusim.emulation.laid_out import LaidOut
from mcusim.emulation.meaningful_bytes import MeaningfulBytes
from mcusim.emulation.selftest import self_test
from mcusim.emulation.target_machine import TargetMachine
from mcusim.emulation.toolchain import build
from mcusim.emulation.twin_run import FirstDifference, TwinRun
from mcusim.engine.kept_examples import KeptExamples
from mcusim.engine.state import State
from mcusim.graph import DTYPES
from mcusim.lowering.digest import digest
from mcusim.lowering.replay import BUFFER as REPLAY
from mcusim.lowering.step import StepTensor
from mcusim.mcu.flash.ring import Ring
from mcusim.planning.placement import for_every_stage
from mcusim.planning.plan import Plan
from mcusim.session.stages import Stages
from mcusim.update.scheme import Scheme

Array = NDArray[Any]
GROUPS = 16
"""Learning rates, labels and inputs that the twin's main takes at most."""
LEARN, CALIBRATE, SEE, AGAIN = 0, 1, 6, 7
"""Commands of the twin's main."""
FOREVER = 2**30
"""Operations of flash for which the supply lasts."""


def run_twin(
    plan: Plan,
    scheme: Scheme,
    examples: Iterable[tuple[Array | None, Any, float]],
    core: EmulatedCore,
    *,
    folder: Path | None = None,
    selftest: bool = False,
    toolchain: str | None = None,
    emulator: str | None = None,
) -> TwinRun:
    """Compile a plan's firmware, run it, and compare.

    Args:
        plan: what both execute.
        scheme: what learns, and when that changes.
        examples: an input of the model's shape, its target, and the factor on the learning rates, for every
            step; without an input a step learns again what was kept.
        core: what to emulate.
        folder: where the firmware has been written; a temporary one if not given.
        selftest: run the firmware's self test too, as a program of its own.
        toolchain: what compiles it, of ``COMPILERS``; zig if not given.
        emulator: what runs it, of ``EMULATORS``; unicorn if not given, wherever it executes the core.

    Raises:
        BadModel: if something has no C kernel.
        BadArgument: if compiler or emulator do not know the core.
        BadRun: if the C does not compile, or the core faults, or the folder is of another plan or version.
        MissingPackage: if there is no compiler or emulator.
        UnknownName: if they are not known.
    """
    compiler, machine = compiler_named(toolchain), emulator_for(core, emulator)
    compiler.described(), machine.described()
    plan = for_every_stage(plan, scheme)
    made = tables(plan, scheme)
    with TemporaryDirectory() as temporary:
        place = Path(temporary) if folder is None else folder
        if folder is None:
            fill(place, made, plan, scheme)
        else:
            _check_folder(folder, made, plan)
        began = perf_counter()
        size, memory = arena_bytes(plan), machine.memory(core)
        elf = build(place, made.prefix, core, size, compiler=compiler, memory=memory)
        took = perf_counter() - began
        with closing(
            machine.device(elf, core, arena_bytes(plan), [name for name, _ in made.calls])
        ) as device:
            found = Twin(plan, scheme, made, device).run(examples)
        said = self_test(place, made.prefix, core, size, compiler, machine) if selftest else None
        return replace(
            found, compile_seconds=took, selftest=said, toolchain=compiler.described(),
            emulator=machine.described(),
        )  # fmt: skip


def _check_folder(folder: Path, made: FirmwareTables, plan: Plan) -> None:
    """Refuse a folder that was written for something else.

    Raises:
        BadRun: if it was.
    """
    file, way_out = (
        folder / "model" / f"{made.prefix}.h",
        "write it with mcusim firmware, of the same settings",
    )
    if not file.is_file():
        raise BadRun(str(folder), f"holds no firmware of {made.prefix}", way_out)
    if file.read_text("utf-8") != header(made, plan):
        raise BadRun(str(folder), "was written for another plan, or by another version of mcusim", way_out)


class Twin:
    """One engine and one device with the same step.

    Args:
        plan, scheme: as for ``run_twin``.
        made: the tables of the firmware.
        device: it, not yet started.
    """

    def __init__(self, plan: Plan, scheme: Scheme, made: FirmwareTables, device: TargetMachine) -> None:
        self._plan, self._made, self._device = plan, made, device
        step, settings = plan.step, plan.settings
        assert step.goals is not None
        counts = {
            "different learning rates": len(made.rates), "outputs that learn": len(step.goals.items),
            "inputs": len(step.arrives),
        }  # fmt: skip
        for what, count in counts.items():
            if count > GROUPS:
                raise BadArgument(f"{count} {what}", f"are more than the {GROUPS} that a twin takes")
        self._kept = None if step.replay is None else KeptExamples(step, plan.board, settings.seed)
        state = State.of(step.model, step.scope, settings.formats)
        self._stages = Stages(plan, scheme, state, self._kept, hears=step.front_end is not None)
        self._program = self._stages.program(0)
        self._live = MeaningfulBytes(step, plan.solution.offsets, arena_bytes(plan))
        self._laid = LaidOut(self._live, plan)
        self._flash = FlashTwin(plan, made, device) if "resident" in made.fields else None
        self._snapshots: dict[int, tuple[Array, Array]] = {}
        self._compared = self._differing = self._number = 0
        self._first: FirstDifference | None = None
        self._counts: list[NDArray[np.int64]] = []
        self._seconds = 0.0
        """Spent by the emulated core."""
        self._ops: int | None = None
        """To be compared in all steps together."""

    def run(self, examples: Iterable[tuple[Array | None, Any, float]]) -> TwinRun:
        """Run a step on each example, on both sides; stop at the first that differs, or when interrupted."""
        device = self._device
        self._ops = len(examples) * len(self._made.calls) if isinstance(examples, Sized) else None
        device.after_op(self._compare)
        self._emulate()
        if self._flash is not None:
            self._flash.begin()
        counts = np.zeros((0, len(CLASSES)), np.int64)
        with _interrupts() as interrupted:
            for x, target, factor in examples:
                if self._number == 0:
                    assert x is not None
                    self._calibrate(x, target)
                counts = self._step(x, target, factor)
                self._number += 1
                if self._first is not None or interrupted:
                    break
        if device.count is not None and not device.count.trusted:
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
            instructions_per_second=float(self._counted().sum()) / self._seconds,
            write_backs=0 if self._flash is None else self._flash.write_backs,
            flash_operations=0 if self._flash is None else self._flash.operations,
        )  # fmt: skip

    def _step(self, x: Array | None, target: Any, factor: float) -> NDArray[np.int64]:
        """Run a step on both sides; return executed instructions of each op by class."""
        if self._flash is not None:
            self._stages.store()
        program = self._program = self._stages.program(self._program.state.iteration)
        if self._flash is not None:
            self._flash.stage(self._stages.take_transition(), program.state)
        program.rate = factor
        self._snapshots = {}
        for number in program.run_again() if x is None else program.run_each(x, target):
            laid = self._laid.after(self._stages.plan, number, self._stages.arena.bytes)
            self._snapshots[laid.op] = (laid.arena, laid.mask)
        if x is None:
            self._ask(AGAIN, np.zeros(GROUPS, np.uint32), factor)
        else:
            self._moments(LEARN, x, target, factor)
        self._counts = []
        before = self._counted()
        self._emulate()
        self._compare_numbers()
        self._compare_copies()
        if self._device.count is None:
            return np.zeros((0, len(CLASSES)), np.int64)
        return np.diff(np.array([before, *self._counts]), axis=0)

    def _counted(self) -> NDArray[np.int64]:
        """Return the instructions executed so far by class; zeros where nothing counts them."""
        count = self._device.count
        return np.zeros(len(CLASSES), np.int64) if count is None else count.by_class()

    def _emulate(self) -> None:
        began = perf_counter()
        self._device.run()
        self._seconds += perf_counter() - began

    def _calibrate(self, x: Array, target: Any) -> None:
        if not self._made.fields["error_scales"]:
            return
        self._program.calibrate(x, target, tail=False)
        self._snapshots = {}
        last = self._moments(CALIBRATE, x, target, 1.0)
        if len(self._plan.step.model.inputs) == 1:
            self._device.write(self._device.symbols["twin_input"], np.ascontiguousarray(last).tobytes())
        self._emulate()

    def _moments(self, command: int, x: Array, target: Any, factor: float) -> Any:
        """Ask for a step on an input, of a sequence on the last, behind all others; return that input."""
        model = self._plan.step.model
        if not model.states:
            self._command(command, x, target, factor)
            return x
        snapshots, self._snapshots = self._snapshots, {}
        times = len(x if len(model.inputs) == 1 else x[model.inputs[0]])
        for time in range(times):
            moment = x[time] if len(model.inputs) == 1 else {name: x[name][time] for name in model.inputs}
            last = time == times - 1
            self._command(command if last else SEE, moment, target, factor, argument=time == 0)
            if not last:
                self._emulate()
        self._snapshots = snapshots
        return moment

    def _command(self, command: int, x: Any, target: Any, factor: float, *, argument: int = 0) -> None:
        step, device, offsets = self._plan.step, self._device, self._plan.solution.offsets
        model, goals = step.model, step.goals
        assert goals is not None

        def put(name: str, values: Array) -> None:
            tensor = step.tensors[name]
            data = np.ascontiguousarray(values, tensor.dtype).tobytes()
            device.write(device.arena + offsets[tensor.buffer], data)

        for name in step.arrives:
            put(name, x if len(step.arrives) == 1 else x[name])
        labels = np.zeros(GROUPS, np.uint32)
        for number, goal in enumerate(goals.items):
            wanted = target if goals.single is not None else target[goal.output]
            place = goal.target(model)
            if place is None:
                labels[number] = int(wanted)
            else:
                put(place.name, wanted)
        self._ask(command, labels, factor, argument)

    def _ask(self, command: int, labels: Array, factor: float, argument: int = 0) -> None:
        rates = np.zeros(GROUPS, np.float32)
        for group, rate in enumerate(self._made.rates):
            rates[group] = np.float32(rate * factor)
        box = (
            struct.pack("<III", command, labels[0], argument)
            + rates.tobytes()
            + bytes(8)
            + labels.tobytes()
            + struct.pack("<I", FOREVER)
        )
        self._device.write(self._device.symbols["twin_box"], box)

    def _compare(self, op: int) -> None:
        """Compare the arena after an op; called by the device, whose time this does not count as."""
        began = perf_counter()
        self._compare_arena(op)
        tell(self._number * len(self._snapshots) + min(op + 1, len(self._snapshots)), self._ops)
        self._seconds -= perf_counter() - began

    def _compare_arena(self, op: int) -> None:
        self._counts.append(self._counted())
        if op not in self._snapshots:  # nothing of it in this stage
            return
        mine, mask = self._snapshots[op]
        theirs = np.frombuffer(self._device.read(self._device.arena, self._device.arena_bytes), np.uint8)
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
        """Compare the loss, the scales of errors and the flash of what is kept, which are no tensors."""
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
        if self._kept is not None and self._kept.ring is not None:
            self._compare_flash(self._kept.ring)
        for name, a, b in zip(names, mine, theirs, strict=True):
            if a != b and not (a != a and b != b):
                self._differing += 4
                if self._first is None:
                    last = self._made.calls[-1][0]
                    self._first = FirstDifference(self._number, last, name, 0, a, b, state, last, 4)

    def _compare_flash(self, ring: Ring) -> None:
        """Compare the examples in flash, and how often it was erased and programmed."""
        device, symbols = self._device, self._device.symbols
        mine = np.full(ring.bytes, 0xFF, np.uint8) if ring.image is None else ring.image
        theirs = np.frombuffer(device.read(symbols["twin_kept"], ring.bytes), np.uint8)
        units = ring.record_bytes // self._plan.board.flash.program_bytes
        said = [("erases", sum(ring.erases) * (ring.bytes // ring.blocks // ring.unit), "twin_erased"),
                ("programmed units", ring.programmed * units, "twin_programmed")]  # fmt: skip
        self._compared += ring.bytes + 8
        wrong = np.flatnonzero(mine != theirs)
        found = [("replay in flash", int(at), float(mine[at]), float(theirs[at])) for at in wrong[:1]]
        for name, count, symbol in said:
            other = int.from_bytes(device.read(symbols[symbol], 4), "little")
            found += [(f"{name} of the replay buffer", 0, float(count), float(other))] * (count != other)
        self._differing += len(wrong)
        for tensor, at, a, b in found:
            if self._first is None:
                self._first = FirstDifference(
                    self._number, REPLAY, tensor, at, a, b, symbols["twin_kept"] + at, REPLAY, len(wrong)
                )  # fmt: skip

    def _compare_copies(self) -> None:
        """Compare the copies of what was learned, where the step has begun with writing one."""
        if self._flash is not None:
            compared, wrong = self._flash.compared(self._number)
            self._compared += compared
            self._differing += 0 if wrong is None else wrong.bytes
            self._first = self._first or wrong


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
