"""Public networks as a json graph beside an ``.npz`` of weights: ``int8-graph-v1`` and ``float-graph-v1``.

The int8 networks are those of tiny-training: a chain of convolutions with residual additions, all in
the ``float`` arithmetic profile, input ``pixel - 127.5``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from mcusim.core import BadModel
from mcusim.files.arrays import read_arrays
from mcusim.graph import Arithmetic, Attributes, Model, OpKind, Preprocessing, Quant, Tensor
from mcusim.graph.build import GraphBuilder, naming
from mcusim.graph.validate import validate

MAX_JSON_BYTES = 16 * 1024**2

Size = Annotated[int, Field(ge=1, le=2**20)]
Pad = Annotated[int, Field(ge=0, le=2**10)]


class _Layer(BaseModel):
    id: str
    op: Literal["conv2d", "linear", "add", "global_avg_pool"]
    inputs: list[str] = Field(min_length=1, max_length=2)
    activation: Literal["none", "relu", "relu6", "relu_folded"] = "none"
    out_channels: Size
    out_hw: tuple[Size, Size] = (1, 1)
    stride: tuple[Size, Size] = (1, 1)
    padding: tuple[Pad, Pad] = (0, 0)
    dilation: tuple[Size, Size] = (1, 1)
    depthwise: bool = False
    groups: Size = 1
    weight: str = ""
    bias: str = ""
    weight_scales: str = ""
    input_scale: float | None = None
    input_zero_point: int | None = None
    output_scale: float | None = None
    output_zero_point: int = 0


class _Input(BaseModel):
    id: str
    shape: tuple[Size, Size, Size, Size]
    scale: float | None = None
    zero_point: int = 0
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


class _Graph(BaseModel):
    format: Literal["int8-graph-v1", "float-graph-v1"]
    name: str
    weights_file: str = ""
    source: dict[str, Any] = {}
    input: _Input
    head: dict[str, Any] = {}
    layers: list[_Layer] = Field(min_length=1, max_length=10_000)


def load_graph_json(path: str | Path) -> Model:
    """Load a network from its json file or from the ``.npz`` file beside it.

    Op and tensor names are the layer ids; weights become OHWI, the input NHWC.

    Raises:
        BadModel: if a file is missing, damaged or describes no valid network.
    """
    path = Path(path).with_suffix(".json")
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise BadModel(str(path), f"is larger than {MAX_JSON_BYTES:,} B", "it is no graph")
        described = json.loads(path.read_bytes())
    except OSError as error:
        raise BadModel(str(path), f"cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadModel):
            raise
        raise BadModel(str(path), f"is no JSON: {error}", "get the file again") from error
    arrays = read_arrays(path.with_suffix(".npz"))
    with naming(path):
        return graph_from_description(described, arrays, str(path))


def graph_from_description(described: object, arrays: dict[str, NDArray[Any]], where: str) -> Model:
    """Return the network that a parsed json graph and its arrays describe.

    Raises:
        BadModel: if they describe no valid network; ``where`` names their source in the message.
    """
    try:
        graph = _Graph.model_validate(described)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadModel(where, f"{place}: {first['msg']}", "formats: int8-graph-v1, float-graph-v1") from None
    build = GraphBuilder()
    n, channels, height, width = graph.input.shape
    quantised = graph.format == "int8-graph-v1"
    quant = _quant(graph.input.scale, graph.input.zero_point) if quantised else None
    dtype = "int8" if quantised else "float32"
    build.activation(graph.input.id, (n, height, width, channels), quant, dtype)
    for layer in graph.layers:
        _add_layer(build, layer, arrays, dtype)
    last = graph.layers[-1].id
    head = str(graph.head.get("layer", "")) or None
    model = Model(
        name=graph.name,
        ops=tuple(build.ops),
        tensors=build.tensors,
        inputs=(graph.input.id,),
        outputs=(last,),
        arithmetic=Arithmetic.FLOAT,
        head=head,
        preprocessing=Preprocessing(graph.input.mean, graph.input.std),
        source="; ".join(f"{key}: {value}" for key, value in graph.source.items()),
    )
    return validate(model)


def _quant(scale: float | None, zero_point: int) -> Quant | None:
    # float64 as in the file: the published simulator multiplies its scales in float64.
    return None if scale is None else Quant(np.array([scale], np.float64), zero_point)


def _add_layer(build: GraphBuilder, layer: _Layer, arrays: dict[str, NDArray[Any]], dtype: str) -> None:
    quant = _quant(layer.output_scale, layer.output_zero_point) if dtype == "int8" else None
    x = build[layer.inputs[0]]
    shape: tuple[int, ...] = (x.shape[0], *layer.out_hw, layer.out_channels)
    if layer.op == "linear":
        shape = (x.shape[0], layer.out_channels)
    clamp: tuple[float, float] | None = (-128, 127)
    if dtype == "float32":
        clamp = {"relu": (0.0, float("inf")), "relu6": (0.0, 6.0)}.get(layer.activation)
    if layer.op == "add":
        output = build.activation(layer.id, shape, quant, dtype)
        build.op(layer.id, OpKind.ADD, tuple(layer.inputs), output, Attributes(clamp=clamp))
        return
    if layer.op == "global_avg_pool":
        output = build.activation(layer.id, shape, quant, dtype)
        attributes = Attributes(axes=(1, 2), clamp=clamp)
        build.op(layer.id, OpKind.MEAN, (layer.inputs[0],), output, attributes)
        return
    _check_input_quant(layer, x)
    inputs = (layer.inputs[0], *_parameters(build, layer, arrays, x, dtype))
    output = build.activation(layer.id, shape, quant, dtype)
    vertical, horizontal = layer.padding
    attributes = Attributes(
        stride=layer.stride,
        padding=((vertical, vertical), (horizontal, horizontal)),
        dilation=layer.dilation,
        clamp=clamp,
    )
    kind = OpKind.DEPTHWISE_CONV_2D if layer.depthwise else OpKind.CONV_2D
    build.op(layer.id, OpKind.FULLY_CONNECTED if layer.op == "linear" else kind, inputs, output, attributes)


def _check_input_quant(layer: _Layer, x: Tensor) -> None:
    if layer.input_scale is None or x.quant is None:
        return
    if (layer.input_scale, layer.input_zero_point) != (float(x.quant.scale[0]), x.quant.zero_point):
        raise BadModel(
            f"layer {layer.id!r}",
            f"reads {x.name!r} with scale {layer.input_scale} and zero point {layer.input_zero_point}, "
            f"but that was written with {float(x.quant.scale[0])} and {x.quant.zero_point}",
        )


def _parameters(
    build: GraphBuilder, layer: _Layer, arrays: dict[str, NDArray[Any]], x: Tensor, dtype: str
) -> tuple[str, str]:
    def array(name: str, ndim: int, *want: str) -> NDArray[Any]:
        found = arrays.get(name)
        if found is None or str(found.dtype) not in want or found.ndim != ndim:
            what = "is missing" if found is None else f"is {found.dtype} {found.shape}"
            expected = f"{' or '.join(want)} of {ndim} dimensions"
            raise BadModel(f"layer {layer.id!r}", f"array {name!r} {what}, expected {expected}")
        return found

    weight = array(layer.weight, 2 if layer.op == "linear" else 4, dtype)
    bias = array(layer.bias, 1, "int32" if dtype == "int8" else "float32")
    if layer.op == "conv2d":
        # OIHW to OHWI; a depthwise (C, 1, kh, kw) to (1, kh, kw, C).
        weight = weight.transpose(1, 2, 3, 0) if layer.depthwise else weight.transpose(0, 2, 3, 1)
    if layer.groups != (x.shape[-1] if layer.depthwise else 1):
        raise BadModel(f"layer {layer.id!r}", f"has {layer.groups} groups", "only depthwise or 1 group")
    w_quant = b_quant = None
    if dtype == "int8":
        axis = 3 if layer.depthwise else 0
        scales = array(layer.weight_scales, 1, "float32", "float64")
        w_quant = Quant(scales, 0, axis)
        if x.quant is not None:
            b_quant = Quant(x.quant.scale * scales, 0, 0)
    return build.constant(layer.weight, weight, w_quant), build.constant(layer.bias, bias, b_quant)
