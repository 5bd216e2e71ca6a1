"""Our kernels beside those of CMSIS-NN: instructions on the same layers, the same core, by the same compiler.

    git clone https://github.com/ARM-software/CMSIS-NN
    python benchmarks/firmware/cmsis_nn.py --cmsis CMSIS-NN --toolchain zig --toolchain arm-none-eabi-gcc

Layers are those of MobileNetV2-w0.35 and of the synthetic network, by the names of their ops. ``cmsis_nn.c``
runs each one by our kernel and by the one that CMSIS-NN's wrappers choose for it,
``arm_convolve_1x1_s8_fast`` or ``arm_depthwise_conv_3x3_s8``. Ours are compiled as for a twin, theirs with
each of ``OPTIMISED``: the fewest instructions count. Every output is compared. In fixed point, as TFLite
rescales, they are equal bit for bit; a float product rounded to the nearest, which is the arithmetic of
MobileNetV2-w0.35 here, differs by 1 at most from theirs, which know fixed point only.

Depthwise outputs *in place* take the bytes of their inputs, through a plane of scratch. CMSIS-NN has no such
kernel: theirs is the one that needs room for both.

``cmsis_nn.csv`` is the table, which does not depend on the machine that it is made on.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mcusim import BadArgument, BadRun, McusimError
from mcusim.emulation.compilers import COMPILERS, ZIG, Compiler
from mcusim.emulation.cores import CORES, UNICORN, EmulatedCore
from mcusim.emulation.toolchain import compile_for, compile_kernels, write_target
from mcusim.emulation.unicorn_machine import UnicornMachine
from mcusim.kernels.scales import multiplier_and_shift

HERE = Path(__file__).parent
OURS = Path(str(files("mcusim.deployment") / "kernels"))
THEIRS = (
    "Source/ConvolutionFunctions/arm_convolve_1x1_s8_fast.c",
    "Source/ConvolutionFunctions/arm_depthwise_conv_3x3_s8.c",
    "Source/NNSupportFunctions/arm_nn_mat_mult_nt_t_s8.c",
)
OPTIMISED = ("-Os", "-O3", "-Ofast")
"""As a twin, as most do, and as CMSIS-NN's own build does."""
LOOSE = ("-std=gnu11", "-fhosted", "-fbuiltin", "-w", "-Wno-error")
"""Undoes what we ask of our own C: theirs needs GNU's, and built-in functions to be fast."""
STRING = """#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
"""
"""The header of a C library, which there is not."""
CHOSEN = ("cortex-m4", "cortex-m7")
ARENA = 1 << 18
X_ZERO, Y_ZERO = -11, 7
COLUMNS = (
    "toolchain", "core", "kind", "layer", "h", "w", "inputs", "outputs", "stride", "macs", "arithmetic",
    "ours", "theirs", "theirs_optimised", "ours_per_mac", "theirs_per_mac", "ratio",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution, 1 x 1 or depthwise 3 x 3 and padded by 1, by the op of a network with its shape."""

    network: str
    op: str
    h: int
    w: int
    inputs: int
    outputs: int
    stride: int = 1
    depthwise: bool = False
    in_place: bool = False

    @property
    def kind(self) -> str:
        """As a trace calls it."""
        return ("depthwise" + " in place" * self.in_place) if self.depthwise else "pointwise"

    @property
    def out(self) -> tuple[int, int, int]:
        """Shape of the output."""
        return -(-self.h // self.stride), -(-self.w // self.stride), self.outputs

    @property
    def macs(self) -> int:
        """Products, those with padding left out."""
        if not self.depthwise:
            return self.h * self.w * self.inputs * self.outputs
        rows, columns = (
            sum(0 <= i * self.stride + tap < size for i in range(out) for tap in (-1, 0, 1))
            for size, out in ((self.h, self.out[0]), (self.w, self.out[1]))
        )
        return rows * columns * self.outputs

    def defined(self) -> list[str]:
        """Return what ``cmsis_nn.c`` calls its sizes."""
        kernel = {"pointwise": "mcusim_pointwise", "depthwise": "mcusim_depthwise"}
        numbers = {
            "H": self.h, "W": self.w, "CI": self.inputs, "CO": self.outputs, "OH": self.out[0],
            "OW": self.out[1], "K": 3 if self.depthwise else 1, "STRIDE": self.stride,
            "WEIGHTS": self.outputs * (9 if self.depthwise else self.inputs),
            "X_ZERO": X_ZERO, "Y_ZERO": Y_ZERO, "FROM": "ours" if self.in_place else "x",
            "KERNEL": kernel.get(self.kind, "mcusim_depthwise_plane"),
        }  # fmt: skip
        return [f"-D{name}={number}" for name, number in numbers.items()]

    def drawn(self) -> dict[str, NDArray[np.generic]]:
        """Return inputs, parameters and factors by which outputs use most of an int8."""
        rng = np.random.default_rng(0)
        taps = 9 if self.depthwise else self.inputs
        factors = rng.uniform(0.5, 1.5, self.outputs) * 50 / (74 * 73 * np.sqrt(taps))
        pairs = [multiplier_and_shift(float(factor)) for factor in factors]
        shift = np.array([shift for _, shift in pairs], np.int32)
        return {
            "x": rng.integers(-128, 128, self.h * self.w * self.inputs, np.int8),
            "weight": rng.integers(-127, 128, self.outputs * taps, np.int8),
            "bias": rng.integers(-3000, 3000, self.outputs, np.int32),
            "multiplier": np.array([multiplier for multiplier, _ in pairs], np.int32), "shift": shift,
            "short_shift": shift.astype(np.int8), "factor": factors.astype(np.float32),
        }  # fmt: skip


DEMO, REAL = "synthetic-mbv2", "mbv2-w0.35"
DEPTHWISE = (
    Layer(DEMO, "blocks.0.depthwise", 16, 16, 16, 16, 1, True),
    Layer(DEMO, "blocks.1.depthwise", 16, 16, 48, 48, 2, True),
    Layer(REAL, "blocks.3.depthwise", 32, 32, 48, 48, 2, True),
    Layer(REAL, "blocks.4.depthwise", 16, 16, 96, 96, 1, True),
    Layer(REAL, "blocks.14.depthwise", 4, 4, 336, 336, 1, True),
)
LAYERS = (
    Layer(DEMO, "blocks.1.expand", 16, 16, 8, 48),
    Layer(DEMO, "blocks.1.project", 8, 8, 48, 16),
    Layer(REAL, "blocks.1.pointwise1", 64, 64, 8, 48),
    Layer(REAL, "blocks.4.pointwise2", 16, 16, 96, 16),
    Layer(REAL, "blocks.7.pointwise1", 8, 8, 24, 144),
    Layer(REAL, "blocks.16.pointwise2", 4, 4, 336, 112),
    *DEPTHWISE,
    *(replace(layer, in_place=True) for layer in DEPTHWISE),
)


class Bench:
    """One core, one compiler: kernels of both sides, as objects.

    Raises:
        MissingPackage, BadRun: if there is no compiler or emulator, or it refuses.
    """

    def __init__(self, core: EmulatedCore, compiler: Compiler, cmsis: Path, own: Path) -> None:
        self.core, self.compiler, self.own = core, compiler, own
        (own / "string.h").write_text(STRING, "utf-8")
        write_target(own, ("startup.c", "link.ld"), UNICORN, ARENA)
        self.headers = ["-isystem", str(own), "-isystem", str(cmsis / "Include"), f"-I{OURS}"]
        self.kernels = compile_kernels(sorted(OURS.iterdir()), core, compiler, own)
        self.theirs: dict[str, list[str]] = {}
        for flag in OPTIMISED:
            self.theirs[flag] = [str(own / f"{Path(name).stem}{flag}.o") for name in THEIRS]
            for name, made in zip(THEIRS, self.theirs[flag], strict=True):
                words = [flag, *LOOSE, *self.headers, "-c", str(cmsis / name), "-o", made]
                compile_for(core, compiler, words)

    def counts(self, layer: Layer, flag: str) -> tuple[int, int, int]:
        """Return what ours execute in fixed point, in float, and theirs.

        Raises:
            BadRun: if outputs differ.
        """
        elf = self.own / "layer.elf"
        compile_for(self.core, self.compiler, [
            *layer.defined(), *self.headers, f"-Wl,--gc-sections,-T,{self.own / 'link.ld'}",
            *map(str, (self.own / "startup.c", HERE / "cmsis_nn.c", self.kernels)), *self.theirs[flag],
            *self.compiler.libraries(self.core), "-o", str(elf),
        ])  # fmt: skip
        machine, data = UnicornMachine(elf, self.core, ARENA), layer.drawn()
        machine.run()
        for name, values in data.items():
            machine.write(machine.symbols[name], values.tobytes())
        executed, outputs, size = [], [], int(np.prod(layer.out))
        for place in ("ours", "ours", "theirs"):
            if layer.in_place:
                machine.write(machine.symbols["ours"], data["x"].tobytes())
            before = machine.count.by_class().sum()
            machine.run()
            executed.append(int(machine.count.by_class().sum() - before))
            outputs.append(np.frombuffer(machine.read(machine.symbols[place], size), np.int8))
        fixed, near, theirs = (out.astype(int) for out in outputs)
        if np.any(fixed != theirs) or np.abs(near - theirs).max() > 1:
            raise BadRun(f"layer {layer.network} {layer.op}", f"differs from CMSIS-NN's on {self.core.name}")
        return executed[0], executed[1], executed[2]

    def rows(self, layer: Layer) -> Iterator[tuple[object, ...]]:
        """Yield the rows of a layer: one an arithmetic."""
        found = {flag: self.counts(layer, flag) for flag in OPTIMISED}
        flag = min(OPTIMISED, key=lambda flag: found[flag][2])
        *ours, theirs = found[flag]
        for arithmetic, count in zip(("fixed", "float"), ours, strict=True):
            yield (
                self.compiler.described(), self.core.name, layer.kind, f"{layer.network} {layer.op}",
                layer.h, layer.w, layer.inputs, layer.outputs, layer.stride, layer.macs, arithmetic, count,
                theirs, flag,
                *(f"{n / layer.macs:.2f}" for n in (count, theirs)), f"{count / theirs:.2f}",
            )  # fmt: skip


def checkout(path: str) -> Path:
    """Return a folder that has what is compiled of CMSIS-NN.

    Raises:
        BadArgument: if it has not; says what is missing.
    """
    folder = Path(path)
    for name in ("Include/arm_nnfunctions.h", *THEIRS):
        if not (folder / name).is_file():
            way_out = "git clone https://github.com/ARM-software/CMSIS-NN, and name that folder"
            raise BadArgument(f"--cmsis {path}", f"has no {name}", way_out)
    return folder


def summary(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the ranges of the table in Markdown, as the documentation has them."""

    def spread(column: str, *which: str) -> str:
        found = [float(r[column]) for r in rows if which == tuple(r[c] for c in COLUMNS[:3] + COLUMNS[10:11])]
        return f"{min(found):.2f} – {max(found):.2f}"

    lines = [
        "| compiler of both | core | kind | CMSIS-NN | ours, fixed point | ratio | ours, float | ratio |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for toolchain, core, kind in dict.fromkeys(tuple(r[c] for c in COLUMNS[:3]) for r in rows):
        name, *words = toolchain.split()
        version = next(word for word in words if word[0].isdigit())
        cells = [f"{name} {version}", core, kind, spread("theirs_per_mac", toolchain, core, kind, "fixed")]
        for arithmetic in ("fixed", "float"):
            cells += [spread(c, toolchain, core, kind, arithmetic) for c in ("ours_per_mac", "ratio")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table(cmsis: Path, compilers: list[Compiler]) -> list[tuple[object, ...]]:
    """Return all rows, and print them as they are found."""
    rows: list[tuple[object, ...]] = []
    for compiler in compilers:
        for name in CHOSEN:
            with TemporaryDirectory() as own:
                bench = Bench(CORES[name], compiler, cmsis, Path(own))
                for layer in LAYERS:
                    for row in bench.rows(layer):
                        print(*row[:4], *row[10:], flush=True)
                        rows.append(row)
    return rows


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cmsis", metavar="DIR", default="CMSIS-NN", help="a checkout of CMSIS-NN")
    parser.add_argument("--toolchain", action="append", choices=COMPILERS, help="more than one may be named")
    options = parser.parse_args()
    try:
        named = options.toolchain or [ZIG.name]
        rows = table(checkout(options.cmsis), [COMPILERS[name] for name in named])
    except McusimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    with (HERE / "cmsis_nn.csv").open("w", newline="", encoding="utf-8") as file:
        written = csv.writer(file, lineterminator="\n")
        written.writerow(COLUMNS)
        written.writerows(rows)


if __name__ == "__main__":
    main()
