"""The page of what networks go through is true: some of its rows are made anew and compared."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
pytest.importorskip("ai_edge_litert.interpreter")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import compatibility
import onnx_rows
from one_op import EDGES
from onnx_nodes import ELSEWHERE, NODES, kinds, title

from mcusim.files.onnx.operators import RULES, SEVERAL
from mcusim.graph import OpKind
from mcusim.graph.traits import MOVES, UNARY

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
SAMPLE = (
    OpKind.CONV_2D, OpKind.FULLY_CONNECTED, OpKind.GROUPED_CONV_2D, OpKind.BATCH_MATMUL, OpKind.ADD,
    OpKind.SUM, OpKind.RELU6, OpKind.LOG_SOFTMAX, OpKind.CONCATENATION, OpKind.QUANTIZE, MOVES[0], UNARY[-1],
)  # fmt: skip


NAMED = {title(node) for node in NODES}
SOME = ("Conv", "Gemm", "Split", "Softmax", "BatchNormalization", "Clip", "Resize", "Mish")


def rows() -> dict[str, tuple[str, ...]]:
    """Return the rows of the page, by the network's name."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [tuple(cell.strip() for cell in line[1:-1].split("|")) for line in lines]
    heads = (compatibility.COLUMNS[0], onnx_rows.COLUMNS[0], "---")
    return {row[0]: row for row in cells if row[0] not in heads and row[0] not in NAMED}


def node_rows() -> dict[str, tuple[str, ...]]:
    """Return the rows of single nodes of ONNX files."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [tuple(cell.strip() for cell in line[1:-1].split("|")) for line in lines]
    return {row[0]: row for row in cells if row[0] in NAMED}


def test_every_operator_has_a_row_for_each_edge() -> None:
    assert set(EDGES) == set(OpKind)
    cases = [(kind, edge, 8) for kind, edges in EDGES.items() for edge in edges]
    cases += [(kind, edge, 16) for kind, edge in compatibility.wide_cases()]
    names = {compatibility.operator_name(*case) for case in cases}
    assert names == {name for name in rows() if name.startswith("`")}


@pytest.mark.oracle
@pytest.mark.parametrize("kind", SAMPLE)
def test_the_row_of_an_operator_is_true(kind: OpKind) -> None:
    for bits in (8, 16) if kind in {kind for kind, _ in compatibility.wide_cases()} else (8,):
        found = compatibility.operator_row(kind, EDGES[kind][-1], bits)
        assert rows()[found[0]] == found


def test_the_page_says_how_many_get_how_far() -> None:
    text, found = PAGE.read_text("utf-8"), list(rows().values())
    wide = [row for row in found if row[0].endswith(", 16-bit")]
    single = [row for row in found if row[0].startswith("`") and row not in wide]
    assert compatibility.shares(single).strip() in text
    assert compatibility.shares(wide).strip() in text
    assert compatibility.shares([row for row in found if not row[0].startswith("`")]).strip() in text


@pytest.mark.data
@pytest.mark.oracle
@pytest.mark.parametrize("name", ["tflm_hello_world_int8", "tflm_micro_speech_quantized"])
def test_the_row_of_a_file_is_true(data_dir: Path, name: str) -> None:
    found = compatibility.file_row(data_dir / "tflite" / f"{name}.tflite")
    assert rows()[name] == found


@pytest.mark.data
def test_every_file_has_a_row(data_dir: Path) -> None:
    assert {path.stem for path in compatibility.files()} == {n for n in rows() if not n.startswith("`")}


def test_every_operator_of_onnx_has_a_row_or_a_reason() -> None:
    assert {*RULES, *SEVERAL} == {*kinds(), *ELSEWHERE}
    assert len(NAMED) == len(NODES)
    assert {*node_rows()} == NAMED


def test_the_page_says_how_many_nodes_get_how_far() -> None:
    assert onnx_rows.shares(list(node_rows().values())).strip() in PAGE.read_text("utf-8")


@pytest.mark.oracle
@pytest.mark.parametrize("kind", SOME)
def test_the_row_of_a_node_is_true(kind: str) -> None:
    node = next(node for node in NODES if node.kind == kind)
    assert node_rows()[title(node)] == onnx_rows.node_row(node)
