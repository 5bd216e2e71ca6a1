"""The page of what networks go through: ``python tests/compatibility.py > docs/compatibility.md`` makes it.

Each network is loaded, its integers are compared with TFLite Micro's and LiteRT's, it is planned, trained for
a few examples, and written as a TFLite file again. Real files are those below ``MCUSIM_DATA``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from one_op import EDGES, Edge, alone, between, in_16_bits
from onnx_sessions import session

import mcusim
from mcusim.core import McusimError
from mcusim.data import from_arrays
from mcusim.files.onnx.writer import to_onnx
from mcusim.files.tflite.reader import parse_tflite
from mcusim.files.tflite.writer import to_tflite
from mcusim.graph import LIMITS, Arithmetic, Model, OpKind, Tensor
from mcusim.kernels.forward import forward
from mcusim.kernels.reference.int16 import ANY_TYPE, INT16

Arrays = Sequence[np.ndarray]
YES, NOTHING = "yes", "–"
EXAMPLES = 4
INTRO = """# What networks go through

Made by `python tests/compatibility.py > docs/compatibility.md`; `tests/files/test_files_compatibility.py`
makes some of the rows anew and compares. *Loads*: the file is read.
*TFLite Micro*, *LiteRT*: the first output has the same bits as there (PyPI 0.dev20261023, profile `tflite`;
ai-edge-litert 2.3.0 with its reference kernels, profile `litert`), where the runtime can execute it.
*ONNX Runtime*: the same of the network written as `.onnx`, in profile `float`; where it joins nodes and
rounds elsewhere, how many outputs differ, and by how many units of their last place at most.
*Plans*, *trains*: as a whole or, where that has no gradient, its head, on a microcontroller with enough
memory; of a single operator, between a layer that learns and a classifier (what TFLite has no operator for
is no file to load). *Exports*: written as `.tflite`
and read again it gives the same bits. A refusal names its reason. What differs is explained in
[operators](operators.md#whose-bits).

"""
COLUMNS = ("network", "loads", "TFLite Micro", "LiteRT", "ONNX Runtime", "plans", "trains", "exports")


def large_board() -> mcusim.Board:
    """Return a microcontroller with more memory than any has, in one block."""
    board = mcusim.board("stm32h743")
    block, flash = board.sram[0], board.flash
    sector = replace(flash.sectors[-1], count=2**26 // flash.sectors[-1].bytes)
    return replace(
        board, sram=(replace(block, bytes=2**28),), flash=replace(flash, bytes=2**26, sectors=(sector,))
    )


def files() -> list[Path]:
    """Return the TFLite files that the page is about."""
    root = Path(os.environ["MCUSIM_DATA"])
    return sorted(path for folder in ("tflite", "zoo") for path in (root / folder).glob("*.tflite"))


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out warnings: what is said of accumulators and saturation is no row of this page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def attempted(action: Callable[[], str]) -> str:
    """Return what an action says, or why it is refused."""
    try:
        return action()
    except McusimError as error:
        reason = getattr(error, "reason", str(error))
        return f"no: {reason}".replace("|", "/")


def file_row(path: Path) -> tuple[str, ...]:
    """Return the row of a file."""
    data = path.read_bytes()
    try:
        with quiet():
            model = mcusim.load(path)
    except McusimError as error:
        return (path.stem, f"no: {getattr(error, 'reason', error)}", *[NOTHING] * 6)
    return (path.stem, YES, *_rest(data, model, model))


def operator_row(kind: OpKind, edge: Edge, bits: int = 8) -> tuple[str, ...]:
    """Return the row of one operator: alone for its bits, between layers for what learns."""
    given, name = alone(kind, edge), operator_name(kind, edge, bits)
    learner = between(kind, edge)
    if bits == 16:
        given, learner = in_16_bits(given), None if learner is None else in_16_bits(learner)
    try:
        data = to_tflite(given)
    except McusimError as error:  # no operator of TFLite
        with quiet():
            onnx = attempted(lambda: _as_onnx(replace(given, arithmetic=Arithmetic.FLOAT), inputs_of(given)))
            learned = (NOTHING, NOTHING) if learner is None else _learned(learner)
        return (name, NOTHING, NOTHING, NOTHING, onnx, *learned, f"no: {getattr(error, 'reason', error)}")
    try:
        model = parse_tflite(data, given.name)
    except McusimError as error:
        return (name, f"no: {getattr(error, 'reason', error)}", *[NOTHING] * 6)
    return (name, YES, *_rest(data, model, learner))


def operator_name(kind: OpKind, edge: Edge, bits: int) -> str:
    """Return the name of the row of one operator."""
    return f"`{kind.name}`, {edge.name}" + ", 16-bit" * (bits == 16)


def wide_cases() -> list[tuple[OpKind, Edge]]:
    """Return the forms of what computes with, or moves, 16-bit activations."""
    return [(kind, edge) for kind in (*INT16, *ANY_TYPE) for edge in EDGES[kind]]


def _rest(data: bytes, model: Model, learner: Model | None) -> tuple[str, ...]:
    with quiet():
        xs = inputs_of(model)
        micro = _compared(model, Arithmetic.TFLITE, xs, lambda: tflite_micro(data, xs))
        litert = _compared(model, Arithmetic.LITERT, xs, lambda: reference(data, xs))
        onnx = attempted(lambda: _as_onnx(replace(model, arithmetic=Arithmetic.FLOAT), xs))
        plans, trains = (NOTHING, NOTHING) if learner is None else _learned(learner)
        return micro, litert, onnx, plans, trains, attempted(lambda: _exported(model, xs))


def inputs_of(model: Model) -> list[np.ndarray]:
    """Return random values for every input."""
    rng = np.random.default_rng(0)
    tensors = [model.tensors[name] for name in model.inputs]
    return [
        rng.uniform(-1, 1, t.shape).astype(np.float32)
        if t.dtype == "float32"
        else rng.integers(LIMITS[t.dtype][0], LIMITS[t.dtype][1] + 1, t.shape).astype(t.dtype)
        for t in tensors
    ]


def compute(model: Model, xs: Arrays) -> np.ndarray:
    """Return the first output, op by op."""
    values = dict(zip(model.inputs, xs, strict=True))
    for op in model.ops:
        names = op.inputs[:1] if op.traits.weighted else op.inputs
        inputs = tuple(values[n] if n in values else np.asarray(model.tensors[n].data) for n in names)
        tensor = model.tensors[op.output]
        values[op.output] = np.zeros(tensor.shape, tensor.dtype)
        forward(op, model.tensors, model.arithmetic)(inputs, values[op.output])
    return values[model.outputs[0]]


def _signed(y: np.ndarray) -> np.ndarray:
    return (y ^ 128).view(np.int8) if y.dtype == np.uint8 else y


def tflite_micro(data: bytes, xs: Arrays) -> np.ndarray:
    """Return the first output of TFLite Micro."""
    from tflite_micro.python.tflite_micro import runtime

    found = runtime.Interpreter.from_bytes(data, arena_size=2**26)
    for i, x in enumerate(xs):
        unsigned = found.get_input_details(i)["dtype"] is np.uint8
        found.set_input(x.view(np.uint8) ^ 128 if unsigned else x, i)
    found.invoke()
    return _signed(np.array(found.get_output(0)))


def reference(data: bytes, xs: Arrays) -> np.ndarray:
    """Return the first output of LiteRT's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    found = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    found.allocate_tensors()
    for details, x in zip(found.get_input_details(), xs, strict=True):
        given = x.view(np.uint8) ^ 128 if details["dtype"] == np.uint8 else x
        found.set_tensor(details["index"], given)
    found.invoke()
    return _signed(found.get_tensor(found.get_output_details()[0]["index"]))


def _compared(model: Model, arithmetic: Arithmetic, xs: Arrays, oracle: Callable[[], np.ndarray]) -> str:
    def compared() -> str:
        ours = compute(replace(model, arithmetic=arithmetic), xs)
        try:
            theirs = oracle()
        except Exception:  # each runtime has its own
            return "does not run there"
        differ = int((ours.reshape(-1) != theirs.reshape(-1)).sum())
        return "equal" if not differ else f"{differ:,} of {ours.size:,} differ"

    return attempted(compared)


def real(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """Return the real numbers that integers of a tensor stand for."""
    if tensor.quant is None:
        return values
    zero = np.float32(tensor.quant.zero_point)
    return (values.astype(np.float32) - zero) * np.float32(tensor.quant.scale[0])


def onnx_runtime(data: bytes, model: Model, xs: Arrays) -> list[np.ndarray]:
    """Return the outputs of ONNX Runtime, in real numbers with channels last."""
    theirs = session(data)
    given = {}
    for value, name, x in zip(theirs.get_inputs(), model.inputs, xs, strict=True):
        x = real(model.tensors[name], x)
        given[value.name] = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    return [y.transpose(0, 2, 3, 1) if y.ndim == 4 else y for y in theirs.run(None, given)]


def units(model: Model, name: str, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return by how many steps of its scale each number of an output differs."""
    tensor = model.tensors[name]
    step = 1.0 if tensor.quant is None else float(tensor.quant.scale[0])
    return np.abs(real(tensor, ours).astype(np.float64) - theirs) / step


def _as_onnx(model: Model, xs: Arrays) -> str:
    ours, theirs = compute(model, xs), onnx_runtime(to_onnx(model), model, xs)[0]
    differ = units(model, model.outputs[0], ours, theirs)
    if model.output.dtype == "float32":  # not to the bit: the order of sums is the library's
        same = np.allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        return "equal" if same else f"{differ.size:,} differ by {differ.max():.2g}"
    count = int((differ > 0.5).sum())
    return "equal" if not count else f"{count:,} of {differ.size:,} differ by {round(differ.max())}"


def _targets(model: Model, count: int) -> tuple[str, Any]:
    """Return an output that can be chosen, and labels that suit it."""
    choice = "0" if len(model.outputs) > 1 else "auto"
    shape = model.output.shape
    if model.task == "regression":
        return choice, np.linspace(0, 1, count * model.output.elements, dtype=np.float32).reshape(count, -1)
    if model.task == "reconstruction":
        return choice, None
    if model.task == "multi-label":
        return choice, np.arange(count * shape[-1]).reshape(count, -1) % 2
    if _mapped(model):
        return choice, np.arange(count * shape[1] * shape[2]).reshape(count, *shape[1:3]) % 2
    return choice, np.arange(count) % 2


def _mapped(model: Model) -> bool:
    """Return whether a network gives a class for every pixel."""
    return not model.task and len(model.output.shape) >= 3


def _examples(tensor: Tensor, rng: np.random.Generator) -> np.ndarray:
    """Return stored numbers of an 8-bit input; of a 16-bit one the real ones."""
    shape = (EXAMPLES, *tensor.shape[1:])
    if tensor.dtype != "int16":
        return rng.integers(-128, 128, shape).astype(np.int8)
    return real(tensor, rng.integers(*LIMITS["int16"], shape))


def _learned(model: Model) -> tuple[str, str]:
    """Return whether a network can be planned and trained."""
    output, targets = _targets(model, EXAMPLES)
    rng = np.random.default_rng(1)
    x = {name: _examples(model.tensors[name], rng) for name in model.inputs}
    given = x if len(x) > 1 else next(iter(x.values()))
    task = "segmentation" if _mapped(model) else "auto"
    outcome = (NOTHING, NOTHING)
    for update in ("dense", "head"):
        if update == "head" and model.head is None:
            break
        session = mcusim.Session(
            model, large_board(), update, task=task, output=output, sgd=mcusim.Sgd(lr=0.05)
        )
        suffix = "" if update == "dense" else ", its head"

        def planned(session: Any = session, suffix: str = suffix) -> str:
            session.plan()
            return YES + suffix

        def trained(session: Any = session, suffix: str = suffix) -> str:
            run = session.train(from_arrays(given, targets), epochs=1)
            return YES + suffix if np.isfinite(run.rows[-1]["loss"]) else "no: its loss is not finite"

        found = (attempted(planned), attempted(trained))
        if found[1].startswith(YES):
            return found
        outcome = found if outcome[0] == NOTHING else outcome
    return outcome


def _exported(model: Model, xs: Arrays) -> str:
    again = parse_tflite(to_tflite(model), model.name)
    return YES if np.array_equal(compute(model, xs), compute(again, xs)) else "other bits"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows in Markdown."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def shares(rows: Sequence[Sequence[str]]) -> str:
    """Return how many of the rows get how far."""
    read = [row for row in rows if row[1] != NOTHING]
    loaded = [row for row in rows if row[1] in (YES, NOTHING)]
    compared = [cell for row in loaded for cell in row[2:4] if cell == "equal" or cell.endswith("differ")]
    equal = compared.count("equal")
    onnx = [row[4] for row in loaded if row[4] == "equal" or " differ" in row[4]]
    done = [sum(row[i].startswith(YES) for row in loaded) for i in (5, 6, 7)]
    count = len([row for row in read if row[1] == YES])
    return (
        f"{count} of {len(read)} load; {equal} of {len(compared)} comparisons are equal, and "
        f"{onnx.count('equal')} of {len(onnx)} with ONNX Runtime; of {len(loaded)} {done[0]} plan, "
        f"{done[1]} train and {done[2]} are exported.\n\n"
    )


def page() -> str:
    """Return the page."""
    from onnx_rows import page as nodes

    real = [file_row(path) for path in files()]
    single = [operator_row(kind, edge) for kind, edges in EDGES.items() for edge in edges]
    wide = [operator_row(kind, edge, 16) for kind, edge in wide_cases()]
    return (
        f"{INTRO}## Public files\n\n{shares(real)}{table(real)}\n"
        f"## Single operators\n\n{shares(single)}{table(single)}\n"
        f"## Single operators on 16-bit activations\n\n{shares(wide)}{table(wide)}{nodes()}"
    )


if __name__ == "__main__":
    print(page(), end="")
