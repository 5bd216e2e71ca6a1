"""Certificates hold for every selection, and every certificate that is changed is refused."""

from __future__ import annotations

import ast
import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import small_network
from pooled_networks import pooled_network
from scheme_examples import TEXTS

import mcusim
from mcusim.core import Slot
from mcusim.kernels.reach import Order
from mcusim.lowering.action import Action
from mcusim.planning.placement import sized
from mcusim.planning.request import lowered
from mcusim.proof import checker
from mcusim.proof.checker import first_violation, seal
from mcusim.proof.every_selection import covering
from mcusim.session.session import Session
from mcusim.update.scheme import scheme

BOARD = mcusim.board("nrf52840")
VARIES = "trady:elements=500"
DATA = Path(checker.__file__)


@cache
def certificate(update: str) -> dict[str, Any]:
    return mcusim.prove(small_network(), BOARD, update, patches="off").as_dict()


@pytest.mark.parametrize("update", TEXTS)
def test_every_scheme_is_proven(update):
    found = mcusim.prove(small_network(), BOARD, update)
    assert found.violation is None
    assert found.draws >= 1
    assert "holds" in str(found)


@pytest.mark.smoke
def test_the_checker_is_small_and_imports_nothing_but_the_standard_library():
    text = DATA.read_text("utf-8")
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert all(name.partition(".")[0] in sys.stdlib_module_names for name in names)


