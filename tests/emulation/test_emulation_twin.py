"""Engine and firmware on an emulated core: the same bytes after every op, and what differs is named."""

from __future__ import annotations

import json
import re
import shutil
import signal

import numpy as np
import pytest
from emulation_networks import drawn, session, wide_network
from every_op import every_op_network
from networks import dense_network, rows_network, small_network
from one_op import EDGES, IMAGE, curves_in_16_bits, in_16_bits, side_by_side
from pooled_networks import pooled_network
from tasks_networks import case
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.data.arrays import from_arrays
from mcusim.deployment.forward import FORWARD
from mcusim.emulation.cores import CORES, NOT_EMULATED, core_named
from mcusim.emulation.emulators import emulator_for
from mcusim.emulation.qemu_machine import QEMU
from mcusim.emulation.twin import run_twin
from mcusim.emulation.verb import twin_of as twin_of_session
from mcusim.graph import Arithmetic
from mcusim.graph.enlarging import ENLARGE, enlarging
from mcusim.kernels.overflow import overflows
from mcusim.kernels.reference import GRADIENTS
from mcusim.kernels.reference.int16 import ANY_TYPE, INT16
from mcusim.lowering.action import Action
from mcusim.tasks.single_label import SingleLabel
from mcusim.tasks.task import TASKS
from mcusim.update.formats import Formats


def twin_of(model, update="dense", steps=2, core="cortex-m4", folder=None, **choices):
    own = session(model, update, **choices)
    if folder is not None:
        own.firmware(folder)
    plan = own.plan()
    return own, lambda: run_twin(plan, own.scheme, drawn(model, steps), core_named(core), folder=folder)


# Products and sums that a compiler fuses differ on a Cortex-M7 alone.
CASES = [
    (Arithmetic.TFLITE, "cortex-m4"),
    (Arithmetic.FLOAT, "cortex-m7"),
    (Arithmetic.TINYENGINE, "cortex-m33"),
]


@pytest.mark.parametrize(("arithmetic", "core"), CASES)
def test_every_op_gives_the_same_bytes(arithmetic, core):
    own, run = twin_of(every_op_network(arithmetic=arithmetic), core=core, simplify="off")
    forward = {op.source.kind for op in own.plan().step.ops if op.action is Action.FORWARD}
    assert forward == {kind for kind in FORWARD if kind in GRADIENTS}
    found = run()
    assert found.equal, str(found.first_difference)
    assert found.steps == 2
    assert found.bytes_compared > 1_000_000
    assert found.outside_arena_writes == 0
    assert 0 < found.stack_bytes < 1024
    assert found.statics_bytes < 64


@pytest.mark.parametrize(("core", "error"), [("cortex-m4", "int16"), ("cortex-m7", "float32")])
def test_every_op_on_16_bit_activations_gives_the_same_bytes(core, error):
    model = in_16_bits(side_by_side((*INT16, *ANY_TYPE)))
    formats = Formats(error=error)
    own, run = twin_of(model, core=core, steps=2, simplify="off", formats=formats)
    forward = {op.source.kind for op in own.plan().step.ops if op.action is Action.FORWARD}
    assert forward >= {kind for kind in (*INT16, *ANY_TYPE) if EDGES[kind][0].shape == IMAGE}
    found = run()
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0


@pytest.mark.parametrize(("core", "toolchain"), [("cortex-m4", "arm-none-eabi-gcc"), ("cortex-m7", None)])
def test_a_network_with_16_bit_activations_gives_the_same_bytes(core, toolchain):
    if toolchain and not shutil.which(toolchain):
        pytest.skip(f"{toolchain} is not installed")
    model = in_16_bits(small_network(side=8, arithmetic=Arithmetic.TFLITE))
    own = session(model, "dynamic:ratio=0.3,stage=1", patches="2:stem")
    found = run_twin(own.plan(), own.scheme, drawn(model, 3), core_named(core), toolchain=toolchain)
    assert found.equal, str(found.first_difference)


def test_every_int16_value_gives_the_same_bytes():
    own = session(curves_in_16_bits(), "head")
    x = np.random.default_rng(1).permutation(np.arange(-(2**15), 2**15)).astype(np.int16)
    found = run_twin(own.plan(), own.scheme, [(x.reshape(1, 256, 256), 0, 1.0)], core_named("cortex-m4"))
    assert found.equal, str(found.first_difference)


