"""TFLite files as networks: int8, uint8 and float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np

from mcusim.core import BadModel
from mcusim.files.preprocessing import pixels_fill_the_input
from mcusim.files.tflite.accumulators import CAST, Accumulators
from mcusim.files.tflite.dilated import FROM_PHASES, TO_PHASES, Dilation
from mcusim.files.tflite.flatbuffer import Buffer, FlatTable
from mcusim.files.tflite.folding import dequantised, fold
from mcusim.files.tflite.operators import Operator, attributes_of
from mcusim.files.tflite.recurrent import LSTM, Lstm
from mcusim.files.tflite.schema import (
    IDENTIFIER,
    NEWEST,
    OPERATORS,
    VERSION,
    WAYS_OUT,
    operator_name,
    supported_operators,
)
from mcusim.files.tflite.spelled import SpelledOp, Spelling, spelled
from mcusim.files.tflite.tensors import MAX_TENSORS, read_tensors, variables_of
from mcusim.files.tflite.variables import Variables
from mcusim.graph import (
    CONVOLUTIONS,
    TRAITS,
    Arithmetic,
    Model,
    Op,
    OpKind,
    Preprocessing,
    Quant,
    StreamState,
    Tensor,
)
from mcusim.graph.build import leading_to
from mcusim.graph.head import head_name
from mcusim.graph.shapes import infer
from mcusim.graph.states import kept, needed
from mcusim.graph.validate import check_tensor, validate
from mcusim.kernels.reference import forward

MAX_FILE_BYTES = 256 * 1024**2
MAX_OPERATORS = 20_000
MAX_OPERANDS = 1_000
RAW_PIXELS = Preprocessing((0.0,), (1 / 255,))
"""What a float32 network is given whose file does not say more: the pixels as they are."""


def load_tflite(path: str | Path) -> Model:
    """Load a ``.tflite`` file.

    Tensors keep their names; an op is called like its output. SAME padding becomes explicit, fused
    activations become clamps, uint8 becomes int8; QUANTIZE and DEQUANTIZE at the ends stay.

    Raises:
        BadModel: if the file is missing, damaged, or uses anything that is not supported: names the op
            with its index and tensors, or the tensor.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadModel(
                str(path), f"is larger than {MAX_FILE_BYTES:,} B", "it is no microcontroller's model"
            )
        data = path.read_bytes()
    except OSError as error:
        raise BadModel(str(path), f"cannot be read: {error.strerror or error}") from error
    return parse_tflite(data, path.name)


def parse_tflite(data: bytes, name: str) -> Model:
    """Return the network in the bytes of a ``.tflite`` file; ``name`` is used in messages."""
    buffer = Buffer(data, name)
    root = buffer.root(IDENTIFIER)
    version = root.integer(0, 4, signed=False)
    if version != VERSION:
        raise BadModel(name, f"is written in version {version} of the schema", f"supported: {VERSION}")
    codes = [_operator_code(table) for table in root.tables(1, 1_000)]
    subgraphs = root.tables(2, 1_000)
    if not subgraphs:
        raise BadModel(name, "has 0 subgraphs", "the file is damaged")
    buffers = root.tables(4, 2 * MAX_TENSORS)
    variables = Variables(name, buffer, subgraphs, buffers, lambda table: _number(table, codes))
    tensors, unsigned = read_tensors(buffer, subgraphs[0], buffers)
    reader = _Reader(name, tensors, unsigned, variables, variables_of(subgraphs[0]))
    for index, table in enumerate(subgraphs[0].tables(3, MAX_OPERATORS)):
        reader.read(index, table, codes)
    return reader.model(subgraphs[0], root.text(3))


class _Code(NamedTuple):
    """Which operator an op is, in which version; its name if it is none of TFLite's own."""

    number: int
    custom: str
    version: int


def _operator_code(table: FlatTable) -> _Code:
    # Old files keep the code in a byte; in newer ones that byte saturates and an integer has it.
    return _Code(max(table.integer(0, 1), table.integer(3, 4)), table.text(1, 100), table.integer(2, 4, 1))


def _number(table: FlatTable, codes: list[_Code]) -> int:
    """Return which builtin operator an op is; -1 if its code is none of the file's."""
    at = table.integer(0, 4, signed=False)
    return codes[at].number if at < len(codes) else -1


