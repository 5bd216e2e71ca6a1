"""What a plan counts in flash is what a firmware holds there: scales, tables, records, weights."""

from __future__ import annotations

import pytest
from every_op import every_op_network
from networks import dense_network, rows_network, small_network
from one_op import in_16_bits, side_by_side
from pooled_networks import pooled_network
from scheme_examples import LEARNING

import mcusim
from mcusim.core import Role
from mcusim.deployment.records import NOTHING
from mcusim.deployment.tables import tables
from mcusim.emulation.cores import core_named
from mcusim.emulation.elf import Elf
from mcusim.emulation.toolchain import build
from mcusim.emulation.unicorn_machine import UnicornMachine
from mcusim.graph import Arithmetic
from mcusim.graph.enlarging import enlarging
from mcusim.kernels.reference.int16 import INT16
from mcusim.lowering.constants import record_bytes
from mcusim.lowering.flash import ITERATION_BYTES, checkpoint_bytes, columns_bytes
from mcusim.planning.placement import for_every_stage

WIDE = in_16_bits(side_by_side(INT16))
HEARS = {"front_end": "mfcc:rate=2000,bands=20,coefficients=16,high=900"}
CASES = {
    "tflite": (small_network(arithmetic=Arithmetic.TFLITE), "dense", {}),
    "float": (small_network(), "dynamic:ratio=0.3", {}),
    "int8 head": (small_network(head="int8"), "last-2", {}),
    "shipped": (mcusim.load("synthetic-mbv2"), "dynamic", {}),
    "enlarging": (enlarging(small_network(), 5), "dense", {}),
    "16 bits": (WIDE, "dense", {}),
    "rows": (rows_network(Arithmetic.LITERT), "dense", {}),
    "hearing": (small_network(channels=1), "head", HEARS),
    "perturbed": (small_network(), "zeroth:ratio=0.3", {}),
    "weights in flash": (dense_network(), "dynamic:ratio=0.3,layers=all", {"residency": "flash"}),
    "moments in flash": (
        small_network(), "dynamic:ratio=0.3", {"residency": "flash", "sgd": mcusim.Sgd(momentum=0.9)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_scales_and_weights_are_counted_to_the_byte(name):
    model, update, choices = CASES[name]
    session = mcusim.Session(model, mcusim.board("stm32h743"), update, **choices)
    plan = session.plan()
    made = tables(plan, session.scheme)
    counted, held = plan.flash.by_role, made.constants.role_bytes
    records = record_bytes(plan.step) + columns_bytes(plan.step) + plan.step.choice_bytes
    assert held[Role.QUANT] == counted[Role.QUANT] - records
    weights = (Role.WEIGHT, Role.BIAS, Role.HEAD)
    assert [held.get(role, 0) for role in weights] == [counted.get(role, 0) for role in weights]
    learned = sum(len(data) for _, data in made.learned)
    assert checkpoint_bytes(plan.step) == learned + ITERATION_BYTES


RECORDS = {
    "every op": (every_op_network, "dense", {"simplify": "off"}),
    "16 bits": (lambda: WIDE, "dense", {"simplify": "off"}),
    "rows": (lambda: rows_network(Arithmetic.LITERT), "dense", {}),
    "pooled": (pooled_network, "head", {}),
    "observed": (small_network, "dynamic:ratio=0.3,policy=gradient-norm", {}),
    "weights in flash": (dense_network, "last-3", {"residency": "flash"}),
    "hearing, keeping": (lambda: small_network(channels=1), "head", {**HEARS, "replay": "raw:3"}),
    "keeping in flash": (small_network, "head", {"replay": "latent:3,policy=balanced,place=flash"}),
    "perturbed": (small_network, "zeroth:ratio=0.3", {}),
    "second moment": (small_network, "last-2", {"sgd": mcusim.Sgd(second_moment=0.9, accumulate=2)}),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records_are_as_large_as_the_plan_says(name, tmp_path):
    make, update, choices = RECORDS[name]
    session = mcusim.Session(make(), mcusim.board("stm32h743"), update, **choices)
    plan = session.plan()
    made = tables(plan, session.scheme)
    folder = session.firmware(tmp_path / "out").folder
    core = core_named("cortex-m4")
    device = UnicornMachine(build(folder, made.prefix, core, plan.peak_bytes), core, plan.peak_bytes)
    prefix = made.prefix
    # What chooses channels is of the scheme, and counted by it.
    apart = (NOTHING.struct, "mcusim_choice")
    names = [f"{prefix}_{i}" for i, (_, call) in enumerate(made.calls) if call.struct not in apart]
    names += [
        f"{prefix}_ops",
        *(
            n
            for n in device.objects
            if n.startswith(
                (f"{prefix}_learner", f"{prefix}_copies", f"{prefix}_replay_parts", f"{prefix}_probed")
            )
        ),
    ]
    assert sum(device.objects[name] for name in names) == record_bytes(plan.step)
    columns = [n for n in device.objects if n in (f"{prefix}_columns", f"{prefix}_resident")]
    assert sum(device.objects[name] for name in columns) == columns_bytes(plan.step)


POLICIES = ("round-robin", "gradient-norm", "importance")
CHOOSING = [
    text for text in LEARNING
    if text.startswith(("trady", "medyate", "tinytrain", "tinyprop"))
    or any(policy in text for policy in POLICIES)
]  # fmt: skip


@pytest.mark.parametrize("update", CHOOSING)
def test_tables_of_every_choice_are_as_large_as_the_plan_says(update, tmp_path):
    session = mcusim.Session(small_network(side=8), mcusim.board("stm32h743"), update)
    plan = for_every_stage(session.plan(), session.scheme)
    made = tables(plan, session.scheme)
    records = [
        f"small_{number}" for number, (_, call) in enumerate(made.calls) if call.struct == "mcusim_choice"
    ]
    folder = session.firmware(tmp_path / "out").folder
    sizes = Elf.read(build(folder, made.prefix, core_named("cortex-m4"), plan.peak_bytes)).objects
    counted = sum(item.bytes for item in plan.flash.items if item.name == "choice")
    # Where everything fits, all channels always learn, and nothing chooses.
    assert bool(records) is (update not in ("trady:elements=2000", "trady:elements=2000,even=true"))
    assert sum(sizes[name] for name in (*records, *(["small_chosen"] if records else []))) == counted
    assert counted == sum(item.bytes for item in session.plan().flash.items if item.name == "choice")