def test_the_checker_runs_alone(tmp_path):
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(certificate("dynamic:ratio=0.2")))
    alone = [sys.executable, "-I", str(DATA), str(path)]
    assert subprocess.run(alone, check=False).returncode == 0
    path.write_text(path.read_text().replace('"offset": 0', '"offset": 8', 1))
    done = subprocess.run(alone, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "seal" in done.stderr


@pytest.mark.parametrize("update", [VARIES, "tinytrain:ratio=0.2", "tinyprop:s_max=0.5,damping=0.5"])
@pytest.mark.parametrize("residency", ["sram", "flash"])
def test_every_selection_that_is_drawn_has_room(update, residency):
    """What a stage needs, planned for itself, lies in the places that the certificate gives."""
    model, found = small_network(), scheme(update)
    session = Session(model, BOARD, found, residency=residency, patches="off")
    plan = session.plan()
    every = covering(plan, found)
    blocks = {block.name: block for block in every.problem.blocks}
    parts = {part.name: name for name, parted in every.parted.items() for part in parted.parts}
    assert parts
    statistics = mcusim.update.statistics_for(found, plan.step.model)
    for stage in range(12):
        try:
            selection = found.select(plan.step.model, stage, 0, statistics)
        except mcusim.BadArgument:  # from here on the criterion wants statistics
            break
        scope = sized(every.scope, selection)
        step = lowered(plan.step.model, BOARD, scope, found.cost(plan.step.model), plan.settings)
        taken: dict[str, int] = {}
        for tensor in step.tensors.values():
            if tensor.name in parts:
                pool = parts[tensor.name]
                taken[pool] = taken.get(pool, 0) + -(-tensor.bytes // 8) * 8
            elif tensor.buffer == tensor.name and not (
                isinstance(tensor.name, Slot) and tensor.buffer in taken
            ):
                assert tensor.bytes <= blocks[tensor.name].bytes, tensor.name
        assert taken
        assert all(size <= blocks[pool].bytes for pool, size in taken.items())


Path_ = tuple[Any, ...]


def leaves(value: Any, path: Path_ = ()) -> list[Path_]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [found for key, item in items for found in leaves(item, (*path, key))]
    return [path]


def kind(path: Path_) -> Path_:
    return tuple("*" if isinstance(part, int) else part for part in path)


def put(data: Any, path: Path_, change: Callable[[Any], Any]) -> dict[str, Any]:
    data = copy.deepcopy(data)
    place = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = change(place[path[-1]])
    return data


def other(value: Any) -> list[Any]:
    """Return other values, of its type and of another."""
    if isinstance(value, bool):
        return [not value, int(value), None]
    if isinstance(value, int):
        return [value + 1, value - 1, value + 8, -value - 1, float(value), str(value), None, True]
    return [value + "x", None, 0, *([""] if value else [])]


@pytest.mark.parametrize("update", ["dynamic:ratio=0.2", VARIES])
def test_every_kind_of_field_is_held_by_the_seal(update):
    whole = certificate(update)
    first = {kind(path): path for path in reversed(leaves(whole))}
    assert len(first) > 50
    for path in first.values():
        for value in other(whole[path[0]] if len(path) == 1 else _get(whole, path)):
            assert first_violation(put(whole, path, lambda _, value=value: value)) is not None, path


def _get(data: Any, path: Path_) -> Any:
    for part in path:
        data = data[part]
    return data


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mutated_certificate_is_refused(data):
    """Any leaf, any item, any key: gone, doubled, changed or of another type."""
    whole = certificate(data.draw(st.sampled_from(["dynamic:ratio=0.2", VARIES, "head"])))
    path = data.draw(st.sampled_from(leaves(whole)))
    path = path[: data.draw(st.integers(1, len(path)))]
    junk = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.just([]) | st.just({})
    old = _get(whole, path)
    mutated = data.draw(
        junk.filter(lambda new: new != old or type(new) is not type(old)).map(
            lambda new: put(whole, path, lambda _: new)
        )
        | st.just(path).map(lambda p: _without(whole, p))
        | st.just(path).map(lambda p: _more(whole, p))
    )
    assert first_violation(mutated) is not None


def _without(data: Any, path: Path_) -> Any:
    data = copy.deepcopy(data)
    del _get(data, path[:-1])[path[-1]]
    return data


def _more(data: Any, path: Path_) -> Any:
    data = copy.deepcopy(data)
    place = _get(data, path[:-1])
    if isinstance(place, list):
        place.append(place[path[-1]])
    else:
        place["more"] = place[path[-1]]
    return data


HARM: dict[tuple[str, ...], Callable[[Any], Any]] = {
    ("schema",): lambda v: v + "0",
    ("selections", "fixed"): lambda v: not v,
    ("selections", "layers", "*", "channels"): lambda v: v + 1,
    ("selections", "layers", "*", "most"): lambda v: v + 1,
    ("selections", "layers", "*", "name"): lambda v: v + "x",
    ("selections", "limits", "*", "most"): lambda v: v + 100_000,
    ("selections", "limits", "*", "what"): lambda v: v + "x",
    ("selections", "draws"): lambda v: v + "0",
    ("sram", "capacity_bytes"): lambda v: 100,
    ("sram", "align"): lambda v: 3,
    ("sram", "gaps"): lambda v: [4],
    ("sram", "memory", "*", "name"): lambda v: v + "x",
    ("sram", "memory", "*", "bytes"): lambda v: 8,
    ("sram", "ops"): lambda v: v[:-1],
    ("sram", "ops", "*", "uses"): lambda v: [*v, "x"],
    ("sram", "height_bytes"): lambda v: v - 8,
    ("sram", "optimal"): lambda v: not v,
    ("sram", "lower_bound", "op"): lambda v: 10**6,
    ("sram", "lower_bound", "bytes"): lambda v: v + 8,
    ("sram", "blocks", "*", "name"): lambda v: "runtime",
    ("sram", "blocks", "*", "offset"): lambda v: v + 1,
    ("sram", "blocks", "*", "bytes"): lambda v: v + 2**20,
    ("sram", "blocks", "*", "start"): lambda v: 10**6,
    ("sram", "blocks", "*", "end"): lambda v: 10**6,
    ("sram", "blocks", "*", "align"): lambda v: 2**30 + 1,
    ("sram", "blocks", "*", "regions"): lambda v: [*v, "x"],
    ("sram", "blocks", "*", "barred"): lambda v: ["RAM"],
    ("sram", "blocks", "*", "shrinks"): lambda v: [[0, 0]],
    ("sram", "blocks", "*", "parts", "*", "channel_bytes"): lambda v: v + 10_000,
    ("sram", "blocks", "*", "parts", "*", "layer"): lambda v: v + "x",
    ("sram", "blocks", "*", "parts", "*", "end"): lambda v: 0,
    ("sram", "blocks", "*", "prices"): lambda v: v[:-1],
    ("sram", "overlaps", "*", "old"): lambda v: v + "x",
    ("sram", "overlaps", "*", "new"): lambda v: v + "x",
    ("sram", "overlaps", "*", "distance"): lambda v: max(v - 8, 0) if v else 8,
    ("sram", "overlaps", "*", "rows", "*"): lambda v: v + 3,
    ("sram", "overlaps", "*", "columns", "*"): lambda v: v + 3,
    ("sram", "overlaps", "*", "read"): lambda v: v + 1,
    ("sram", "overlaps", "*", "written"): lambda v: v + 1,
    ("flash", "capacity_bytes"): lambda v: v + 4,
    ("flash", "total_bytes"): lambda v: v + 4,
    ("flash", "sectors", "*", "*"): lambda v: v + 1,
    ("flash", "header_bytes"): lambda v: v + 2**20,
    ("flash", "counter_bytes"): lambda v: v + 2**20,
    ("flash", "learned", "*", "bytes"): lambda v: v + 2**20,
    ("flash", "learned", "*", "name"): lambda v: 5,
    ("flash", "items", "*", "bytes"): lambda v: v + 2**20,
    ("flash", "items", "*", "offset"): lambda v: v + 2**20,
    ("figures", "*", "bytes"): lambda v: v + 1,
    ("figures", "*", "name"): lambda v: v + "x",
    ("figures", "*", "provenance"): lambda v: "said",
    ("figures", "*", "source"): lambda v: " ",
}
"""For each kind of field a change after which it is not so, whoever seals it anew."""


def paths(value: Any, wanted: tuple[str, ...], path: Path_ = ()) -> list[Path_]:
    if not wanted:
        return [path]
    if wanted[0] == "*":
        return [found for i in range(len(value)) for found in paths(value[i], wanted[1:], (*path, i))]
    return paths(value[wanted[0]], wanted[1:], (*path, wanted[0]))


@pytest.mark.parametrize("wanted", HARM, ids=".".join)
def test_what_is_not_so_is_refused_under_a_new_seal_too(wanted):
    met = 0
    for update in ("dynamic:ratio=0.2", VARIES):
        whole = certificate(update)
        for path in paths(whole, wanted):
            if wanted[-1] in ("parts", "prices") and not _get(whole, path):
                continue
            mutated = put(whole, path, HARM[wanted])
            if mutated == whole:
                continue
            mutated["seal"] = seal(mutated)
            refused = first_violation(mutated) is not None
            # Another window, stride or padding may leave the distance as it is: then it is still so.
            assert refused or (len(path) > 1 and path[-2] in ("rows", "columns") and path[-1] > 1), path
            met += refused
    assert met


def test_a_pool_computed_with_its_convolution_is_proven():
    """What the two overlap is an order of both; changed and sealed anew, it is refused."""
    proof = mcusim.prove(pooled_network(), BOARD, "head", patches="off")
    assert proof.violation is None
    plan = mcusim.plan(pooled_network(), BOARD, "head", patches="off")
    assert Action.POOLED in {op.action for op in plan.step.ops}
    apart = mcusim.prove(pooled_network(), BOARD, "head", patches="off", fuse=False)
    whole = proof.as_dict()
    assert whole["sram"]["height_bytes"] < apart.as_dict()["sram"]["height_bytes"]
    (pair,) = (n for n, o in enumerate(whole["sram"]["overlaps"]) if (o["old"], o["new"]) == ("x", "y"))
    for wanted in (path for path in HARM if path[:3] == ("sram", "overlaps", "*")):
        refused = 0
        for path in paths(whole, wanted):
            if path[2] == pair:
                mutated = put(whole, path, HARM[wanted])
                mutated["seal"] = seal(mutated)
                refused += first_violation(mutated) is not None
        assert refused, wanted


def test_nothing_can_be_left_out():
    whole = certificate(VARIES)
    first = {kind(path): path for path in reversed(leaves(whole))}
    for path in first.values():
        for end in range(1, len(path) + 1):
            if isinstance(path[end - 1], int):
                continue
            mutated = _without(whole, path[:end])
            mutated["seal"] = "" if path[:end] == ("seal",) else seal(mutated)
            kept = {("subject",), ("selections", "head"), ("selections", "biases")}
            free = path[0] == "subject" or path[:end] in kept or kind(path) == ("sram", "ops", "*", "name")
            assert first_violation(mutated) is not None or free, path[:end]


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(*[st.tuples(*[st.integers(1, n) for n in (9, 9, 4, 3, 2)], st.integers(-1, 3))] * 2),
    st.integers(1, 9), st.integers(1, 9), st.booleans(), st.booleans(),
)  # fmt: skip
def test_the_distance_is_computed_twice(axes, read, written, backward, own):
    order = Order(*axes, read, written, backward=backward, own=own)
    text = {
        "rows": axes[0], "columns": axes[1], "read": read, "written": written, "backward": backward,
        "own": own,
    }  # fmt: skip
    assert checker._distance(text) == order.distance


def test_certificates_come_back_from_files(tmp_path):
    found = mcusim.prove(small_network(), BOARD, VARIES)
    found.save(tmp_path / "a.json")
    again = mcusim.Certificate.read(tmp_path / "a.json")
    assert again.as_dict() == found.as_dict()
    assert again.violation is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("[1]", "is no JSON object"),
        ("{", "cannot be read"),
        ('{"schema": 1}', "form 1"),
    ],
)
def test_what_is_no_certificate_is_said_in_one_line(content, said, tmp_path):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(mcusim.BadProof, match=re.escape(said)):
        mcusim.Certificate.read(path).require()


def test_a_heap_cannot_be_proven():
    with pytest.raises(mcusim.BadArgument, match="run time"):
        mcusim.prove(small_network(), BOARD, "head", allocator="tlsf")


def test_what_does_not_fit_every_selection_says_so():
    model = small_network()
    most = mcusim.prove(model, BOARD, VARIES, patches="off").height_bytes
    with pytest.raises(mcusim.OutOfSram):
        mcusim.prove(model, BOARD, VARIES, patches="off", residency="sram", sram=most - 8)
