"""What rounding to nearest loses: steps of learning parameters that are too small for their format.

    MCUSIM_DATA=… python benchmarks/rounding.py [--steps 20000] [--images 200] [--json]

Gradients of single CIFAR-10 images through MobileNetV2-w0.35, as the headline run sees them: ``dynamic`` in
the last 7 blocks, biases of 12, after some steps of training. A step below half a unit of the format is
rounded away; the table says which share of the sum of all steps that is, at each learning rate. With
``int8+res8`` and ``int32+res8`` the units are 256 times finer.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

import mcusim
from mcusim import Formats, Sgd, scheme
from mcusim.core import Kind, Slot, SlotPart
from mcusim.data import Preprocessor, cifar10
from mcusim.engine.buffers import SeparateBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.kernels.qas import qas_bias, qas_weight
from mcusim.lowering.lower import lower

UPDATE = "dynamic:stage=10000,blocks=7,bias_blocks=12"
RATES = (1e-3, 1e-4, 1e-5)
UNITS = {"int8": ("weight", 1.0), "int8+res8": ("weight", 1 / 256),
         "int32": ("bias", 1.0), "int32+res8": ("bias", 1 / 256)}  # fmt: skip


def trained(count: int) -> mcusim.Model:
    """Return the network after so many steps."""
    session = mcusim.Session(
        mcusim.load("mbv2-w0.35", classes=10, seed=0), mcusim.board("stm32f746"), UPDATE, sram="256KiB",
        sgd=mcusim.Sgd(lr=0.001), formats=mcusim.Formats(weight="int8+res8", bias="int32+res8"),
        residency="flash",
    )  # fmt: skip
    return session.train(cifar10(), 1, limit=count, warmup=0.5, schedule="constant", trace="off").model


def steps(model: mcusim.Model, images: int) -> dict[str, np.ndarray]:
    """Return the magnitude of every step of weights and of biases, in integer units, at a rate of 1."""
    chosen = scheme(UPDATE)
    scope = chosen.scope(model)
    # Two iterations to an update: after the first, the state holds its gradient.
    step = lower(model, scope, Formats(), accumulate=2)
    state = State.of(model, scope, step.formats)
    program = Program(step, SeparateBuffers(step), state, Sgd(accumulate=2))
    sample = cifar10().train.sample(images, 0)
    prepare = Preprocessor(model, sample.image_shape, sample.images.dtype.name)
    found: dict[str, list[np.ndarray]] = {"weight": [], "bias": []}
    for i, (x, label) in enumerate(zip(prepare(sample.images), sample.labels, strict=True)):
        selection = chosen.select(model, i, 0)
        for key, array in state.arrays.items():
            if key.kind is Kind.GRADIENT:
                array.fill(0)
        state.iteration = 0
        program.load(selection)
        program.run(x[None], int(label))
        program.store()
        for op in model.ops:
            if op.name in scope.eligible:
                gradient = state.arrays[Slot(op.name, Kind.GRADIENT, SlotPart.WEIGHT)]
                columns = gradient[..., selection.channels[op.name]]
                factor = qas_weight(op, model.tensors).reshape(-1, *[1] * (columns.ndim - 1))
                found["weight"].append(np.abs(columns * factor).ravel())
            if op.name in scope.biases:
                gradient = state.arrays[Slot(op.name, Kind.GRADIENT, SlotPart.BIAS)]
                found["bias"].append(np.abs(gradient * qas_bias(op, model.tensors)).ravel())
    return {kind: np.concatenate(parts) for kind, parts in found.items()}


def main() -> None:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20_000, help="steps of training before")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sizes = steps(trained(arguments.steps), arguments.images)
    lost = {
        name: {rate: float(s[s * rate < unit / 2].sum() / s.sum()) for rate in RATES}
        for name, (kind, unit) in UNITS.items() for s in (sizes[kind],)
    }  # fmt: skip
    if arguments.json:
        print(json.dumps(lost, indent=1))
        return
    print("lost, % of the sum of all steps, at a learning rate of")
    print(f"{'':12}" + "".join(f"{rate:>10g}" for rate in RATES))
    for name, shares in lost.items():
        print(f"{name:12}" + "".join(f"{100 * share:10.1f}" for share in shares.values()))


if __name__ == "__main__":
    main()
