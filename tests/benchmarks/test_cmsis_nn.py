"""The benchmark beside CMSIS-NN: layers of the networks, a whole table, and bad input in one line."""

from __future__ import annotations

import csv
import runpy
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

import mcusim

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "firmware" / "cmsis_nn.py"
NAMES = runpy.run_path(str(SCRIPT))
LAYERS = NAMES["LAYERS"]


@pytest.fixture(scope="module")
def rows():
    with SCRIPT.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_has_every_layer_on_every_core(rows):
    toolchains = {row["toolchain"] for row in rows}
    assert len(toolchains) == len(NAMES["COMPILERS"])
    found = [tuple(row[c] for c in ("toolchain", "core", "layer", "kind", "arithmetic")) for row in rows]
    wanted = [
        (toolchain, core, f"{layer.network} {layer.op}", layer.kind, arithmetic)
        for toolchain, core, layer, arithmetic in product(
            toolchains, NAMES["CHOSEN"], LAYERS, ("fixed", "float")
        )
    ]
    assert sorted(found) == sorted(wanted)


def test_no_kernel_takes_more_than_half_as_many_instructions_again(rows):
    """To two places: the highest ratio is 1.505."""
    for row in rows:
        assert row["ratio"] == f"{int(row['ours']) / int(row['theirs']):.2f}"
        assert float(row["ratio"]) <= 1.5, row


def test_the_documentation_has_the_ranges_of_the_table(rows):
    page = (ROOT / "docs" / "tutorials" / "firmware.md").read_text("utf-8")
    assert NAMES["summary"](rows) in page


def check(model, layer):
    op = next(op for op in model.ops if op.name == layer.op)
    x, weight, y = (model.tensors[name].shape for name in (*op.inputs[:2], op.output))
    assert (x[1:], y[1:]) == ((layer.h, layer.w, layer.inputs), layer.out)
    assert op.attributes.stride == (layer.stride, layer.stride)
    taps = ((1, 3, 3), (1, 1)) if layer.depthwise else ((layer.outputs, 1, 1), (0, 0))
    assert (weight[:3], op.attributes.padding) == (taps[0], (taps[1],) * 2)


@pytest.mark.parametrize("layer", [x for x in LAYERS if x.network == NAMES["DEMO"]], ids=lambda x: x.op)
def test_layers_are_those_of_the_synthetic_network(layer):
    check(mcusim.load(layer.network), layer)


@pytest.mark.parametrize("layer", [x for x in LAYERS if x.network == NAMES["REAL"]], ids=lambda x: x.op)
def test_layers_are_those_of_the_real_network(layer, data_dir):
    check(mcusim.load(layer.network), layer)


def test_a_folder_without_its_files_is_refused_in_one_line(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        command = [sys.executable, str(SCRIPT), "--cmsis", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert "git clone" in done.stderr
