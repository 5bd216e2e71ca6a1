"""Other processors' instructions give the same integers: compiled for them here, and for Arm emulated."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcusim
from mcusim.graph import Arithmetic, Attributes, Op, OpKind, Quant, Tensor
from mcusim.kernels import backward, forward, reference, update
from mcusim.kernels.compiled.rows import GRADIENT, INPUT, RULE

HERE = Path(__file__).parent
FUSED = "mcusim.kernels.compiled.fused"
FOR_FLOAT = [f"{FUSED}.{name}_float" for name in ("pointwise", "window", "three", "any")]
ARM = "aarch64-linux-gnu", "generic"
PROCESSORS = {
    "AVX-VNNI": ("x86_64-linux-gnu", "alderlake", "+avx2,+fma,+avxvnni", "{vex}\tvpdpbusd"),
    "AVX2": ("x86_64-linux-gnu", "haswell", "+avx2,+fma", "vpmaddwd"),
    "Arm I8MM": (*ARM, "+neon,+i8mm", "usdot"),
    "Arm DotProd": (*ARM, "+neon,+dotprod", "sdot"),
}
FLOAT = Arithmetic.FLOAT
PAGE, STACK, END = 4096, 0x4000_0000, 0x5000_0000
LIBRARY = """
void *memcpy(void *t, const void *s, unsigned long n) {
  for (unsigned long i = 0; i < n; i++) ((volatile char *)t)[i] = ((const char *)s)[i];
  return t;
}
void *memset(void *t, int v, unsigned long n) {
  for (unsigned long i = 0; i < n; i++) ((volatile char *)t)[i] = v;
  return t;
}
"""


def compiled_for(folder: Path, triple: str, cpu: str, features: str, names: list[str]) -> dict[str, str]:
    """Compile kernels in a process of its own; return the symbol of each."""
    command = [sys.executable, str(HERE / "kernels_elsewhere.py"), str(folder), triple, cpu, features, *names]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    return dict(map(str.split, run.stdout.splitlines()))  # type: ignore[arg-type]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_products_are_the_instruction_of_the_processor(processor: str, tmp_path: Path) -> None:
    *target, instruction = PROCESSORS[processor]
    compiled_for(tmp_path, *target, FOR_FLOAT[2:3])
    assembly = (tmp_path / "three_float.s").read_text()
    assert instruction in assembly
    others = {each[-1] for each in PROCESSORS.values()} - {instruction}
    assert not [other for other in others if f"\t{other}\t" in assembly]


class Emulator:
    """A 64-bit Arm that reads the memory of this process, page by page as it asks, and writes to a copy."""

    def __init__(self, program: Path) -> None:
        import unicorn
        from elftools.elf.elffile import ELFFile
        from unicorn import arm64_const as arm

        self._uc = uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        uc.ctl_set_cpu_model(arm.UC_CPU_ARM64_MAX)
        self._arm, self._seen = arm, set[int]()
        with program.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                for page in range(
                    segment["p_vaddr"] // PAGE, (segment["p_vaddr"] + segment["p_memsz"]) // PAGE + 1
                ):
                    self._map(page)
                uc.mem_write(segment["p_vaddr"], segment.data())
            symbols = elf.get_section_by_name(".symtab").iter_symbols()
            self.symbols = {symbol.name: symbol["st_value"] for symbol in symbols}
        for page in range((STACK - 2**20) // PAGE, STACK // PAGE + 1):
            self._map(page)
        self._map(END // PAGE)
        uc.reg_write(arm.UC_ARM64_REG_CPACR_EL1, 3 << 20)
        missing = unicorn.UC_HOOK_MEM_READ_UNMAPPED | unicorn.UC_HOOK_MEM_WRITE_UNMAPPED
        uc.hook_add(missing, self._fetch)

    def _map(self, page: int) -> bool:
        if page in self._seen:
            return False
        self._seen.add(page)
        self._uc.mem_map(page * PAGE, PAGE)
        return True

    def _fetch(self, uc: Any, access: int, address: int, size: int, value: int, data: Any) -> bool:
        for page in range(address // PAGE, (address + size - 1) // PAGE + 1):
            if self._map(page):
                uc.mem_write(page * PAGE, ctypes.string_at(page * PAGE, PAGE))
        return True

    def call(self, symbol: str, *arguments: float) -> None:
        """Call a kernel as numba does: where its result goes, where an exception would, its arguments."""
        registers = [STACK - 64, STACK - 128, *(each for each in arguments if isinstance(each, int))]
        for number, value in enumerate(registers):
            self._uc.reg_write(self._arm.UC_ARM64_REG_X0 + number, value % 2**64)
        for number, real in enumerate(each for each in arguments if isinstance(each, float)):
            self._uc.reg_write(self._arm.UC_ARM64_REG_D0 + number, int(np.float64(real).view(np.uint64)))
        self._uc.reg_write(self._arm.UC_ARM64_REG_SP, STACK - 4096)
        self._uc.reg_write(self._arm.UC_ARM64_REG_X30, END)
        self._uc.emu_start(self.symbols[symbol], END)

    def bytes_of(self, array: np.ndarray) -> bytes:
        """Return what the emulated memory holds where an array of this process lies."""
        return bytes(self._uc.mem_read(array.ctypes.data, array.nbytes))


def linked(folder: Path, names: list[str]) -> tuple[Path, dict[str, str]]:
    """Return a program of kernels for Arm, and the symbol of each."""
    for package in ("unicorn", "elftools", "ziglang"):
        pytest.importorskip(package)
    symbols = compiled_for(folder, *ARM, "+neon,+dotprod", names)
    (folder / "library.c").write_text(LIBRARY)
    program = folder / "kernels.elf"
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        "aarch64-freestanding-none",
        "-nostdlib",
        "-O1",
    ]
    files = [str(path) for path in (folder / "library.c", *folder.glob("*.o"))]
    options = ["-fno-builtin", "-Wl,--entry=memcpy", "-Wl,--no-gc-sections", "-o", str(program)]
    done = subprocess.run([*command, *files, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return program, symbols


def test_arm_computes_the_same_bytes(tmp_path: Path) -> None:
    program, symbols = linked(tmp_path, FOR_FLOAT)
    model = mcusim.load("synthetic-mbv2")
    values: dict[str, Any] = {}
    x = np.random.default_rng(0).integers(-128, 128, model.input.shape).astype(np.int8)
    values[model.inputs[0]], ran = x, set()
    for op in model.ops:
        tensors = model.tensors
        given = op.inputs[:1] if op.weight is not None else op.inputs
        inputs = tuple(values[n] if n in values else tensors[n].data for n in given)
        y = np.zeros(tensors[op.output].shape, tensors[op.output].dtype)
        values[op.output] = y
        bound = forward.bound(forward.forward(op, tensors, Arithmetic.FLOAT), inputs, y)
        name = getattr(getattr(bound.func, "py_func", None), "__name__", "")
        emulated = b""
        if name in symbols and name not in ran:
            emulator = Emulator(program)
            emulator.call(symbols[name], bound.args[0])
            emulated = emulator.bytes_of(y)
            assert not y.any()
            ran.add(name)
        bound()
        if emulated:
            assert emulated == y.tobytes(), f"{name} of {op.name}"
            assert y.any()
    assert ran == set(symbols)


COMPILED = "mcusim.kernels.compiled"
GRADIENTS = {
    "grad_input_convolution": (f"{COMPILED}.grad_input", INPUT),
    "grad_input_depthwise": (f"{COMPILED}.grad_depthwise", INPUT),
    "grad_weight_convolution": (f"{COMPILED}.grad_parameters", GRADIENT),
    "grad_weight_depthwise": (f"{COMPILED}.grad_parameters", GRADIENT),
    "grad_bias": (f"{COMPILED}.grad_parameters", GRADIENT),
    "int8": (f"{COMPILED}.rules.stochastic", RULE),
}
"""Kernels of the backward pass: module and types of the arguments."""


def test_arm_learns_the_same_bytes(tmp_path: Path) -> None:
    """Nothing is fused or reordered there either: gradients and updates are those of the slow twins."""
    names = [f"{module}.{name}:{','.join(map(str, types))}" for name, (module, types) in GRADIENTS.items()]
    program, symbols = linked(tmp_path, names)
    rng, ran = np.random.default_rng(0), set()

    def emulated(bound: Any, out: np.ndarray, *arguments: float) -> np.ndarray:
        name = bound.func.py_func.__name__
        emulator = Emulator(program)
        emulator.call(symbols[name], bound.args[0], *arguments)
        ran.add(name)
        return np.frombuffer(emulator.bytes_of(out), out.dtype).reshape(out.shape)

    for kind, kernel, stride in (
        (OpKind.CONV_2D, 1, 1),
        (OpKind.CONV_2D, 3, 2),
        (OpKind.DEPTHWISE_CONV_2D, 3, 2),
    ):
        depthwise = kind is OpKind.DEPTHWISE_CONV_2D
        c_in, c_out = (24, 24) if depthwise else (24, 20)
        shape = (1, kernel, kernel, c_out) if depthwise else (c_out, kernel, kernel, c_in)
        pads = ((kernel // 2, kernel // 2),) * 2
        size = (7 + 2 * (kernel // 2) - kernel) // stride + 1
        weight = rng.integers(-127, 128, shape).astype(np.int8)
        tensors = {
            "x": Tensor("x", (1, 7, 7, c_in), "int8", Quant.of(0.1, 3)),
            "w": Tensor("w", shape, "int8", Quant.of(0.02), weight),
            "b": Tensor("b", (c_out,), "int32", None, np.zeros(c_out, np.int32)),
            "y": Tensor("y", (1, size, size, c_out), "int8", Quant.of(0.2)),
        }
        op = Op("op", kind, ("x", "w", "b"), "y", Attributes(stride=(stride, stride), padding=pads))
        g = rng.standard_normal((1, size, size, c_out)).astype(np.float32)
        x, channels = (
            rng.integers(-128, 128, (1, 7, 7, c_in)).astype(np.int8),
            np.arange(c_in, dtype=np.int32),
        )
        mask = rng.integers(0, 256, -(-g.size // 8)).astype(np.uint8)
        block = np.zeros((c_in, kernel, kernel, 1 if depthwise else c_out), np.float32)
        g_x, bias = np.zeros(x.shape, np.float32), np.zeros(c_out, np.float32)
        fast, slow = (
            [
                m.grad_input(op, tensors, FLOAT),
                m.grad_weight(op, tensors, FLOAT),
                m.grad_bias(op, tensors, FLOAT),
            ]
            for m in (backward, reference)
        )
        found = [
            emulated(fast[0].bind(g, mask, g_x, weight), g_x, 1.0, 1.0, 0),
            emulated(fast[1].bind(g, mask, x, channels, block, None), block, 1.0),
            emulated(fast[2].bind(g, mask, bias), bias, 1.0),
        ]
        slow[0](g, 1.0, mask, (weight,), g_x, 1.0, False)
        slow[1](g, 1.0, mask, x, channels, block)
        slow[2](g, 1.0, mask, bias)
        for mine, theirs in zip(found, (g_x, block, bias), strict=True):
            assert mine.any()
            np.testing.assert_array_equal(mine, theirs)
        rule = update.weight_rule(op, tensors, "int8-sr", seed=5)
        learned = emulated(
            rule.bind(weight, None, channels, block, None, None), weight, 0.3, 0.0, rule.seed, 7
        )
        expected = weight.copy()
        twin = reference.weight_rule(op, tensors, "int8-sr", seed=5)
        twin(expected, None, channels, block, 0.3, None, 0.0, 7)
        assert (expected != weight).any()
        np.testing.assert_array_equal(learned, expected)
    assert ran == set(symbols)
