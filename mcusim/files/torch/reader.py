"""Float networks from PyTorch, through ``torch.export``: planes-first graphs become NHWC."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcusim.core import BadModel, MissingPackage
from mcusim.core.boundary import reads
from mcusim.files.torch.archive import WAY_OUT, ExportedProgram, read_program
from mcusim.files.torch.graph import Shape, TorchGraph
from mcusim.files.torch.operators import RULES
from mcusim.graph import Model, Preprocessing
from mcusim.graph.build import leading_to, naming
from mcusim.graph.head import head_name
from mcusim.graph.validate import validate


def from_torch(
    module: Any,
    shape: Shape | tuple[Shape, ...] | None = None,
    *,
    name: str = "network",
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
) -> Model:
    """Return a PyTorch network as a float32 `Model`.

    Batch normalisation arrives as MUL and ADD by constants, which `fold` puts into the weights.

    Args:
        module: a ``torch.nn.Module``, or what ``torch.export.export`` made of one.
        shape: of the input, planes first with a batch of 1, such as (1, 3, 32, 32), or those of several; for
            a module.
        name: of the model.
        preprocessing: what the network expects; see `Preprocessing`.
        labels: names of the classes.

    Returns:
        The network, to be quantised, pruned or shown.

    Raises:
        MissingPackage: without PyTorch.
        BadModel: if the network cannot be exported, or has an operation that is not supported.
    """
    try:
        import torch
    except ImportError:
        raise MissingPackage("torch", "reading a PyTorch network", "torch") from None
    if isinstance(module, torch.nn.Module):
        if shape is None:
            raise BadModel(name, "has no input shape", "pass shape=(1, 3, height, width)")
        try:
            with warnings.catch_warnings():
                # Of recurrent layers, whose weights PyTorch itself keeps in a list: nothing to be done.
                warnings.filterwarnings("ignore", message=".*_flat_weights", category=UserWarning)
                module = torch.export.export(module.eval(), tuple(torch.zeros(one) for one in _shapes(shape)))
        except Exception as error:  # whatever the module's own code raises
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadModel(name, f"cannot be exported: {first}", "torch.export must accept it") from error
    module = _unrolled(torch, module)
    signature = module.graph_signature
    held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    held |= signature.inputs_to_lifted_tensor_constants
    values = {name: module.state_dict.get(key, module.constants.get(key)) for name, key in held.items()}
    arrays = {name: value.detach().cpu().numpy() for name, value in values.items()}
    program = ExportedProgram(tuple(module.graph.nodes), arrays)
    return _model(program, name, preprocessing or Preprocessing(), labels)


RECURRENT = ("lstm.input", "gru.input", "rnn_tanh.input", "rnn_relu.input")
"""Layers that PyTorch itself writes as what they do moment by moment."""


def _unrolled(torch: Any, program: Any) -> Any:
    """Return an exported program with its recurrent layers unrolled; the same one if it has none."""
    targets = {str(node.target).removeprefix("aten.") for node in program.graph.nodes}
    if not targets & {*RECURRENT}:
        return program
    wanted = [getattr(getattr(torch.ops.aten, n.split(".")[0]), n.split(".")[1]) for n in RECURRENT]
    table = torch.export.default_decompositions()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PyTorch about itself
        return program.run_decompositions({op: table[op] for op in wanted})


def _shapes(shape: Shape | tuple[Shape, ...]) -> list[Shape]:
    listed = [size if isinstance(size, tuple) else (size,) for size in shape]
    return listed if any(isinstance(size, tuple) for size in shape) else [tuple(one for (one,) in listed)]


def _model(program: ExportedProgram, name: str, preprocessing: Preprocessing, labels: Sequence[str]) -> Model:
    graph = TorchGraph(program, name, RULES)
    outputs = graph.walk()
    ops = leading_to(outputs, graph.build.ops)
    needed = {*graph.inputs, *outputs, *(name for op in ops for name in (*op.inputs, op.output))}
    model = validate(
        Model(
            name=name,
            ops=ops,
            tensors={name: tensor for name, tensor in graph.build.tensors.items() if name in needed},
            inputs=graph.inputs,
            outputs=outputs,
            preprocessing=preprocessing,
            labels=tuple(labels),
            source="PyTorch",
        )
    )
    return replace(model, head=head_name(model))


@reads(BadModel, WAY_OUT)
def load_exported(path: str | Path) -> Model:
    """Load a ``.pt2`` file that ``torch.export.save`` wrote; PyTorch is not needed, and nothing in it runs.

    Raises:
        BadModel: if the file is missing or damaged, holds a weight as a pickle, or has an operation that is
            not supported.
    """
    path = Path(path)
    with naming(path):
        return _model(read_program(path), path.stem, Preprocessing(), ())
