"""The names of what a step keeps beside activations: made of parts, and never taken apart again."""

from __future__ import annotations

import ast
import copy
import pickle
from pathlib import Path

import pytest
from networks import small_network

import mcusim
from mcusim.core import PARAMETER_KINDS, Kind, Slot, SlotPart, is_kind
from mcusim.kernels.number_formats import WEIGHTS
from mcusim.lowering.lower import lower
from mcusim.lowering.patches import Patches
from mcusim.update.formats import Formats
from mcusim.update.scheme import scheme

SLOTS = [Slot("a", kind, part) for kind in PARAMETER_KINDS for part in SlotPart] + [
    Slot("a", kind) for kind in Kind if kind not in PARAMETER_KINDS
]
PARSING = {"startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split"}


def test_every_kind_has_a_text_of_its_own():
    assert len({str(s) for s in SLOTS}) == len(SLOTS)
    assert {s.kind for s in SLOTS} == set(Kind)


@pytest.mark.parametrize("slot", SLOTS)
def test_slots_keep_what_they_are_made_of(slot):
    for other in (pickle.loads(pickle.dumps(slot)), copy.deepcopy(slot)):
        assert isinstance(other, Slot)
        assert (other, other.of, other.kind, other.part) == (slot, slot.of, slot.kind, slot.part)
    assert {str(slot): 1}[slot] == 1
    assert is_kind(slot, slot.kind)
    assert not is_kind(str(slot), slot.kind)


@pytest.mark.parametrize(("kind", "part"), [(Kind.VALUE, None), (Kind.MASK, SlotPart.BIAS)])
def test_a_kind_without_its_part_is_refused(kind, part):
    with pytest.raises(AssertionError, match=kind):
        Slot("a", kind, part)


@pytest.mark.parametrize("residency", ["sram", "flash"])
@pytest.mark.parametrize("weight", WEIGHTS)
def test_every_tensor_that_a_step_adds_is_a_slot(residency, weight):
    model = small_network()
    scope = scheme("dynamic:ratio=0.1,blocks=2,policy=gradient-norm").scope(model)
    step = lower(
        model, scope, Formats("int8", weight, "int32+res8"), residency=residency, momentum=True,
        accumulate=2, runtime_bytes=8, patches=Patches(2, "stem"),
    )  # fmt: skip
    patched = {n for op in step.ops if op.phase == "forward" for n in (*op.reads, *op.writes)}
    plain = {n for n in step.tensors if not isinstance(n, Slot)}
    assert plain - set(model.tensors) - patched == {"runtime", "error_scales"}
    kinds = {n.kind for n in step.tensors if isinstance(n, Slot)}
    extra = WEIGHTS[weight].extra
    expected = {Kind.VALUE, Kind.RESIDUAL, Kind.MOMENTUM, Kind.GRADIENT}
    expected |= {
        Kind.CHANNELS,
        Kind.SAVED,
        Kind.MASK,
        Kind.ERROR,
        Kind.SCRATCH,
        *({extra.kind} if extra else ()),
    }
    assert kinds == expected


def test_nobody_takes_a_name_apart():
    root = Path(mcusim.__file__).parent
    found = [
        f"{path.name}:{node.lineno}"
        for room in ("engine", "lowering")
        for path in (root / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PARSING
    ]
    assert not found
