"""A microcontroller as data. Figures nobody sourced are ``None``, and a result that needs one says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MinLen

from mcusim.core import BadBoard, Figure, Provenance
from mcusim.mcu.library import CODE, RUNTIME
from mcusim.mcu.measured import Measured, measured

_STRICT = {"extra": "forbid", "allow_inf_nan": False}
"""Checked by pydantic when a file is read (see board_files.py): no unknown keys, no inf or NaN."""

Name = Annotated[str, MinLen(1)]
Bytes = Annotated[int, Ge(1), Le(1 << 30)]
Address = Annotated[int, Ge(0), Le((1 << 32) - 1)]
Milliseconds = Annotated[float, Ge(0.001), Le(60_000)]
Microseconds = Annotated[float, Ge(0.1), Le(1_000_000)]
Milliwatts = Annotated[float, Ge(0.000_01), Le(10_000)]
WaitStates = Annotated[int, Ge(0), Le(64)]


@dataclass(frozen=True, slots=True)
class SramRegion:
    """One block of SRAM that tensors may use (instruction-only memories are left out).

    The arena covers the blocks in the order of the file, the first one from offset 0; no tensor lies
    across two that are not neighbours.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    name: Name
    bytes: Bytes
    wait_states: WaitStates | None = None
    """Extra cycles of a load from the core, caches off or missed, at ``Board.clock_hz``."""
    cached: bool = False
    """True if the data cache covers it."""
    address: Address | None = None
    """Of its first byte. A region without one is taken to follow the region before it without a gap."""
    external: bool = False
    """True outside the chip (SDRAM, PSRAM): only what has no room inside lies there. These come last."""
    dma: bool = True
    """False if the DMA that brings the input does not reach it."""
    ready_mw: Milliwatts | None = None
    """What a memory outside the chip takes, beside the chip, while it keeps its contents ready."""
    transfer_nj: Annotated[float, Ge(0), Le(1000)] | None = None
    """What a byte that is read or written costs beside that, and beside the power of the core."""


@dataclass(frozen=True, slots=True)
class FlashSectors:
    """A run of equal erase units."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    count: Annotated[int, Ge(1), Le(1 << 20)]
    bytes: Bytes
    erase_typ_ms: Milliseconds | None = None
    erase_max_ms: Milliseconds | None = None


@dataclass(frozen=True, slots=True)
class FlashMemory:
    """Geometry, times and wear of the flash. ``sectors`` are in address order."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    bytes: Bytes
    sectors: Annotated[tuple[FlashSectors, ...], MinLen(1)]
    program_bytes: Bytes
    """Smallest unit that can be programmed."""
    program_typ_us: Microseconds | None = None
    program_max_us: Microseconds | None = None
    endurance_cycles: Annotated[int, Ge(1), Le(10**9)] | None = None
    """Erase cycles a sector is guaranteed for."""
    read_while_write: bool | None = None
    """True if code can run from one bank while the other is erased or programmed."""
    banks: Annotated[int, Ge(1), Le(8)] = 1
    wait_states: WaitStates | None = None
    """Extra cycles of a read that misses every cache, at ``Board.clock_hz``."""
    fetch_bytes: Annotated[int, Ge(1), Le(256)] | None = None
    """Bytes that arrive with one such read."""