def test_a_pool_computed_with_a_16_bit_convolution_gives_the_same_bytes():
    own, run = twin_of(in_16_bits(pooled_network(outputs=9)), "head")
    assert sum(op.action is Action.POOLED for op in own.plan().step.ops) == 1
    found = run()
    assert found.equal, str(found.first_difference)


@pytest.mark.parametrize("arithmetic", [Arithmetic.FLOAT, Arithmetic.LITERT])
def test_dense_layers_over_rows_give_the_same_bytes(arithmetic):
    found = twin_of(rows_network(arithmetic), core="cortex-m7")[1]()
    assert found.equal, str(found.first_difference)


FORMATS = [
    {"formats": Formats(error="int8", weight="int8+res8", bias="int32+res8")},
    {"formats": Formats(error="int16", weight="int8", bias="int32-sr"), "sgd": {"momentum": 0.9}},
    {"formats": Formats(weight="float32"), "sgd": {"accumulate": 2}},
]


@pytest.mark.parametrize("choices", FORMATS, ids=["int8", "int16", "float32"])
def test_every_format_gives_the_same_bytes(choices):
    found = twin_of(every_op_network(), steps=3, **choices)[1]()
    assert found.equal, str(found.first_difference)


LOSSES = [(name, 0.0) for name in TASKS]
LOSSES += [(name, 0.1) for name in TASKS if issubclass(TASKS[name], SingleLabel)]


@pytest.mark.parametrize(("name", "smoothing"), LOSSES)
def test_every_loss_gives_the_same_bytes(name, smoothing):
    model, inputs, targets = case(name)
    own = session(model, "dense", task=name, smoothing=smoothing)
    data = from_arrays(inputs, targets, inputs, targets)
    found = twin_of_session(own, data, 2, core="cortex-m4")
    assert found.equal, str(found.first_difference)


@pytest.mark.parametrize("core", [name for name in CORES if name not in {core for _, core in CASES}])
def test_every_core_gives_the_same_bytes(core):
    if emulator_for(core_named(core), None).name == QEMU and not shutil.which(QEMU):
        pytest.skip(f"unicorn does not execute it, and {QEMU} is not installed")
    found = twin_of(small_network(side=8), "dynamic:ratio=0.3", steps=1, core=core)[1]()
    assert found.equal, str(found.first_difference)


@pytest.mark.parametrize("choices", [{"residency": "flash"}, {"in_place": False}, {"patches": "2:a.expand"}])
def test_every_way_to_save_memory_gives_the_same_bytes(choices):
    found = twin_of(small_network(), "last-3", steps=2, **choices)[1]()
    assert found.equal, str(found.first_difference)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7"])
def test_dense_layers_in_flash_give_the_same_bytes(core):
    update = "dynamic:ratio=0.4,layers=all,stage=none"
    own, run = twin_of(dense_network(), update, steps=3, core=core, residency="flash")
    channels = own.plan().step.scope.channels
    assert 1 < channels["middle"] < 18
    assert 1 < channels["late"] < 21
    found = run()
    assert found.equal, str(found.first_difference)


POOLED = {
    "max": {"outputs": 9},
    "average, padded": {
        "average": True, "outputs": 6, "convolution": {"padding": ((1, 1), (0, 1)), "stride": (2, 1)},
        "pool": {"stride": (1, 2), "padding": ((1, 0), (1, 1))}, "arithmetic": Arithmetic.TINYENGINE,
    },
    "pointwise": {"window": (1, 1), "outputs": 8, "kernel": (2, 2), "arithmetic": Arithmetic.FLOAT},
    "depthwise": {"depthwise": True, "image": (16, 16, 4), "convolution": {"padding": ((1, 1), (1, 1))}},
}  # fmt: skip


@pytest.mark.parametrize("name", POOLED)
def test_a_pool_computed_with_its_convolution_gives_the_same_bytes(name):
    own, run = twin_of(pooled_network(**POOLED[name]), "head")
    assert sum(op.action is Action.POOLED for op in own.plan().step.ops) == 1
    found = run()
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0


def test_a_picture_enlarged_in_patches_gives_the_same_bytes():
    own, run = twin_of(enlarging(small_network(), 5), "last-3", steps=2, patches="2:a.expand")
    assert sum(op.source is not None and op.source.name == ENLARGE for op in own.plan().step.ops) == 4
    found = run()
    assert found.equal, str(found.first_difference)


