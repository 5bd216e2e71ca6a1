"""The folder: whole or not there, the same for the same plan, and refused where something has no C kernel."""

from __future__ import annotations

import subprocess

import pytest
from emulation_networks import c_op_network
from every_op import every_op_network
from networks import small_network

import mcusim
from mcusim.core import BadArgument, BadModel, BadRun, OutOfSram
from mcusim.deployment.project import PLAN
from mcusim.deployment.tables import LOSSES
from mcusim.emulation.toolchain import zig
from mcusim.graph import Arithmetic
from mcusim.tasks.task import TASKS


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
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-DMCUSIM_AFTER_OP", "-ffp-contract=off"]
    sources = [*made.folder.glob("src/*.c"), made.folder / "main.c"]
    program = tmp_path / "measure"
    subprocess.run([*zig(), *flags, *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    rows = done.stdout.splitlines()
    assert rows[0].startswith("name,kind,macs")
    assert len(rows) == 1 + made.sizes["OPS"]


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(BadRun, match="not empty"):
        session().firmware(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_has_no_c_kernel_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(BadModel, match="no C kernel"):
        session(every_op_network(), "head").firmware(tmp_path / "out")
    with pytest.raises(BadModel, match="float64"):
        session(c_op_network(Arithmetic.LITERT), "head").firmware(tmp_path / "out")
    for update in ("tinyprop", "medyate"):
        with pytest.raises(BadModel, match="update"):
            session(None, update).firmware(tmp_path / "out")
    formats = mcusim.Formats(feature="row-2")
    with pytest.raises(BadModel, match="feature"):
        session(None, "dense", formats=formats).firmware(tmp_path / "out")
    with pytest.raises(BadModel, match="second moment"):
        session(None, "dense", sgd=mcusim.Sgd(second_moment=0.99)).firmware(tmp_path / "out")
    with pytest.raises(BadArgument, match="learns nothing"):
        session(None, "none").firmware(tmp_path / "out")
    with pytest.raises(OutOfSram):
        session(None, "dense", sram=8192).firmware(tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.smoke
def test_every_task_has_a_loss():
    assert {*LOSSES} == {*TASKS}