@dataclass(frozen=True, slots=True)
class Cache:
    """Caches in front of flash, on the way of instructions and of data."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    instruction_bytes: Annotated[int, Ge(0), Le(1 << 24)] = 0
    data_bytes: Annotated[int, Ge(0), Le(1 << 24)] = 0
    line_bytes: Annotated[int, Ge(4), Le(256)] | None = None
    """Of the data cache: what one miss brings."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Power:
    """Board power by state, in milliwatts at ``voltage_v``.

    ``active_low_mw`` and ``active_high_mw`` are the lowest and highest figures that laboratories
    published for the same chip, clock and kind of library: the known spread. ``bound_mw`` is what the chip
    or board takes at most, by a limit of its supply, where nobody published what it takes.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    voltage_v: Annotated[float, Ge(0.8), Le(6)] | None = None
    active_mw: Milliwatts | None = None
    active_low_mw: Milliwatts | None = None
    active_high_mw: Milliwatts | None = None
    bound_mw: Milliwatts | None = None
    flash_write_mw: Milliwatts | None = None
    sleep_mw: Milliwatts | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """SRAM the firmware needs beside the tensors that mcusim places itself, and flash for its code.

    mcusim places activations, features, errors, gradients, optimiser state, im2col columns and
    accumulators. What is left is the call stack and the firmware's statics. The defaults:

    * stack 4,096 B: a Cube.AI inference measured on an STM32F401 used 352 B of stack (buffers in the
      arena, as here; ``per_layer_measured.csv``); a training step nests deeper, and interrupt handlers
      with stacked FPU registers (104 B a level on Armv7-M) and a formatted print come on top.
    * static 2,048 B: driver handles, C library state, vector table copy; TinyEngine's own statics
      beside arena, buffers and weights are 352 B.

    * code 65,536 B of flash, program and kernel library: for MLPerf Tiny v0.7 ST's images are 16 to 71 KB
      larger than their constants (``mlperf_cubeai_memory.csv``), and training needs backward kernels too.

    A library that interprets the network keeps tables of it in SRAM, and larger networks use more kernels:
    with ``fitted`` statics and code follow a form fitted to what ST publishes of X-CUBE-AI (``library.py``).
    mcusim's own firmware keeps its tables in flash, where a plan counts them as ``quant``.

    TinyEngine's measured training step used 21,816 B of stack because its kernels keep buffers there;
    those are tensors with the role ``scratch`` here. A firmware of that kind sets ``stack_bytes`` so.

    All three are allowances for a whole program. Where ``mcusim twin`` has measured a firmware, ``measured``
    names its result (``with_measured`` reads it), and stack, statics and code become what the step takes, to
    the byte, and a stated allowance for the application around it:

    * application_stack_bytes 1,024 B: a formatted print of a small C library, and two levels of interrupts
      with stacked FPU registers;
    * application_static_bytes 1,024 B: a copy of the vector table (98 entries on the STM32F7: 392 B), state
      of the C library, handles of a few drivers;
    * application_code_bytes 16,384 B: start-up, clocks, flash and serial port, a formatted print: what ST's
      smallest image above holds beside its constants.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    stack_bytes: Annotated[int, Ge(256), Le(1 << 24)] = 4096
    static_bytes: Annotated[int, Ge(64), Le(1 << 24)] = 2048
    code_bytes: Annotated[int, Ge(1024), Le(1 << 30)] = 65_536
    application_stack_bytes: Annotated[int, Ge(0), Le(1 << 24)] = 1024
    application_static_bytes: Annotated[int, Ge(0), Le(1 << 24)] = 1024
    application_code_bytes: Annotated[int, Ge(0), Le(1 << 30)] = 16_384
    fitted: bool = False
    """True for a library whose statics and code grow with the ops of the network, see ``mcu/library.py``."""
    measured: str | None = None
    """The core whose shipped kernels were measured, or a file that ``mcusim twin --json`` has made."""
    step: Measured | None = None
    """What that says; filled in when a board is read."""

    def of_step(self, step: Measured) -> Runtime:
        """Return the same application around a step that was measured."""
        return replace(
            self, step=step, stack_bytes=step.stack_bytes + self.application_stack_bytes,
            static_bytes=step.statics_bytes + self.application_static_bytes,
            code_bytes=step.code_bytes + self.application_code_bytes,
        )  # fmt: skip

    def of_ops(self, ops: int) -> Runtime:
        """Return what a network of so many ops takes, where that is fitted and was not measured."""
        if not self.fitted or self.step is not None:
            return self
        return replace(self, static_bytes=RUNTIME.bytes(ops), code_bytes=CODE.bytes(ops))

    @property
    def application_bytes(self) -> int:
        """Stack and statics that are allowed for the application around a measured step."""
        return self.application_stack_bytes + self.application_static_bytes

    @property
    def bytes(self) -> int:
        """Stack and statics together."""
        return self.stack_bytes + self.static_bytes


