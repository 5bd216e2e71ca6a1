"""Espressif's ESP-NN on an ESP32-S3: kernels that its makers timed one by one, and one whole network."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from lines import Line, entry, held, summed
from sets import DATA, model_works

from mcusim.core import Work
from mcusim.graph import Attributes, OpKind
from mcusim.graph.build import GraphBuilder
from mcusim.lowering.work import forward_work
from mcusim.mcu.core import core
from mcusim.mcu.cycles.band import Band
from mcusim.mcu.cycles.form import Constant, weigh
from mcusim.mcu.cycles.hierarchy import Constants
from mcusim.mcu.cycles.profile import Chip, Fitted, Profile
from mcusim.mcu.cycles.profile_writer import write_profile
from mcusim.mcu.cycles.score import score, widening
from mcusim.mcu.cycles.shrunk import left_out, shrink

PUBLISHED = Path(__file__).parent / "published.csv"
CORE, CHIP, VERSION = "xtensa-lx7", "ESP32-S3", "d45b843"
BOARDS = ("esp32s3", "esp32s3-psram")
NAME = f"{CORE}-esp-nn-{VERSION}-optimized"
MULTIPLIED = "multiplied"
"""Depthwise with several outputs a channel: another kernel of ESP-NN than the first convolution of a picture,
though both have few channels in a window. Fitted apart, for the network begins with one."""
MATRIX = ("pointwise", "stem", "fully_connected", MULTIPLIED)
SPREAD = 1.0
"""A factor of e either way is as likely: nothing else was measured on this core."""
FORM: tuple[Constant, ...] = (
    Constant("pointwise", {"pointwise": ("macs",)}, 0.5, SPREAD),
    Constant("depthwise", {"depthwise": ("macs",)}, 2.0, SPREAD),
    Constant("stem", {"stem": ("macs",)}, 2.5, SPREAD),
    Constant("fully_connected", {"fully_connected": ("macs",)}, 0.5, SPREAD),
    Constant(MULTIPLIED, {MULTIPLIED: ("macs",)}, 2.5, SPREAD),
    Constant("requants", dict.fromkeys(MATRIX, ("requants",)), 20.0, SPREAD),
    Constant("depthwise_requants", {"depthwise": ("requants",)}, 20.0, SPREAD),
    Constant("calls", dict.fromkeys((*MATRIX, "depthwise"), ("ops",)), 1000.0, SPREAD),
)
"""Supposed of vector instructions that multiply sixteen bytes at once: half a cycle a multiply-accumulate
with its loads, more where the channels of a window do not fill them; a product, a shift with rounding and a
clamp an output; a call with its set-up."""
GROWS_WITH = {"add": "outputs", "elementwise": "outputs", "pool": "int_ops", "softmax": "outputs"}
"""Kinds without weights, of which there are one or two rows each, and what they are taken to grow with."""

Row = tuple[str, tuple[Work, ...], float]


def _conv(size: int, channels: int, filters: int, window: int) -> Work:
    shape = (filters, window, window, channels)
    return _window(OpKind.CONV_2D, (size, channels), shape, (size - window + 1, filters))


def _depthwise(size: int, channels: int, window: int, multiplier: int = 1, pad: int = 0) -> Work:
    out, outputs = (size if pad else size - window + 1), channels * multiplier
    shape = (1, window, window, outputs)
    work = _window(OpKind.DEPTHWISE_CONV_2D, (size, channels), shape, (out, outputs), pad)
    return work if multiplier == 1 else replace(work, kind=MULTIPLIED)


def _window(
    kind: OpKind, x: tuple[int, int], weight: tuple[int, ...], y: tuple[int, int], pad: int = 0
) -> Work:
    """Return the work of a convolution at stride 1; ``x`` and ``y`` are (side, channels)."""
    pads = (pad, y[0] + weight[1] - 1 - x[0] - pad)
    return _work(kind, (1, x[0], x[0], x[1]), weight, (1, y[0], y[0], y[1]), Attributes(padding=(pads, pads)))


def _dense(inputs: int, outputs: int) -> Work:
    return _work(OpKind.FULLY_CONNECTED, (1, inputs), (outputs, inputs), (1, outputs), Attributes())


def _work(
    kind: OpKind, x: tuple[int, ...], weight: tuple[int, ...], y: tuple[int, ...], attributes: Attributes
) -> Work:
    graph = GraphBuilder()
    names = (
        graph.activation("x", x, None),
        graph.constant("weight", np.zeros(weight, np.int8)),
        graph.constant("bias", np.zeros(y[-1], np.int32)),
    )
    graph.op("op", kind, names, graph.activation("y", y, None), attributes)
    return forward_work(graph.ops[0], graph.tensors)


KERNELS: dict[str, Work] = {
    "convolution input(10,10), filter(64x1x1x64), pad(0,0), stride(1,1)": _conv(10, 64, 64, 1),
    "convolution input(8,8), filter(16x1x1x16), pad(0,0), stride(1,1)": _conv(8, 16, 16, 1),
    "convolution input(8,8), filter(64x3x3x3), pad(0,0), stride(1,1)": _conv(8, 3, 64, 3),
    "depthwise conv input(18,18), pad(0,0), stride(1,1), filter: 1x3x3x16": _depthwise(18, 16, 3),
    "depthwise conv input(12,12), pad(1,1), stride(1,1), filter: 8x5x5x4": _depthwise(12, 4, 5, 8, 1),
    "fully connected len: 271, ch = 3": _dense(271, 3),
}
"""The work of the kernels timed, by how the table calls them. Memory is said to be external; but plain C ran
on the same bytes just before, and all of them fit the data cache."""
ELEMENTS: dict[str, tuple[str, int]] = {
    "elementwise_add size = 1615": ("add", 1615),
    "elementwise_mul size = 1615": ("elementwise", 1615),
    "avg pool input(16,16), filter(1x3x3x16)": ("pool", 16 * 16 * 16 * 9),
    "softmax h: 8, w: 32": ("softmax", 8 * 32),
}
"""Kinds without weights: one row each, and how much of ``GROWS_WITH`` it takes. Max pooling is 2.5 times
faster than average pooling, which is the one that whole networks spend time in."""


def timed() -> tuple[list[Row], dict[str, float]]:
    """Return the rows that constants are fitted to, and cycles by what of the kinds without weights."""
    with (DATA / "silicon" / "per_layer_measured.csv").open(newline="", encoding="utf-8") as file:
        cycles = {r["op"]: float(r["cycles"]) for r in csv.DictReader(file) if r["chip"] == CHIP}
    rows: list[Row] = [(name, (work,), cycles[name]) for name, work in KERNELS.items()]
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        network = next(r for r in csv.DictReader(file) if r["chip"] == CHIP and r["library"] == "ESP-NN")
    first, *rest = model_works(f"tflite/{network['network']}")
    works = (replace(first, kind=MULTIPLIED), *rest)
    rows.append((network["network"], works, float(network["milliseconds"]) * float(network["mhz"]) * 1e3))
    return rows, {kind: cycles[name] / size for name, (kind, size) in ELEMENTS.items()}


def esp32s3(folder: Path, command: str) -> tuple[list[Line], list[Line]]:
    """Fit ESP-NN's kernels, write the profile into a folder, and return rows and summary."""
    rows, elements = timed()
    counts = np.array([weigh(works, FORM, 0.0) for _, works, _ in rows])
    cycles, stalls = np.array([c for *_, c in rows]), np.zeros(len(rows))
    for i, (_, works, _) in enumerate(rows):  # the kinds set to their one row
        stalls[i] = sum(
            elements[w.kind] * getattr(w, GROWS_WITH[w.kind]) for w in works if w.kind in GROWS_WITH
        )
    supposed = Constants(
        np.log([constant.cycles for constant in FORM]), np.diag([constant.spread**2 for constant in FORM])
    )
    found = shrink(counts, cycles, stalls, supposed)
    names = [name for name, *_ in rows]
    lefts = [pair for pair in left_out(counts, cycles, stalls, supposed, names) if pair is not None]
    wide = widening(lefts)
    lefts = [(error, wide * deviation) for error, deviation in lefts]
    logs = map(float, np.exp(found.constants.logs))
    values = dict(zip((constant.name for constant in FORM), logs, strict=True))
    rescaled = {**dict.fromkeys(MATRIX, "requants"), "depthwise": "depthwise_requants"}
    terms = {
        kind: {"macs": values[kind], "requants": values[constant], "ops": values["calls"]}
        for kind, constant in rescaled.items()
        if kind != MULTIPLIED
    }
    calibrated = tuple(terms)
    terms["conv"] = {**terms["pointwise"], "im2col_bytes": 1.0}
    terms |= {kind: {GROWS_WITH[kind]: cost} for kind, cost in elements.items()}
    terms["copy"] = {"outputs": 1.0}
    default, errors, left = core(CORE), np.abs(np.expm1(found.residuals)), score(lefts)
    kept = [i for i, constant in enumerate(FORM) if constant.name != MULTIPLIED]
    macs = [sum(work.macs for work in works) for _, works, _ in rows]
    made = Profile(
        name=NAME, core=CORE, library="ESP-NN", version=f"esp-nn@{VERSION}", option="optimized", terms=terms,
        default=default.default, default_source=default.default_source,
        fitted=Fitted(
            data=f"per_layer_measured.csv: {CHIP}, kernels with weights; published.csv: {rows[-1][0]}",
            command=command, rows=len(rows), families=len(rows), constants=found.determined,
            mean_error=float(errors.mean()), worst_error=float(errors.max()), **held("kernel", left),
        ),
        band=Band(
            constants={
                FORM[i].name: tuple(f"{k}.{n}" for k, ns in FORM[i].weighs.items() for n in ns if k in terms)
                for i in kept
            },
            covariance=tuple(map(tuple, found.constants.covariance[np.ix_(kept, kept)].tolist())),
            noise=found.noise, widened=wide, least_macs=float(min(macs)), most_macs=float(max(macs)),
        ),
        calibrated=calibrated, chips={name: Chip(flash_cycles_per_byte=0.0) for name in BOARDS},
        notes=(
            "conv was not measured: pointwise, and columns; copy neither",
            "add, elementwise, pool and softmax are set to the one row there is of each",
            "with its arena in PSRAM the network took 15 % longer; this profile does not know it",
        ),
    )  # fmt: skip
    write_profile(made, folder / f"{NAME}.toml")
    lines = [
        entry(NAME, CORE, BOARDS[0], name, "kernel", float(c), float(r), pair)
        for name, c, r, pair in zip(names, cycles, found.residuals, lefts, strict=True)
    ]
    return lines, [summed(NAME, made, "kernel", left)]
