"""Another compiler and another emulator give the same bytes; what is not installed is named."""

from __future__ import annotations

import shutil

import pytest
from emulation_networks import drawn, session
from networks import small_network
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.emulation.compilers import COMPILERS, compiler_named
from mcusim.emulation.cores import CORES, core_named
from mcusim.emulation.emulators import EMULATORS, emulator_for
from mcusim.emulation.qemu_machine import QEMU, QemuMachine, qemu
from mcusim.emulation.twin import run_twin

GCC = "arm-none-eabi-gcc"
MACHINES = [name for name, core in CORES.items() if core.machine]


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def twin(core: str, steps: int = 2, **others: object) -> mcusim.emulation.twin_run.TwinRun:
    own = session(small_network(side=8), "dynamic:ratio=0.3,stage=1")
    return run_twin(own.plan(), own.scheme, drawn(own.model, steps), core_named(core), **others)


@pytest.mark.parametrize("core", MACHINES)
def test_gcc_and_qemu_give_the_same_bytes(core):
    needs(GCC, QEMU)
    tested = core == MACHINES[-1]
    found = twin(core, toolchain=GCC, emulator=QEMU, selftest=tested)
    assert found.equal, str(found.first_difference)
    assert found.bytes_compared > 100_000
    assert (": PASS" in (found.selftest or "")) is tested
    assert (found.instructions_per_step, found.cycles) == (None, {})
    assert 0 < found.stack_bytes < 1024
    assert found.as_dict()["toolchain"].startswith(GCC)


def test_both_emulators_see_the_same_of_one_program():
    needs(QEMU)
    one, two = (twin("cortex-m4", emulator=name) for name in EMULATORS)
    assert one.equal
    assert two.equal
    same = ("bytes_compared", "ops", "stack_bytes", "statics_bytes", "code_bytes", "arena_bytes")
    assert [getattr(one, name) for name in same] == [getattr(two, name) for name in same]
    assert one.instructions_per_step


def test_a_program_that_leaves_its_code_is_a_fault_with_its_place(tmp_path, monkeypatch):
    needs(QEMU)
    monkeypatch.setattr("mcusim.emulation.qemu_machine.STOP_SECONDS", 5)
    put = QemuMachine.write

    def spoiled(self: QemuMachine, address: int, data: bytes) -> None:
        put(self, address, data)
        if address == self.symbols["twin_box"]:  # the next instruction is one that there is not
            put(self, self.symbols["mcusim_train"], b"\xff\xde" * 2)

    monkeypatch.setattr(QemuMachine, "write", spoiled)
    with pytest.raises(mcusim.BadRun, match=r"firmware on cortex-m4: (qemu-system-arm ended|faults)"):
        twin("cortex-m4", emulator=QEMU)


@pytest.mark.smoke
def test_what_is_not_known_is_named():
    assert compiler_named(None).name == "zig"
    assert [emulator_for(core, None).name for core in CORES.values()].count(QEMU) == 1
    with pytest.raises(mcusim.UnknownName, match=r"gcc.*arm-none-eabi-gcc"):
        compiler_named("gcc")
    with pytest.raises(mcusim.UnknownName, match="qemu"):
        emulator_for(core_named("cortex-m4"), "qemu")
    assert {*COMPILERS} == {"zig", GCC}


def test_what_is_not_installed_is_named_with_the_way_to_have_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    qemu.cache_clear()
    runner = CliRunner()
    words = ["twin", "-m", "synthetic-mbv2", "-b", "nrf52840", "--data", "synthetic"]
    for option, name, package in (
        ("--toolchain", GCC, "gcc-arm-none-eabi"),
        ("--emulator", QEMU, QEMU),
    ):
        result = runner.invoke(build(), [*words, option, name])
        assert result.exit_code == 2
        assert f"{name}: is not installed (install it (Debian: apt install {package}" in result.stderr


def test_a_core_that_one_of_them_does_not_know_is_refused():
    with pytest.raises(mcusim.BadArgument, match="rv32imc: is none of qemu-system-arm"):
        emulator_for(core_named("rv32imc"), QEMU)
    with pytest.raises(mcusim.BadArgument, match="cortex-m55: is none of unicorn"):
        emulator_for(core_named("cortex-m55"), "unicorn")
    needs(GCC)
    with pytest.raises(mcusim.BadArgument, match="rv32imc"):
        twin("rv32imc", toolchain=GCC)
