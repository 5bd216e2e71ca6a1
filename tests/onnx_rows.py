"""Rows of the page of what networks go through, of single nodes of ONNX files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from compatibility import NOTHING, YES, attempted, compute, large_board, quiet, real
from onnx_nodes import NODES, Node, between, computed, example, quantised, title
from onnx_nodes import real as of_reals

import mcusim
from mcusim.compress.quantize import run
from mcusim.data import from_arrays
from mcusim.files.onnx.reader import load_onnx
from mcusim.files.onnx.writer import to_onnx
from mcusim.graph import Model

COLUMNS = ("node", "loads", "values", "QDQ", "plans", "trains", "exports")
INTRO = """## Single nodes of ONNX files

*Loads*: a float file of this node alone. *Values*: those of ONNX Runtime. *QDQ*: between QuantizeLinear and
DequantizeLinear it has the integers of ONNX Runtime, which computes node by node; how many are others, and by
how many units at most. *Plans*, *trains*: between a layer and a classifier, after `mcusim.quantize`.
*Exports*: that network, written as `.onnx` and read again, gives the same. A refusal names its reason.

"""
EXAMPLES = 6


def node_row(node: Node) -> tuple[str, ...]:
    """Return the row of one node."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        file = Path(folder) / "node.onnx"

        def loaded(data: bytes) -> Model:
            file.write_bytes(data)
            return load_onnx(file)

        loads = attempted(lambda: YES if loaded(of_reals(node)).ops else "nothing")
        if loads != YES:
            return (title(node), loads, *[NOTHING] * 5)
        values = attempted(lambda: _values(node, loaded(of_reals(node))))
        integers = attempted(lambda: _integers(node, loaded))
        made: list[Model] = []
        plans = attempted(lambda: _planned(node, loaded(between(node)), made))
        if not made:
            return (title(node), loads, values, integers, plans, NOTHING, NOTHING)
        return (
            title(node), loads, values, integers, plans, attempted(lambda: _trained(node, made[0])),
            attempted(lambda: _exported(node, made[0], loaded)),
        )  # fmt: skip


def _here(x: np.ndarray) -> np.ndarray:
    """Return numbers of ONNX's with channels last."""
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def _values(node: Node, model: Model) -> str:
    x, found = example(node), {}
    run(model, _here(x), lambda name, value: found.__setitem__(name, value))
    theirs = computed(of_reals(node), x)
    same = all(
        np.allclose(found[name], _here(value), rtol=1e-4, atol=1e-5)
        for name, value in zip(model.outputs, theirs, strict=True)
    )
    return "equal" if same else "differ"


def _integers(node: Node, loaded: Callable[[bytes], Model]) -> str:
    if node.opset < 10:
        return NOTHING  # QuantizeLinear is of opset 10
    x = example(node)
    span = max(float(np.abs(value).max()) for value in computed(of_reals(node), x))
    data = quantised(node, span)
    model, theirs = loaded(data), _here(computed(data, x)[0])
    ours = real(model.tensors[model.outputs[0]], compute(model, [np.ascontiguousarray(_here(x))]))
    made = next(op for op in model.ops if op.output == model.outputs[0])
    units = np.abs(ours - theirs) / float(model.tensors[made.inputs[0]].quant.scale[0])
    count = int((units > 0.5).sum())
    return "equal" if not count else f"{count} of {units.size} differ by {round(float(units.max()))}"


def _inputs(node: Node) -> np.ndarray:
    rng = np.random.default_rng(2)
    found = [_here(rng.uniform(-2, 2, node.shape).astype(np.float32)) for _ in range(EXAMPLES)]
    return np.ascontiguousarray(np.concatenate(found))


def _planned(node: Node, model: Model, made: list[Model]) -> str:
    twin = mcusim.quantize(model, _inputs(node), arithmetic="float")
    mcusim.Session(twin, large_board(), "dense").plan()
    made.append(twin)
    return YES


def _trained(node: Node, twin: Model) -> str:
    data = from_arrays(_inputs(node), np.arange(EXAMPLES) % 3)
    done = mcusim.Session(twin, large_board(), "dense", sgd=mcusim.Sgd(lr=0.05)).train(data, epochs=1)
    return YES if np.isfinite(done.rows[-1]["loss"]) else "no: its loss is not finite"


def _exported(node: Node, twin: Model, loaded: Callable[[bytes], Model]) -> str:
    again, x = loaded(to_onnx(twin)), _inputs(node)[:1]
    quant = twin.input.quant
    assert quant is not None
    stored = np.clip(np.rint(x / quant.scale[0]) + quant.zero_point, -128, 127).astype(np.int8)
    ours, theirs = compute(twin, [stored]), compute(again, [real(twin.input, stored)])
    same = np.allclose(real(twin.output, ours), real(again.output, theirs), rtol=1e-6, atol=1e-6)
    return YES if same else "other numbers"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows in Markdown."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def shares(rows: Sequence[Sequence[str]]) -> str:
    """Return how many of the rows get how far."""
    loaded, equal, bits, planned, trained, exported = (
        sum(row[i] in (YES, "equal") for row in rows) for i in range(1, 7)
    )
    compared = sum(row[3] == "equal" or " differ" in row[3] for row in rows)
    return (
        f"{loaded} of {len(rows)} load, {equal} have the values of ONNX Runtime; in the QDQ form {compared} "
        f"are executed, {bits} with its integers; {planned} plan, {trained} train, {exported} are "
        "exported.\n\n"
    )


def page() -> str:
    """Return the part of the page that is about ONNX."""
    rows = [node_row(node) for node in NODES]
    return f"\n{INTRO}{shares(rows)}{table(rows)}"
