"""A board's own test, what it sends back, and what a linker made of it."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest
from networks import small_network
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.core import BadRun
from mcusim.deployment.model_files import arena_bytes
from mcusim.emulation import toolchain
from mcusim.emulation.compilers import zig
from mcusim.emulation.cores import core_named
from mcusim.emulation.linked import linked
from mcusim.graph import Arithmetic
from mcusim.update.formats import Formats

USE = """
#include <stdio.h>

#include "model/small.h"

static int8_t input[SMALL_INPUT_BYTES];
static int sent(const void *data, uint32_t bytes) { return fwrite(data, 1, bytes, stdout) != bytes; }
static int nothing(uint32_t offset, void *to, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = 0xff;
    return offset > 1u << 30;
}
static const mcusim_flash erased = {nothing, NULL, NULL};

int main(int count, char **words) {
    (void)words;
    if (count == 1) return mcusim_selftest(&small, &small_expected, printf);
    mcusim_init(&small);
    mcusim_train(&small, input, 2);
    if (mcusim_check(&small, &erased) != MCUSIM_NO_COPY) return 1;
    mcusim_network other = small;
    other.format = 0;
    if (mcusim_check(&other, &erased) != MCUSIM_OTHER_KERNELS) return 1;
    return mcusim_send(&small, sent);
}
"""


def session(**choices):
    model = small_network(side=8, arithmetic=choices.pop("arithmetic", Arithmetic.FLOAT))
    choices = {"update": "dynamic:ratio=0.3", **choices}
    return mcusim.Session(model, "stm32u585", choices.pop("update"), sgd=mcusim.Sgd(lr=0.05), **choices)


def program(folder):
    (folder / "use.c").write_text(USE, "utf-8")
    sources = [*(folder / "kernels").glob("*.c"), *(folder / "model").glob("*.c"), folder / "use.c"]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ffp-contract=off", "-DMCUSIM_NAMES"]
    out = folder / "use.out"
    subprocess.run([*zig(), *flags, *map(str, sources), "-o", str(out)], check=True)
    return out


CASES = {
    "float": {},
    "int8 errors": {"arithmetic": Arithmetic.TFLITE, "formats": Formats(error="int8", bias="int32+res8")},
}


@pytest.mark.parametrize("case", CASES)
def test_the_self_test_passes_and_what_is_sent_is_what_was_learned(case, tmp_path):
    own = session(**CASES[case])
    folder = own.firmware(tmp_path / "out").folder
    use = program(folder)
    done = subprocess.run([use], capture_output=True, text=True)
    ops = len(own.plan().step.ops) + ("errors" in case)
    assert done.stdout == f"small: PASS, {ops} ops as in mcusim {mcusim.__version__}\n"
    assert done.returncode == 0
    dump = subprocess.run([use, "send"], capture_output=True, check=True).stdout
    (tmp_path / "dump.bin").write_bytes(dump)
    learned = own.learned(dump)
    assert any(
        not np.array_equal(t.data, own.model.tensors[n].data)
        for n, t in learned.tensors.items()
        if t.constant
    )
    with pytest.raises(BadRun, match="no whole copy"):
        own.learned(dump[:-1] + bytes([dump[-1] ^ 1]))


def test_the_self_test_names_the_first_op_that_differs(tmp_path):
    folder = session().firmware(tmp_path / "out").folder
    tables = folder / "model" / "small.c"
    text = tables.read_text("utf-8")
    tables.write_text(re.sub(r"\.zero = -128", ".zero = -127", text, count=1), "utf-8")
    done = subprocess.run([program(folder)], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("small: FAIL at op 1 stem\n", 1)
    tables.write_text(text, "utf-8")
    data = folder / "model" / "small_data.c"
    changed = re.sub(r"(small_factor_\w+\[\d+\] = \{\n +)", r"\g<1>-", data.read_text("utf-8"), count=1)
    assert changed != data.read_text("utf-8")
    data.write_text(changed, "utf-8")
    done = subprocess.run([program(folder)], capture_output=True, text=True)
    assert re.fullmatch(r"small: FAIL, table \d+ of constants in flash is another\n", done.stdout)


def test_a_dump_becomes_a_model_file_and_bad_ones_are_named(tmp_path):
    model, dump, out = (tmp_path / n for n in ("small.npz", "dump.bin", "learned.npz"))
    own = session(update="head")
    mcusim.save(own.model, model)
    words = ["firmware", "-m", str(model), "-b", "stm32u585", "-u", "head", "--out", str(out)]
    words += ["--read", str(dump)]
    missing = CliRunner().invoke(build(), words)
    assert missing.exit_code == 2
    assert "cannot be read" in missing.stderr
    folder = own.firmware(tmp_path / "out").folder
    dump.write_bytes(subprocess.run([program(folder), "send"], capture_output=True, check=True).stdout)
    done = CliRunner().invoke(build(), words)
    assert done.exit_code == 0, done.output
    assert out.is_file()
    dump.write_bytes(b"\xff" * 999)
    assert CliRunner().invoke(build(), words).exit_code == 2


def test_a_linked_program_is_held_against_the_plan(tmp_path):
    own = session()
    plan = own.plan()
    folder = own.firmware(tmp_path / "out").folder
    elf = toolchain.build(folder, "small", core_named("cortex-m4"), arena_bytes(plan))
    found = linked(folder, elf)
    assert found.arena_bytes == found.planned_arena_bytes == arena_bytes(plan)
    assert found.flash_bytes > 10_000
    assert not found.problems
    other = session(update="dense").firmware(tmp_path / "other").folder
    assert "another plan" in linked(other, elf).problems[0]
    words = ["firmware", "--out", str(other), "--check", str(elf)]
    result = CliRunner().invoke(build(), words)
    assert result.exit_code == 3, result.output
    for wrong, reason in ((tmp_path, "no folder"), (folder, "no ELF file")):
        place = elf if wrong is tmp_path else folder / "plan.json"
        with pytest.raises(BadRun, match=reason):
            linked(wrong, place)
