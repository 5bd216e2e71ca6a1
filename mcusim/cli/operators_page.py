"""The page of all operators: ``python -m mcusim.cli.operators_page > docs/operators.md`` makes it."""

from __future__ import annotations

from mcusim.deployment.forward import FORWARD
from mcusim.files.names import NAMES
from mcusim.files.onnx.operators import RULES, SEVERAL
from mcusim.files.onnx.qlinear import KINDS
from mcusim.files.tflite.schema import SPELLED
from mcusim.graph import TRAITS, OpKind
from mcusim.graph.curves import CurveName
from mcusim.kernels.executable import TYPES
from mcusim.kernels.reference import GRADIENTS

INTRO = """# Operators

Made by `python -m mcusim.cli.operators_page > docs/operators.md`, from the tables that readers, plans and
the engine ask themselves. An operator is executed on the types that are listed; a network with others is
refused by name when it is loaded or planned. *Weights* says whether it has some; an update scheme may then
choose what of them learns.

| operator | TFLite | ONNX | PyTorch | types | gradient | weights | firmware in C |
|---|---|---|---|---|---|---|---|
"""
SPELLINGS = """
## Read as others

These operators become those above when a file is read. Of TFLite: {spelled}.
Of ONNX: {onnx}.

`CALL_ONCE`, `VAR_HANDLE`, `READ_VARIABLE` and `ASSIGN_VARIABLE` become the states of a streaming network,
compared with LiteRT and TFLite Micro at every invocation (`tests/files/test_files_tflite_stream.py`).
It learns behind its states and is saved as `.npz` or into its own `.tflite`; firmware has them in the arena.

A network with 16-bit activations and 8-bit weights (TFLite's 16x8 mode) is computed as TFLite Micro does,
with sums of 64 bits and zero points of 0. Its weights learn, its int64 biases stay. Firmware
is the same, bit for bit.

`UNIDIRECTIONAL_SEQUENCE_LSTM` of 8-bit activations becomes the ops of its gates, moment by moment, with the
integers of TFLite Micro (`tests/files/test_files_tflite_recurrent.py`). A sequence begins with zeros; a layer
that is given one moment at an invocation keeps its state instead. Its weights, which all moments read, stay
as they are; gradients pass. It is saved as `.npz` or into its own `.tflite`.
Of floats, or with 8-bit weights only (hybrid), `mcusim quantize` takes it.

`nn.LSTM`, `nn.GRU` and `nn.RNN` of PyTorch become what PyTorch says they do at each moment, with each weight
once, and so do `LSTM`, `GRU` and `RNN` of float ONNX files; `mcusim quantize` takes them. What a module makes
of constants (positions, zeros) is computed when read.

ONNX files with operators on integers ({integers}), as
ONNX Runtime's quantiser writes them, are read as the nodes between quantisers that they are.

`CURVE` is any of {curves}:
256 values looked up, from PyTorch and ONNX, saved as `.npz` and, where there is such an operator, `.onnx`.

What follows from constants and shapes alone is computed then and costs nothing. `SPACE_TO_BATCH_ND` and
`BATCH_TO_SPACE_ND` around one convolution are read as the dilated convolution they are.

## Whose bits

The arithmetic of a network is a value of it: `mcusim show` and `mcusim.load` say which, and whose integers
those are; `--arithmetic` chooses another.

- `tflite`, of TFLite files: an int32 multiplier and a shift, rounded twice. The integers of TFLite Micro
  (compared: PyPI 0.dev20261023), of CMSIS-NN, and of LiteRT's reference kernels before TensorFlow 2.20.
- `litert`: the same, but `FULLY_CONNECTED` rounds acc · (s_x·s_W/s_y) once, in float64, half away from
  zero. The integers of LiteRT's reference kernels from TensorFlow 2.20 on (compared: ai-edge-litert 2.3.0).
- `float`, of ONNX files and of tiny-training: float32(acc) · float32(s), rounded half to even. What ONNX's
  QuantizeLinear means; the integers of tiny-training's simulator.
- `tinyengine`: (float)acc · s, cut off towards zero. The integers of TinyEngine's firmware, for the
  operators that it has.

Both of the first two are compared one operator at a time (`tests/files/test_files_export.py`), TFLite Micro
also for every tensor of the public files (`tests/files/test_files_oracle.py`). They differ in single units of
fully connected layers: 68 of 38,400 outputs of random ones. No firmware is written for `litert`, since no
microcontroller computes so. What is saved as `.onnx` gives in ONNX Runtime what `float` does, but for
single units where it joins nodes (`tests/files/test_files_onnx_export.py`).

What else LiteRT and TFLite Micro do not do alike:

- `RELU6`: TFLite Micro does not rescale where input and output have different scales; LiteRT and this
  project do.
- `SUM`: LiteRT's reference kernel does not look at the scales of int8 tensors; TFLite Micro and this
  project do.
- `DIV`: a shift by more than 31 bits and a division by zero are undefined in C; here the quotient is 0,
  or the end of the range that the dividend points to.
- `ELU` is compared with TFLite Micro only; `GELU`, `EXP`, `LOG`, `SQRT`, `TILE`, `RELU_N1_TO_1` and
  `RELU_0_TO_1` with LiteRT only, since the other has no int8 form of them.
"""


def page() -> str:
    """Return the page: a row for each kind of op."""
    rows = "".join(map(_row, OpKind))
    own = {name for kind in OpKind for name in NAMES[kind].onnx}
    onnx = sorted({*RULES, *SEVERAL} - own)
    lists = (", ".join(f"`{name}`" for name in names) for names in (sorted(SPELLED.values()), onnx))
    spelled, others = lists
    integers = ", ".join(f"`{kind}`" for kind in KINDS)
    curves = ", ".join(f"`{curve}`" for curve in CurveName)
    return INTRO + rows + SPELLINGS.format(spelled=spelled, onnx=others, curves=curves, integers=integers)


def _row(kind: OpKind) -> str:
    names = NAMES[kind]
    types = ", ".join(f"{x} → {y}" if x != y else x for x, y in TYPES[kind])
    learn = "learn" if TRAITS[kind].weighted else ""
    gradient, firmware = (("yes" if kind in table else "no") for table in (GRADIENTS, FORWARD))
    others = (", ".join(f"`{name}`" for name in group) for group in (names.onnx, names.torch))
    code = "" if names.tflite is None else str(names.tflite.code)
    cells = (f"`{kind.name}`", code, *others, types, gradient, learn, firmware)
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    print(page(), end="")
