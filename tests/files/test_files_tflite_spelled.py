"""Operators that are read as other ones, against LiteRT: the same bits, or one line where they do not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tflite_file import INT8, INT32, FileSpec, OperatorSpec, TensorSpec

from mcusim.core import BadModel
from mcusim.engine.inference import activations
from mcusim.files.tflite.reader import parse_tflite
from mcusim.files.tflite.schema import SPELLED
from mcusim.graph import Model, OpKind

K = OpKind
LITERT = pytest.importorskip("ai_edge_litert.interpreter")
pytestmark = pytest.mark.oracle


OLD = {70: 1, 43: 1}
"""Operators that had int8 from their first version on."""


@dataclass(frozen=True)
class One:
    """An operator of one input x, constants behind (or before) it, and outputs of these shapes."""

    code: int
    x: tuple[int, ...]
    constants: tuple[Any, ...]
    outputs: tuple[tuple[int, ...], ...]
    options: tuple[tuple[int, str, Any], ...] = ()
    union: int = 0
    first: bool = False
    """Constants come before x."""
    again: int = 0
    """So many more inputs like x."""

    def file(self) -> bytes:
        xs = [TensorSpec(f"x{i}", self.x) for i in range(1 + self.again)]
        constants = [self._constant(f"c{i}", value) for i, value in enumerate(self.constants)]
        made = [TensorSpec(f"y{i}", shape) for i, shape in enumerate(self.outputs)]
        inner = [TensorSpec(f"r{i}", x.shape) for i, x in enumerate(xs)]
        n, m = len(xs), len(constants)
        places = tuple(range(2 * n, 2 * n + m))
        read = tuple(range(n, 2 * n))
        order = (*places, *read) if self.first else (*read, *places)
        outputs = tuple(range(2 * n + m, 2 * n + m + len(made)))
        options = {str(number): (number, kind, value) for number, kind, value in self.options}
        # A RELU first, so that nothing is known when the file is read.
        relus = [OperatorSpec(19, (i,), (n + i,), version=2, union=0) for i in range(n)]
        operator = OperatorSpec(
            self.code, order, outputs, options, union=self.union, version=OLD.get(self.code, 2)
        )
        return FileSpec(
            [*xs, *inner, *constants, *made], [*relus, operator], tuple(range(n)), outputs
        ).bytes()

    @staticmethod
    def _constant(name: str, value: Any) -> TensorSpec:
        if isinstance(value, np.ndarray):
            return TensorSpec(name, value.shape, INT8, value)
        data = np.array(value, np.int32)
        return TensorSpec(name, data.shape, INT32, data, scale=())


def strided(x: Any, starts: Any, ends: Any, step: Any, out: Any, **masks: int) -> One:
    names = ("begin", "end", "ellipsis", "new", "shrink")
    options = tuple((i, "int32", masks.get(name, 0)) for i, name in enumerate(names))
    return One(45, x, (starts, ends, step), (out,), options, 32)


X = (1, 6, 4, 5)
THREE = ((0, "int32", 3),)
CASES = {
    "expand_dims": One(70, (1, 6, 5), (1,), ((1, 1, 6, 5),)),
    "squeeze": One(43, (1, 1, 6, 5), (), ((6, 5),)),
    "slice": One(65, X, ([0, 2, 1, 0], [1, 3, -1, 5]), ((1, 3, 3, 5),)),
    "strided_slice": strided(X, [0, 1, 0, 4], [1, 6, 4, 0], [1, 2, 1, -1], (1, 3, 4, 4)),
    "strided_slice from the ends": strided(X, [0, -2], [1, 9], [1, 1], (1, 2, 4, 5), begin=1, end=3),
    "strided_slice drops a dimension": strided(X, [0, 3], [1, 4], [1, 1], (1, 4, 5), begin=1, shrink=2),
    "strided_slice with an ellipsis": strided(X, [0, 1], [0, 3], [1, 1], (1, 6, 4, 2), ellipsis=1),
    "strided_slice keeps all": strided(X, [0, 0], [0, 0], [1, 1], X, begin=3, end=3),
    "split": One(49, X, (3,), ((1, 6, 4, 1),) * 5, ((0, "int32", 5),), 35, first=True),
    "split_v": One(102, X, ([2, -1, 1], 1), ((1, 2, 4, 5), (1, 3, 4, 5), (1, 1, 4, 5)), THREE, 79),
    "unpack": One(88, X, (), ((1, 6, 5),) * 4, ((0, "int32", 4), (1, "int32", 2)), 64),
    "pack": One(83, (1, 6, 5), (), ((1, 6, 3, 5),), ((0, "int32", 3), (1, "int32", 2)), 59, again=2),
    "tile": One(69, X, ([1, 1, 2, 3],), ((1, 6, 8, 15),)),
    "broadcast_to": One(130, (1, 1, 1, 5), ([1, 3, 4, 5],), ((1, 3, 4, 5),)),
    "broadcast_to more dimensions": One(130, (1, 5), ([1, 3, 1, 5],), ((1, 3, 1, 5),)),
    "gather": One(36, X, ([4, 0, 0],), ((1, 6, 4, 3),), ((0, "int32", 3),), 23),
    "gather one": One(36, X, (2,), ((1, 4, 5),), ((0, "int32", 1),), 23),
    "padv2": One(60, X, ([[0, 0], [1, 2], [0, 1], [0, 0]], np.full((), 77, np.int8)), ((1, 9, 5, 5),)),
}  # fmt: skip


def litert(data: bytes, xs: list[np.ndarray]) -> list[np.ndarray]:
    found = LITERT.Interpreter(
        model_content=data, experimental_op_resolver_type=LITERT.OpResolverType.BUILTIN_REF
    )
    found.allocate_tensors()
    for detail, x in zip(found.get_input_details(), xs, strict=True):
        found.set_tensor(detail["index"], x)
    found.invoke()
    return [found.get_tensor(detail["index"]) for detail in found.get_output_details()]


def ours(model: Model, xs: list[np.ndarray]) -> list[np.ndarray]:
    values = activations(model, xs[0])
    return [values[name] for name in model.outputs]


@pytest.mark.parametrize("name", [name for name, one in CASES.items() if not one.again])
def test_each_is_read_as_litert_computes_it(name: str) -> None:
    one = CASES[name]
    x = np.random.default_rng(0).integers(-128, 128, one.x).astype(np.int8)
    data = one.file()
    for mine, theirs in zip(ours(parse_tflite(data, "m"), [x]), litert(data, [x]), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_pack_of_several_inputs() -> None:
    model = parse_tflite(CASES["pack"].file(), "m")
    kinds = [op.kind for op in model.ops]
    assert kinds == [K.RELU] * 3 + [K.RESHAPE] * 3 + [K.CONCATENATION]
    assert model.tensors["y0"].shape == (1, 6, 3, 5)


def test_every_spelling_has_a_case() -> None:
    phases = {37, 38}  # see test_files_tflite_dilated
    assert {CASES[name].code for name in CASES} >= {*SPELLED} - phases


WRONG = {
    "cut of nothing": (strided(X, [0, 3], [1, 3], [1, 1], X), "keeps nothing of dimension 1"),
    "no such dimension": (One(49, X, (7,), ((1, 6, 4, 5),), first=True), "works along dimension 7 of 4"),
    "parts too many": (One(102, X, ([2, 9], 1), (X, X)), r"cuts .* into 2 parts of \[2, 9\]"),
    "more than there is": (One(65, X, ([0, 9, 0, 0], [1, 3, 4, 5]), ((1, 3, 4, 5),)), "cuts .*out of"),
    "a number beyond": (One(36, X, ([9],), ((1, 6, 4, 1),), ((0, "int32", 3),), 23), "do not exist"),
    "no broadcast": (One(130, (1, 2), ([1, 3],), ((1, 3),)), "cannot broadcast"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_line(name: str) -> None:
    one, reason = WRONG[name]
    with pytest.raises(BadModel, match=reason) as caught:
        parse_tflite(one.file(), "file.tflite")
    assert str(caught.value).startswith("file")
    assert "\n" not in str(caught.value)