@dataclass(frozen=True, slots=True)
class Board:
    """A microcontroller at one clock.

    ``sources`` names, for every figure by its dotted path (``"flash.program_typ_us"``), or for a whole
    table (``"power"``), where it was read. ``file`` is where the board itself was read from.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    name: Name
    title: Name
    core: Name
    clock_hz: Annotated[int, Ge(100_000), Le(5_000_000_000)]
    sram: Annotated[tuple[SramRegion, ...], MinLen(1)]
    flash: FlashMemory
    cache: Cache = field(default_factory=Cache)
    power: Power = field(default_factory=Power)
    runtime: Runtime = field(default_factory=Runtime)
    fpu: Literal["none", "single", "double"] = "none"
    dsp: bool = False
    """True if the core has 8- or 16-bit SIMD multiply-accumulate instructions."""
    chip: Name | None = None
    """Name under which profiles know the chip; that of the board if not given."""
    profile: str | None = None
    """Name of the cycle profile that is used unless another is asked for."""
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)
    file: str = ""

    @property
    def sram_bytes(self) -> int:
        """All SRAM that tensors may use."""
        return sum(region.bytes for region in self.sram)

    @property
    def sram_runs(self) -> tuple[tuple[str, int], ...]:
        """Runs of regions that follow each other without a gap: their names, and their bytes together."""
        runs: list[tuple[str, int]] = []
        end: int | None = None
        for region in self.sram:
            if runs and (end is None or region.address in (None, end)):
                name, size = runs.pop()
                runs.append((f"{name}+{region.name}", size + region.bytes))
            else:
                runs.append((region.name, region.bytes))
            start = end if region.address is None else region.address
            end = None if start is None else start + region.bytes
        return tuple(runs)

    @property
    def sram_gaps(self) -> tuple[int, ...]:
        """Offsets in the arena at which memory ends and goes on at another address."""
        return tuple(accumulate(size for _, size in self.sram_runs))[:-1]

    @property
    def inside_bytes(self) -> int:
        """SRAM on the chip: the offset in the arena at which external memory begins."""
        return sum(region.bytes for region in self.sram if not region.external)

    @property
    def beyond_dma(self) -> tuple[tuple[int, int], ...]:
        """Offsets in the arena that the DMA which brings the input does not reach: first, and end."""
        ends = accumulate(region.bytes for region in self.sram)
        return tuple(
            (end - region.bytes, end) for region, end in zip(self.sram, ends, strict=True) if not region.dma
        )

    def longest_run(self, budget: int) -> tuple[str, int]:
        """Return the name and size of the largest run among the first ``budget`` bytes of SRAM."""
        found, start = [], 0
        for name, size in self.sram_runs:
            found.append((name, min(size, max(budget - start, 0))))
            start += size
        return max(found, key=lambda run: run[1])

    @property
    def runtime_bytes(self) -> int:
        """Stack and statics of the firmware."""
        return self.runtime.bytes

    def with_measured(self, name_or_path: str | Path) -> Board:
        """Return the board with a firmware that was measured instead of the allowances of ``runtime``.

        Args:
            name_or_path: a core, for the shipped kernels on it, or what ``mcusim twin --json`` printed.

        Raises:
            UnknownName: for an unknown core.
            BadBoard: if it is no such result, or one of another core.
        """
        found = measured(name_or_path)
        if found.core.replace("+", "plus") != self.core:
            reason = f"was measured on {found.core}, and {self.name} has a {self.core}"
            raise BadBoard(found.file, reason, "give what mcusim twin --json prints for this board")
        return replace(self, runtime=self.runtime.of_step(found))

    def of_ops(self, ops: int) -> Board:
        """Return the board with what ``runtime`` is for a network of so many ops."""
        return self if not self.runtime.fitted else replace(self, runtime=self.runtime.of_ops(ops))

    def with_fitted(self) -> Board:
        """Return the board with statics and code that grow with the network, where they were not measured."""
        return replace(self, runtime=replace(self.runtime, fitted=True))

    def need(self, path: str, purpose: str = "") -> Any:
        """Return the figure at a dotted path, such as ``"power.active_mw"``.

        Raises:
            BadBoard: if nobody filled it in; names the field, the file and what needed it.
        """
        value: Any = self
        for part in path.split("."):
            value = getattr(value, part)
        if value is None:
            raise BadBoard(
                f"board {self.name}: {path}",
                "the figure is absent" + (f", and {purpose} needs it" if purpose else ""),
                f"fill it in, with its source, in a copy of {self.file or self.name + '.toml'}",
            )
        return value

    def figure(self, path: str, unit: str, purpose: str = "") -> Figure:
        """Return the figure at a dotted path together with its source."""
        return Figure(float(self.need(path, purpose)), unit, Provenance.MODELLED, self.source(path))

    def source(self, path: str) -> str:
        """Return where the figure at a dotted path was read; its table's source if it has no own."""
        while path:
            if path in self.sources:
                return self.sources[path]
            path = path.rpartition(".")[0]
        return f"{self.name}.toml, no source stated"

    def has_source(self, path: str) -> bool:
        """True if the figure at a dotted path, or a table it is in, says where it was read."""
        parts = path.split(".")
        return any(".".join(parts[: i + 1]) in self.sources for i in range(len(parts)))

    @property
    def answers(self) -> tuple[str, ...]:
        """What can be said of a session here beside its memory, as far as figures are filled in."""
        flash = self.flash
        erased = all(s.erase_typ_ms is not None or s.erase_max_ms is not None for s in flash.sectors)
        written = flash.program_typ_us is not None or flash.program_max_us is not None
        known = {
            "memory": True,
            "time": self.profile is not None,
            "energy": self.profile is not None and self.power.active_mw is not None,
            "energy at most": self.power.active_mw is None and self.power.bound_mw is not None,
            "sleep": self.power.sleep_mw is not None,
            "write-back": erased and written,
            "wear": flash.endurance_cycles is not None,
        }
        return tuple(what for what, there in known.items() if there)

    def __str__(self) -> str:
        return (
            f"{self.title}: {self.core} at {self.clock_hz / 1e6:g} MHz, "
            f"{self.sram_bytes:,} B SRAM, {self.flash.bytes:,} B flash"
        )
