"""The folder: whole or not there, the same for the same plan, and refused where something has no C kernel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.core import BadArgument, BadModel, BadRun, OutOfSram
from mcusim.deployment.losses import LOSSES
from mcusim.deployment.project import PLAN
from mcusim.emulation.compilers import zig
from mcusim.engine.inference import Inference
from mcusim.tasks.task import TASKS

UNDEFINED = ("-fsanitize=undefined", "-fsanitize-trap=undefined")
"""What C leaves undefined, an overflow or a shift too far, ends the program."""
TWO = """
#include <stdio.h>

#include "one/model/first.h"
#include "two/model/second.h"

static int8_t input[FIRST_INPUT_BYTES];

int main(void) {
    mcusim_init(&first);
    mcusim_init(&second);
    for (uint32_t i = 0; i < sizeof input; i++) input[i] = (int8_t)(i * 37u);
    for (int step = 0; step < 2; step++) {
        float a = mcusim_train(&first, input, 1), b = mcusim_train(&second, input, 1);
        printf("%a %a\\n", (double)a, (double)b);
    }
    return 0;
}
"""


INFER = """
#include <stdio.h>

#include "model/small.h"

static int8_t input[SMALL_INPUT_BYTES];

int main(void) {
    mcusim_init(&small);
    for (uint32_t i = 0; i < sizeof input; i++) input[i] = (int8_t)(i * 37u + 11u);
    mcusim_answer answer = mcusim_infer(&small, input);
    printf("%lu %a\\n", (unsigned long)answer.category, (double)answer.score);
    return 0;
}
"""


def session(model=None, update="last-3", **choices):
    return mcusim.Session(model or small_network(), mcusim.board("stm32h743"), update, **choices)


def test_the_folder_says_what_it_is(tmp_path):
    made = session().firmware(tmp_path / "out")
    text = (made.folder / "README.md").read_text("utf-8")
    assert "@" not in text
    assert f"{made.sizes['ARENA_BYTES']:,}" in text
    assert (made.folder / PLAN).is_file()
    assert {"kernels", "model", "src", "zephyr"} <= {path.name for path in made.folder.iterdir()}
    again = session().firmware(tmp_path / "again")
    for path in sorted(made.folder.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again.folder / path.relative_to(made.folder)).read_bytes()


def test_no_template_has_a_word_left(tmp_path):
    made = session().firmware(tmp_path / "out")
    for path in made.folder.rglob("*"):
        if path.is_file() and path.parent.name not in ("kernels", "model"):
            assert "@PREFIX@" not in path.read_text("utf-8")
            assert "@UPPER@" not in path.read_text("utf-8")


def test_its_header_suits_cpp_and_its_example_compiles(tmp_path):
    made = session().firmware(tmp_path / "out")
    (tmp_path / "use.cpp").write_text(f'#include "{made.name}.h"\nint main() {{ return 0; }}\n', "utf-8")
    cpp = [*zig()[:-1], "c++", "-Wall", "-Wextra", "-Werror", f"-I{made.folder / 'model'}"]
    subprocess.run([*cpp, "-c", str(tmp_path / "use.cpp"), "-o", str(tmp_path / "use.o")], check=True)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-DMCUSIM_AFTER_OP", "-ffp-contract=off", *UNDEFINED]
    sources = [*made.folder.glob("src/*.c"), made.folder / "main.c"]
    program = tmp_path / "measure"
    subprocess.run([*zig(), *flags, *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    rows = done.stdout.splitlines()
    assert rows[0].startswith("name,kind,macs")
    assert len(rows) == 1 + made.sizes["OPS"]


@pytest.mark.parametrize("update", ["zeroth:ratio=0.3,step=9,layers=all", "dynamic:ratio=0.3"])
def test_inference_is_that_of_the_network_as_it_is(update, tmp_path):
    said = []
    for name, what, residency in (("plain", "head", "sram"), ("own", update, "flash")):
        folder = session(small_network(), what, residency=residency).firmware(tmp_path / name).folder
        (folder / "infer.c").write_text(INFER, "utf-8")
        sources = [folder / "infer.c", *folder.glob("kernels/*.c"), *folder.glob("model/*.c")]
        flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ffp-contract=off", *UNDEFINED]
        subprocess.run([*zig(), *flags, *map(str, sources), "-o", str(tmp_path / f"{name}.out")], check=True)
        done = subprocess.run([str(tmp_path / f"{name}.out")], check=True, capture_output=True, text=True)
        said.append(done.stdout)
    assert said[0] == said[1]
    x = (np.arange(16 * 16 * 3) * 37 + 11).astype(np.uint8).view(np.int8).reshape(1, 16, 16, 3)
    scores = Inference(small_network()).run(x)
    assert int(said[0].split()[0]) == int(np.argmax(scores))


def test_two_networks_share_a_program_and_do_not_meet(tmp_path):
    model = small_network(side=8)
    for name, folder in (("first", "one"), ("second", "two")):
        session(replace(model, name=name)).firmware(tmp_path / folder)
    (tmp_path / "main.c").write_text(TWO, "utf-8")
    models = [tmp_path / "one" / "model", tmp_path / "two" / "model"]
    kernels = [*(tmp_path / "one" / "kernels").glob("*.c")]
    sources = [tmp_path / "main.c", *kernels, *(path for own in models for path in own.glob("*.c"))]
    program = tmp_path / "two.out"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", *UNDEFINED]
    subprocess.run([*zig(), *flags, *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    losses = [line.split() for line in done.stdout.splitlines()]
    assert len(losses) == 2
    assert all(a == b for a, b in losses)  # the same network under two names
    assert losses[0] != losses[1]  # which has learned


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_cmake_builds_the_library_with_a_preset(tmp_path):
    folder = session(small_network(side=8)).firmware(tmp_path / "out").folder
    presets = json.loads((folder / "CMakePresets.json").read_text("utf-8"))["configurePresets"]
    assert {"host", "cortex-m4", "cortex-m7"} <= {preset["name"] for preset in presets}
    subprocess.run(["cmake", "--preset", "host"], cwd=folder, check=True, capture_output=True)
    subprocess.run(["cmake", "--build", "build/host"], cwd=folder, check=True, capture_output=True)
    assert list((folder / "build" / "host").glob("*.a"))


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(BadRun, match="not empty"):
        session().firmware(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_has_no_c_kernel_is_named_and_nothing_is_written(tmp_path, monkeypatch):
    with monkeypatch.context() as other:
        other.delitem(LOSSES, "classification")
        with pytest.raises(BadModel, match="task classification: has no C kernel"):
            session().firmware(tmp_path / "out")
    with pytest.raises(BadArgument, match="learns nothing"):
        session(None, "none").firmware(tmp_path / "out")
    with pytest.raises(OutOfSram):
        session(None, "dense", sram=8192).firmware(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_no_two_files_of_kernels_give_a_function_the_same_name():
    """Linkers keep and leave out functions by name, and one object is made of all files."""
    begins = re.compile(r"^(?:static|MCUSIM_INLINE|MCUSIM_APART)\b[\w* ]*?\b(\w+)\(", re.MULTILINE)
    texts = {
        path.name: path.read_text("ascii") for path in (files("mcusim.deployment") / "kernels").iterdir()
    }
    found: dict[str, str] = {}
    for name, text in texts.items():
        included = sum(f'#include "{name}"' in other for other in texts.values())
        for function in begins.findall(text):
            own = function == "NAME" or function.startswith("mcusim_")
            assert own or name.endswith(".c") or included == 1, (name, function)
            assert own or found.setdefault(function, name) == name, (function, name, found[function])
    assert len(found) > 50


@pytest.mark.smoke
def test_every_task_has_a_loss():
    assert {*LOSSES} == {*TASKS}
