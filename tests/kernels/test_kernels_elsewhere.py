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
from mcusim.graph import Arithmetic
from mcusim.kernels import forward

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

    def call(self, symbol: str, record: int) -> None:
        """Call a kernel as numba does: where its result goes, where an exception would, its record."""
        registers = [STACK - 64, STACK - 128, record]
        for number, value in enumerate(registers):
            self._uc.reg_write(self._arm.UC_ARM64_REG_X0 + number, value)
        self._uc.reg_write(self._arm.UC_ARM64_REG_SP, STACK - 4096)
        self._uc.reg_write(self._arm.UC_ARM64_REG_X30, END)
        self._uc.emu_start(self.symbols[symbol], END)

    def bytes_of(self, array: np.ndarray) -> bytes:
        """Return what the emulated memory holds where an array of this process lies."""
        return bytes(self._uc.mem_read(array.ctypes.data, array.nbytes))


def test_arm_computes_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    pytest.importorskip("elftools")
    pytest.importorskip("ziglang")
    symbols = compiled_for(tmp_path, *ARM, "+neon,+dotprod", FOR_FLOAT)
    (tmp_path / "library.c").write_text(LIBRARY)
    program = tmp_path / "kernels.elf"
    linked = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        "aarch64-freestanding-none",
        "-nostdlib",
        "-O1",
    ]
    files = [str(path) for path in (tmp_path / "library.c", *tmp_path.glob("*.o"))]
    options = ["-fno-builtin", "-Wl,--entry=memcpy", "-Wl,--no-gc-sections", "-o", str(program)]
    done = subprocess.run([*linked, *files, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
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