@pytest.mark.parametrize(("feature", "side"), [("row-2", 16), ("grid-3", 13), ("checker", 12)])
def test_features_of_which_some_pixels_are_kept_give_the_same_bytes(feature, side):
    own, run = twin_of(small_network(side=side), "dense", steps=3, formats=Formats(feature=feature))
    assert own.plan().step.saved_pixels
    found = run()
    assert found.equal, str(found.first_difference)


def test_an_int8_head_gives_the_same_bytes():
    found = twin_of(small_network(head="int8"), "dense", steps=2)[1]()
    assert found.equal, str(found.first_difference)


def test_sums_that_leave_32_bits_give_the_same_bytes():
    model = wide_network()
    assert len(overflows(model)) == 7  # every op with int8 weights
    found = twin_of(model, "head", steps=2, core="cortex-m7")[1]()
    assert found.equal, str(found.first_difference)


def test_an_interrupted_twin_says_what_was_compared_until_then():
    model = small_network(side=8)

    def until(last):
        for step, example in enumerate(drawn(model, 5)):
            if step == last - 1:
                signal.raise_signal(signal.SIGINT)
            yield example

    own, before = session(model, "head"), signal.getsignal(signal.SIGINT)
    one, two = (run_twin(own.plan(), own.scheme, until(steps), core_named("cortex-m4")) for steps in (1, 2))
    assert (one.steps, two.steps) == (1, 2)
    assert one.equal
    assert two.equal
    assert two.bytes_compared == 2 * one.bytes_compared
    assert signal.getsignal(signal.SIGINT) is before