class _Reader:
    """Collects ops, and the tensors they need."""

    def __init__(
        self, name: str, tensors: list[Tensor], unsigned: set[str], variables: Variables, kept: set[int]
    ) -> None:
        self.name, self.unsigned, self.variables, self.kept = name, unsigned, variables, kept
        self.numbered = [tensor.name for tensor in tensors]
        self.tensors = {tensor.name: tensor for tensor in tensors}
        self.ops: list[Op] = []
        self.states: list[StreamState] = []
        self.dilation = Dilation(self.tensors, self.ops)
        self.accumulators = Accumulators(self.tensors, self.ops, unsigned)

    def operands(self, table: FlatTable, field: int, thing: str) -> list[str]:
        """Return the tensor names in a vector of indices; trailing -1 are inputs that were left out."""
        indices = [int(i) for i in table.array(field, "<i4")[: MAX_OPERANDS + 1]]
        while indices and indices[-1] == -1:
            indices.pop()
        bad = [i for i in indices if not 0 <= i < len(self.numbered)]
        if bad or len(indices) > MAX_OPERANDS:
            reason = f"names tensor {bad[0]} of {len(self.numbered)}" if bad else "has too many tensors"
            raise BadModel(f"{self.name}: {thing}", reason, "the file is damaged")
        if kept := [i for i in indices if i in self.kept]:
            reason = f"uses {self.numbered[kept[0]]!r}, a variable, and only an LSTM keeps such"
            raise BadModel(f"{self.name}: {thing}", reason, "export the network without state")
        return [self.numbered[i] for i in indices]

    def read(self, index: int, table: FlatTable, codes: list[_Code]) -> None:
        """Read one operator."""
        at = table.integer(0, 4, signed=False)
        if at >= len(codes):
            raise BadModel(f"{self.name}: op {index}", f"names operator code {at} of {len(codes)}")
        code, custom, version = codes[at]
        thing = f"op {index} ({custom or operator_name(code)})"
        if code == LSTM:
            self.recur(thing, table)
            return
        inputs, outputs = self.operands(table, 1, thing), self.operands(table, 2, thing)
        listed = f"inputs {', '.join(map(repr, inputs))}; outputs {', '.join(map(repr, outputs))}"
        if version > NEWEST.get(code, version):
            reason = f"is of version {version}, and what it means is known up to {NEWEST[code]}; {listed}"
            raise BadModel(f"{self.name}: {thing}", reason, "convert the network with an older converter")
        if self.fold(thing, code, inputs, outputs, table, listed):
            return
        try:
            if self.variables.takes(code):
                self.variables.read(code, table, self.numbered, self.tensors)
                return
            if self.accumulators.takes(operator_name(code), inputs):
                self.accumulators.add(operator_name(code), inputs, outputs)
                return
            if self.dilation.takes(operator_name(code), inputs):
                self.dilate(code, inputs, outputs, table)
                return
            steps = spelled(operator_name(code), self.spelling(inputs, outputs, table))
        except BadModel as error:
            raise BadModel(f"{self.name}: {thing}", f"{error.reason}; {listed}", error.way_out) from None
        if steps is not None:
            for step in steps:
                self.take(step)
            return
        if code not in OPERATORS:
            way_out = WAYS_OUT.get(code) or supported_operators()
            raise BadModel(f"{self.name}: {thing}", f"is not supported; {listed}", way_out)
        if not inputs or len(outputs) != 1:
            raise BadModel(f"{self.name}: {thing}", f"has no inputs, or not one output; {listed}")
        (output,) = outputs
        tensors = [self.tensors[name] for name in inputs]
        kind = OPERATORS[code]
        if kind is OpKind.TRANSPOSE_CONV and len(inputs) > 2:  # of shape, weight and image
            inputs = [inputs[2], inputs[1], *inputs[3:]]
            tensors = [self.tensors[name] for name in inputs]
        if kind is OpKind.CONV_2D and _in_groups(tensors):
            kind = OpKind.GROUPED_CONV_2D
        operator = Operator(kind, tensors, self.tensors[output], table.table(4))
        try:
            _check_types(operator, self.unsigned)
            used, attributes = attributes_of(operator)
            names = inputs[:used]
            if output in self.unsigned and TRAITS[operator.kind].unsigned:
                attributes = replace(attributes, unsigned=True)
            if TRAITS[operator.kind].weighted:
                _check_parameters(operator)
                names[1] = self.real_weight(operator) or self.float32_product(operator, index)
        except BadModel as error:
            raise BadModel(f"{self.name}: {thing}", f"{error.reason}; {listed}", error.way_out) from None
        self.ops.append(Op(output, operator.kind, tuple(names), output, attributes))

    def recur(self, thing: str, table: FlatTable) -> None:
        """Read a recurrent layer; unlike others it may leave out inputs between those that it has."""
        indices = [int(i) for i in table.array(1, "<i4")[: MAX_OPERANDS + 1]]
        outputs = self.operands(table, 2, thing)
        if any(not -1 <= i < len(self.numbered) for i in indices) or len(outputs) != 1:
            raise BadModel(f"{self.name}: {thing}", "names tensors that there are not", "the file is damaged")
        given = [None if i < 0 else self.tensors[self.numbered[i]] for i in indices]
        try:
            layer = Lstm(given, self.tensors[outputs[0]], table.table(4))
        except BadModel as error:
            raise BadModel(f"{self.name}: {thing}", error.reason, error.way_out) from None
        layer.unroll()
        self.tensors |= {tensor.name: tensor for tensor in layer.constants}
        self.states += layer.states
        for step in layer.steps:
            self.take(step)

    def spelling(self, inputs: list[str], outputs: list[str], table: FlatTable) -> Spelling:
        """Return an operator as the file has it."""
        given, made = ([self.tensors[name] for name in names] for names in (inputs, outputs))
        return Spelling(given, made, table.table(4))

    def dilate(self, code: int, inputs: list[str], outputs: list[str], table: FlatTable) -> None:
        """Read an operator between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, or one of them."""
        name, spelling = operator_name(code), self.spelling(inputs, outputs, table)
        if name == TO_PHASES:
            self.dilation.deal(spelling)
        elif name == FROM_PHASES:
            self.dilation.gather(spelling)
        elif name in ("EXPAND_DIMS", "SQUEEZE", "RESHAPE"):
            self.dilation.view(spelling)
        elif code in OPERATORS and len(outputs) == 1:
            operator = Operator(OPERATORS[code], spelling.inputs, spelling.outputs[0], spelling.options)
            used, attributes = attributes_of(operator)
            if TRAITS[operator.kind].weighted:
                _check_parameters(operator)
            self.dilation.convolve(operator.kind, inputs[:used], spelling.outputs[0], attributes)
        else:
            raise BadModel("", f"works on phases of {TO_PHASES}", "supported there: one convolution")

    def take(self, step: SpelledOp) -> None:
        """Add an op that an operator amounts to; one of constants alone is computed at once."""
        inputs = tuple(self.tensors[tensor.name] for tensor in step.inputs)
        name = step.output.name
        op = Op(name, step.kind, tuple(tensor.name for tensor in inputs), name, step.attributes)
        self.tensors[name] = step.output
        arrays = [np.asarray(tensor.data) for tensor in inputs if tensor.data is not None]
        if len(arrays) < len(inputs):
            self.ops.append(op)
            return
        check_tensor(step.output)
        if infer(op, self.tensors) != step.output.shape:
            raise BadModel(f"{self.name}: op {name!r} ({step.kind})", "its constants do not fit each other")
        data = np.empty(step.output.shape, step.output.dtype)
        forward(op, self.tensors, Arithmetic.TFLITE)(tuple(arrays), data)
        data.flags.writeable = False
        self.tensors[name] = replace(step.output, data=data)

    def fold(
        self, thing: str, code: int, inputs: list[str], outputs: list[str], table: FlatTable, listed: str
    ) -> bool:
        """Make an operator's output a constant, if it is one; return True if that was done."""
        if len(outputs) != 1:
            return False
        tensors = [self.tensors[name] for name in inputs]
        try:
            constant = fold(operator_name(code), tensors, self.tensors[outputs[0]], table.table(4))
            if constant is not None:
                check_tensor(constant)
        except BadModel as error:
            raise BadModel(f"{self.name}: {thing}", f"{error.reason}; {listed}", error.way_out) from None
        if constant is None:
            return False
        self.tensors[outputs[0]] = constant
        return True

    def real_weight(self, operator: Operator) -> str:
        """Return the name of an int8 weight in float32, for an operator of real activations; else nothing.

        Such hybrid files keep weights in a quarter of the space. They are float networks, which a runtime
        computes in one way or another: with quantised rows of activations, or with these real weights.
        """
        x, w = operator.inputs[:2]
        if x.dtype != "float32" or w.dtype != "int8" or w.quant is None:
            return ""
        data = dequantised(w)
        data.flags.writeable = False
        name = f"{w.name}.real"
        self.tensors[name] = Tensor(name, w.shape, "float32", None, data)
        return name

    def float32_product(self, operator: Operator, index: int) -> str:
        """Return the name of a uint8 convolution's weight, its scale adapted.

        TFLite multiplies input and weight scale in float32 for uint8 and in float64 for int8
        (``GetQuantizedConvolutionMultipler`` and ``PopulateConvolutionQuantizationParams``). A float64
        weight scale whose product is the float32 one makes both the same computation.
        """
        x, w = operator.inputs[:2]
        if w.name not in self.unsigned or operator.kind not in CONVOLUTIONS or not (x.quant and w.quant):
            return w.name
        s_x, s_w = np.float32(x.quant.scale[0]), np.float32(w.quant.scale[0])
        scale = np.array([float(s_x * s_w) / float(s_x)])
        name = w.name
        if w.quant.scale.dtype == np.float64 and w.quant.scale[0] != scale[0]:
            name = f"{w.name}#{index}"  # shared by convolutions with inputs of different scales
        self.tensors[name] = replace(w, name=name, quant=Quant(scale, w.quant.zero_point))
        return name

    def model(self, subgraph: FlatTable, description: str) -> Model:
        """Return the network of all that was read."""
        inputs = self.operands(subgraph, 1, "the graph's inputs")
        outputs = self.operands(subgraph, 2, "the graph's outputs")
        for name in filter(self.accumulators.holds, outputs):
            raise BadModel(f"{self.name}: its output {name!r}", f"is a {CAST} of integers", "use DEQUANTIZE")
        for name in filter(self.dilation.holds, outputs):
            raise BadModel(
                f"{self.name}: its output {name!r}",
                f"holds phases of {TO_PHASES}",
                f"put a {FROM_PHASES} behind",
            )
        states = (*self.variables.states(self.tensors), *self.states)
        ops = leading_to(outputs, self.ops, states)
        states = kept(states, needed(outputs, self.ops, states))
        held = (name for state in states for name in (state.name, state.after, state.initial))
        used = {*inputs, *outputs, *held, *(name for op in ops for name in (*op.inputs, op.output))}
        model = Model(
            name=PurePath(self.name).stem,
            ops=ops,
            tensors={name: tensor for name, tensor in self.tensors.items() if name in used},
            inputs=tuple(inputs),
            outputs=tuple(dict.fromkeys(outputs)),
            arithmetic=Arithmetic.TFLITE,
            source=description,
            states=states,
        )
        validate(model)
        return replace(model, head=head_name(model), preprocessing=pixels_fill_the_input(model, RAW_PIXELS))


def _in_groups(tensors: list[Tensor]) -> bool:
    """True if a convolution's weight has fewer channels than its input."""
    shapes = [tensor.shape for tensor in tensors[:2]]
    return len(shapes) == 2 and all(len(s) == 4 for s in shapes) and shapes[0][3] > shapes[1][3] > 0


def _check_types(operator: Operator, unsigned: set[str]) -> None:
    tensors = (*operator.inputs, operator.output)
    signs = {tensor.name in unsigned for tensor in tensors if tensor.dtype == "int8"}
    if len(signs) > 1 and operator.kind is not OpKind.QUANTIZE:
        raise BadModel("", "mixes int8 with uint8", "convert the network with one of them, or with QUANTIZE")
    if operator.kind is OpKind.L2_NORMALIZATION and True in signs:
        raise BadModel("", "works on uint8, which rounds otherwise", "convert the network to int8")


def _check_parameters(operator: Operator) -> None:
    for tensor in operator.inputs[1:]:
        if not tensor.constant:
            raise BadModel("", f"{tensor.name!r} is no constant", "weights and biases must be constants")
    if len(operator.inputs) < 2 or operator.output.dtype == "int32":
        raise BadModel("", f"has {len(operator.inputs)} inputs and gives {operator.output.dtype}")
