"""Weights that learn and live in flash: written back when a stage ends, and read again, as in the engine."""

from __future__ import annotations

import numpy as np
import pytest
from emulation_device import LEARN, LOAD, Device
from emulation_networks import drawn, session
from every_op import every_op_network
from networks import dense_network, small_network

from mcusim.core import Kind, Slot, SlotPart
from mcusim.emulation.cores import core_named
from mcusim.emulation.twin import run_twin
from mcusim.engine.state import State
from mcusim.lowering.flash import checkpoint_bytes
from mcusim.lowering.residency import Residency
from mcusim.mcu.flash.write_back import write_back
from mcusim.planning.cost import write_backs_of
from mcusim.planning.placement import for_every_stage
from mcusim.session.stages import Stages
from mcusim.update.formats import Formats

SMALL, DENSE, EVERY = small_network(side=8), dense_network(), every_op_network()
ADAM = {"momentum": 0.9, "second_moment": 0.9}
CASES = {
    "drawn": (SMALL, "dynamic:ratio=0.3,stage=2", {}, "cortex-m7"),
    "drawn, residuals": (
        SMALL, "dynamic:ratio=0.3,stage=1,layers=all", {"formats": Formats(weight="int8+res8")}, "cortex-m0+",
    ),
    "drawn, master weights": (
        SMALL, "dynamic:ratio=0.3,stage=1", {"formats": Formats(weight="float32")}, "cortex-m4",
    ),
    "dense layers": (
        DENSE, "dynamic:ratio=0.4,stage=1,layers=all", {"sgd": {"momentum": 0.9}}, "cortex-m0+",
    ),
    "every kind of weight": (EVERY, "dynamic:ratio=0.3,stage=1,layers=all,blocks=99", {}, "cortex-m33"),
    "in turn": (
        SMALL, "dynamic:ratio=0.3,stage=2,policy=round-robin", {"sgd": {"accumulate": 2}}, "cortex-m4",
    ),
    "by norm, moments": (
        SMALL, "dynamic:ratio=0.3,stage=1,policy=gradient-norm", {"sgd": ADAM}, "cortex-m4",
    ),
    "of other numbers": (
        SMALL, "trady:elements=2000,ratio=0.3,stage=1,layers=all", {}, "cortex-m7",
    ),
    "of other numbers, by error": (
        SMALL, "tinyprop:stage=1,s_min=0.1,s_max=0.6,layers=all", {"sgd": ADAM}, "cortex-m4",
    ),
    "without a backward pass": (SMALL, "zeroth:ratio=0.2,layers=all", {}, "cortex-m7"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_stage_change_writes_back_and_reads_what_the_engine_has(name):
    model, update, choices, core = CASES[name]
    own = session(model, update, residency="flash", **choices)
    plan = own.plan()
    assert plan.step.residency is Residency.FLASH
    found = run_twin(plan, own.scheme, drawn(model, 3), core_named(core), selftest=name == "drawn")
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0
    # The last write-back of a session is at its end, where a user saves.
    assert found.write_backs == write_backs_of(plan, own.scheme.stage, 3) - 1 > 0
    whole = for_every_stage(plan, own.scheme)
    cost = write_back(plan.board, checkpoint_bytes(whole.step), places=whole.flash.copies)
    assert found.flash_operations == found.write_backs * (cost.erased_sectors + cost.programmed_units)


@pytest.mark.parametrize("update", ["trady:elements=600,stage=1,layers=all", "dynamic:ratio=0.1,stage=1"])
def test_stages_in_flash_learn_what_stages_in_sram_learn(update):
    ends, empty = [], 0
    for residency in ("sram", "flash"):
        own = session(SMALL, update, residency=residency, sgd=ADAM)
        plan = own.plan()
        state = State.of(SMALL, plan.step.scope, plan.settings.formats)
        stages = Stages(plan, own.scheme, state)
        for x, label, _ in drawn(SMALL, 5):
            stages.program(state.iteration).run(x, label)
            empty += not all(stages.plan.step.scope.channels.get(op) for op in plan.step.scope.eligible)
        stages.store()
        ends.append(state.arrays)
    assert (empty > 0) is update.startswith("trady")  # in some stages nothing of a layer learns
    assert all(np.array_equal(data, ends[1][slot]) for slot, data in ends[0].items())


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    own = session(SMALL, "dynamic:ratio=0.3,stage=1", "stm32u585", residency="flash")
    return Device(own, tmp_path_factory.mktemp("residency") / "firmware")


def begun(device: Device) -> dict[str, bytes]:
    """Let a device with the first copy in its flash learn a step; return all of its memory."""
    start = device.read("small_checkpoint")
    device.flash = start + b"\xff" * (device.size - len(start))
    assert device.command(LOAD)[0] == 0
    device.command(LEARN)
    return {
        name: device.read(name) for name in ("small_arena", "small_state", "small_residence", "twin_flash")
    }


def restore(device: Device, memory: dict[str, bytes]) -> None:
    for name, data in memory.items():
        device.write(name, data)


def test_the_last_good_copy_survives_a_power_cut_at_every_operation_of_a_stage_change(device):
    memory = begun(device)
    device.arena = bytes(len(device.arena))
    assert device.command(LOAD)[0] == 0
    old = device.arena
    restore(device, memory)
    _, operations = device.command(LEARN)  # the second stage begins
    changed = device.flash
    half = device.size // 2
    assert changed[:half] == memory["twin_flash"][:half]
    assert changed[half:] != memory["twin_flash"][half:]
    device.arena = bytes(len(old))
    assert device.command(LOAD)[0] == 0
    assert device.arena != old
    offsets, tensors = device.plan.solution.offsets, device.plan.step.tensors
    numbers = [t for t in tensors.values() if isinstance(t.name, Slot) and t.name.kind is Kind.CHANNELS]
    for cut in range(operations):
        restore(device, memory)
        device.command(LEARN, supply=cut)
        assert device.read("small_residence")[12] == 1, "it knows that it could not write"
        for tensor in numbers:  # the same channels go on learning
            place = offsets[tensor.buffer]
            now = device.arena[place : place + tensor.bytes]
            assert now == memory["small_arena"][place : place + tensor.bytes]
        device.arena = bytes(len(old))
        assert device.command(LOAD)[0] == 0
        assert device.arena == old, cut


def test_without_flash_what_learns_does_not_change(device):
    memory = begun(device)
    restore(device, memory | {"small_residence": bytes(4) + memory["small_residence"][4:]})
    assert device.command(LEARN)[1] == 0
    assert device.flash == memory["twin_flash"]
    assert device.read("small_residence")[12] == 1
    restore(device, {"small_residence": memory["small_residence"]})


def test_what_was_learned_in_flash_becomes_a_network_again(device):
    memory = begun(device)
    device.command(LEARN)
    learned = device.session.learned(device.flash)
    slot = Slot("a.expand", Kind.VALUE, SlotPart.WEIGHT)
    tensor, channels = (device.plan.step.tensors[s] for s in (slot, Slot("a.expand", Kind.CHANNELS)))
    offsets = device.plan.solution.offsets
    at = offsets[channels.buffer]
    chosen = np.frombuffer(memory["small_arena"][at : at + channels.bytes], np.int16)
    at = offsets[tensor.buffer]
    columns = np.frombuffer(memory["small_arena"][at : at + tensor.bytes], np.int8).reshape(len(chosen), -1)
    expected = SMALL.tensors["a.expand.w"].data.copy()
    expected[:, 0, 0, chosen] = columns.T
    assert not np.array_equal(expected, SMALL.tensors["a.expand.w"].data)
    assert np.array_equal(learned.tensors["a.expand.w"].data, expected)