def test_the_shipped_network_in_stages_of_one_step():
    runner = CliRunner()
    words = ["twin", "-m", "synthetic-mbv2", "-b", "nrf52840", "--data", "synthetic", "--lr", "0.02"]
    result = runner.invoke(build(), [*words, "--steps", "3", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["equal"] is True
    assert found["steps"] == 3
    assert found["ops"] == len(mcusim.Session(*_shipped()).plan().step.ops)
    assert found["first_difference"] is None
    assert found["bytes_differing"] == found["outside_arena_writes"] == 0
    assert found["bytes_compared"] > 7_000_000
    assert found["instructions_per_step"] == sum(found["instructions_by_class"].values()) > 10_000_000
    assert len(found["op_instructions"]) == found["ops"]
    assert found["toolchain"].startswith("zig")
    assert found["emulator"].startswith("unicorn")
    assert found["compile_seconds"] > 0
    assert found["instructions_per_second"] > 1_000_000


def _shipped():
    return mcusim.load("synthetic-mbv2"), mcusim.board("nrf52840"), "dynamic"


def moved(text: str) -> str:
    """Move the output of an op in the arena by four bytes."""
    place = r"(\.y = \(int8_t \*\)\(small_arena \+ )(\d+)"
    return re.sub(place, lambda m: f"{m[1]}{int(m[2]) + 4}", text, count=1)


def mutated(text: str) -> str:
    """Change a zero point in a record."""
    return re.sub(r"\.zero = -128", ".zero = -127", text, count=1)


MUTANTS = {
    "a moved offset": ("model/small.c", moved, "stem"),
    "a mutated record": ("model/small.c", mutated, "stem"),
    "a swapped sum": (
        "kernels/grad_body.h",
        lambda text: text.replace(
            "for (uint32_t o = 0; o < outputs; o++) {\n                float v =",
            "for (uint32_t o = outputs; o-- > 0;) {\n                float v =",
        ),
        ":grad_input",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_what_is_wrong_is_found_and_named(name, tmp_path):
    model = small_network(side=8, classes=8)
    folder = tmp_path / "firmware"
    own, run = twin_of(model, folder=folder)
    file, change, op = MUTANTS[name]
    text = (folder / file).read_text("utf-8")
    assert change(text) != text
    (folder / file).write_text(change(text), "utf-8")
    found = run()
    assert not found.equal
    first = found.first_difference
    expected = next(o.name for o in own.plan().step.ops if o.name.endswith(op))
    assert (first.step, first.op) == (0, expected)
    assert first.engine != first.firmware
    assert expected in str(first)


@pytest.mark.parametrize("core", ["cortex-m4", "rv32imc"])
def test_a_fault_is_one_line_with_op_source_and_registers(core, tmp_path):
    _, run = twin_of(small_network(side=8), core=core, folder=tmp_path / "firmware")
    file = tmp_path / "firmware" / "model" / "small.c"
    lost = re.sub(
        r"\.x = \(int8_t \*\)\(small_arena \+ \d+\)", ".x = (int8_t *)0x70000000", file.read_text("utf-8")
    )
    file.write_text(lost, "utf-8")
    with pytest.raises(mcusim.BadRun) as caught:
        run()
    letter, back = ("a", "ra") if core == "rv32imc" else ("r", "lr")
    registers = ", ".join(rf"{n} 0x[0-9a-f]+" for n in (*(f"{letter}{i}" for i in range(4)), back, "sp"))
    pattern = rf"{core}: faults at 0x[0-9a-f]+ in \w+ \(convolution\.c:\d+\), op stem: .*; {registers}$"
    assert re.search(pattern, str(caught.value)), str(caught.value)


def test_a_folder_of_another_version_or_network_is_refused(tmp_path):
    folder = tmp_path / "firmware"
    _, run = twin_of(small_network(side=8), folder=folder)
    file = folder / "model" / "small.h"
    file.write_text(file.read_text("utf-8").replace(mcusim.__version__, "0.0.1"), "utf-8")
    with pytest.raises(mcusim.BadRun, match=r"another version of mcusim \(write it"):
        run()
    file.unlink()
    with pytest.raises(mcusim.BadRun, match="holds no firmware of small"):
        run()


@pytest.mark.parametrize("name", [None, "a mutated record"])
def test_the_self_test_runs_on_the_emulated_core_and_names_what_differs(name, tmp_path):
    folder = tmp_path / "firmware"
    own, _ = twin_of(small_network(side=8, classes=8), folder=folder)
    op = "PASS"
    if name is not None:
        file, change, op = MUTANTS[name]
        (folder / file).write_text(change((folder / file).read_text("utf-8")), "utf-8")
    plan = own.plan()
    found = run_twin(
        plan, own.scheme, drawn(plan.step.model, 1), core_named("cortex-m4"), folder=folder, selftest=True
    )
    assert re.match(rf"small: (PASS, \d+ ops|FAIL at op \d+ {op}$)", found.selftest), found.selftest
    assert found.equal is (": PASS" in found.selftest) is (name is None)


@pytest.mark.smoke
def test_every_core_is_found_by_its_name_and_an_unknown_one_is_named():
    assert [core_named(name) for name in CORES] == [*CORES.values()]
    assert all(core_named(board.core) for board in mcusim.boards() if board.core not in NOT_EMULATED)
    for name, reason in NOT_EMULATED.items():
        with pytest.raises(mcusim.BadArgument, match=f"{name}: {reason}"):
            core_named(name)
    with pytest.raises(mcusim.UnknownName, match=r"cortex-m99.*cortex-m"):
        core_named("cortex-m99")


def test_bad_input_is_one_line():
    runner = CliRunner()
    words = ["twin", "-m", "synthetic-mbv2", "-b", "nrf52840", "--data", "synthetic"]
    for more, reason in ((["--core", "cortex-m99"], "cortex-m99"), (["--update", "none"], "none")):
        result = runner.invoke(build(), [*words, *more])
        assert result.exit_code == 2
        assert reason in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", ["ziglang", "unicorn"])
def test_what_is_not_installed_is_named_with_the_way_to_install_it(missing, monkeypatch, tmp_path):
    for module in ("compilers", "unicorn_machine"):
        place = f"mcusim.emulation.{module}.find_spec"
        monkeypatch.setattr(place, lambda name: None if name == missing else True)
    words = ["twin", "-m", "synthetic-mbv2", "-b", "nrf52840", "--data", "synthetic"]
    result = CliRunner().invoke(build(), words)
    assert result.exit_code == 2
    assert missing in result.stderr
    assert "mcusim[firmware]" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_holds_something_is_one_line(tmp_path):
    (tmp_path / "mine").write_text("x")
    words = ["firmware", "-m", "synthetic-mbv2", "-b", "nrf52840", "--out", str(tmp_path)]
    result = CliRunner().invoke(build(), words)
    assert result.exit_code == 2
    assert "is there and not empty" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
