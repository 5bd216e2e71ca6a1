"""The measured rows behind the shipped profiles: what ran where, and how much work it was."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from mcusim import board, load
from mcusim.core import Work
from mcusim.graph import Op, Tensor
from mcusim.lowering.work import forward_work
from mcusim.mcu.board_files import board_names
from mcusim.mcu.cycles.hierarchy import Origin

DATA = Path(os.environ.get("MCUSIM_DATA", "MCUSIM_DATA is not set"))
NETWORKS = {
    "ad": "mlperftiny_ad01_int8",
    "ic": "mlperftiny_ic_pretrainedResnet_quant",
    "kws": "mlperftiny_kws_ref_model",
    "vww": "mlperftiny_vww_96_int8",
}
FAMILIES = {
    "ad": "autoencoder", "ic": "resnet", "kws": "dscnn", "vww": "mobilenet_v1",
    "st_fdmobilenet": "fdmobilenet",
    "st_miniresnet": "miniresnet", "st_mobilenet_v1": "mobilenet_v1", "st_resnet_v1": "resnet",
    "st_squeezenet": "squeezenet",
}  # fmt: skip
"""By what a network's name begins with. The zoo's ResNet-8 and MobileNetV1 are those of MLPerf Tiny."""
CHIPS = {
    "STM32L4R5ZI": "stm32l4r5", "STM32U575ZI": "stm32u575", "STM32U585AI": "stm32u585",
    "B-U585I-IOT02A": "stm32u585", "STM32U385RG": "stm32u385", "STM32F746NG": "stm32f746",
    "STM32H7A3ZI": "stm32h7a3", "STM32H747I-DISCO": "stm32h747", "STM32F769I-DISCO": "stm32f769",
    "STM32G0B1RE": "stm32g0b1", "nRF5340": "nrf5340", "PSoC62": "psoc62",
}  # fmt: skip
GROUP = 16
"""Where dead channels go, so many stay together: kernels take channels in groups. No vendor says how many;
evidence.csv shows others."""
SUPPOSED_STALL = 0.25
"""Cycles a byte of constants waits on a chip whose flash nobody sourced; its own factor is fitted."""
CORES = {
    "Cortex-M0+": "cortex-m0plus", "Cortex-M4": "cortex-m4", "Cortex-M7": "cortex-m7",
    "Cortex-M33": "cortex-m33",
}  # fmt: skip
OTHER_OPTIONS = ("max_performance", "max_perf", "min_ram", "float")
"""Bosch submitted differently tuned firmware of the same version: one or two rows of each, not fitted."""


@dataclass(frozen=True, slots=True)
class Library:
    """A kernel library as its makers built and measured it."""

    name: str
    key: str
    option: str
    versions: tuple[str, ...]
    """Oldest first."""
    drops_from: str | None = None
    """First version that removes output channels whose weights are all zero and that give zero."""

    def drops(self, version: str) -> bool:
        """True if that version removes dead channels."""
        return (
            self.drops_from is not None and version in self.versions[self.versions.index(self.drops_from) :]
        )


LIBRARIES = {
    found.name: found
    for found in (
        Library(
            "X-CUBE-AI", "cubeai", "balanced", ("7.1", "7.3", "8.0", "8.1", "9.0", "10.0", "10.2"), "8.1"
        ),
        Library("Bosch HALE", "bosch-hale", "unstated", ("1.1", "1.0.175")),
        Library("Plumerai", "plumerai", "unstated", ("0.7", "1.0", "2023.05"), "2023.05"),
        Library("CMSIS-NN (microTVM)", "cmsis-nn-microtvm", "unstated", ("1.0",)),
        Library("TFLM reference kernels", "tflm-reference", "unstated", ("2.3.1",)),
    )
}
"""Libraries whose rows are named well enough for a profile. Bosch's first version is known by the round it
was submitted to, as are Plumerai's first two and microTVM's; ``1.1`` came before ``1.0.175``."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: a network on a chip with one version of a library."""

    network: str
    family: str
    library: Library
    version: str
    core: str
    chip: str
    works: tuple[Work, ...]
    cycles: float
    row: dict[str, str]

    @property
    def origin(self) -> Origin:
        """What its constants share with others."""
        versions = self.library.versions[: self.library.versions.index(self.version) + 1]
        return Origin(self.library.name, versions, self.core, self.chip)

    @property
    def profile(self) -> str:
        """The name of its profile."""
        return f"{self.core}-{self.library.key}-{self.version}-{self.library.option}"


def _library(row: dict[str, str]) -> tuple[Library, str] | None:
    framework = row["framework"]
    name, _, version = framework.rpartition(" ")
    match name:
        case "X-CUBE-AI":
            return LIBRARIES[name], version.removesuffix(".0") if version.count(".") == 2 else version
        case "Bosch HALE" | "Plumerai":
            return LIBRARIES[name], version
    if framework in ("Bosch HALE", "Plumerai"):
        return LIBRARIES[framework], row["round"].removeprefix("v")
    if framework == "microTVM + CMSIS-NN":
        return LIBRARIES["CMSIS-NN (microTVM)"], "1.0"
    if framework.startswith("TFLM 2.3.1"):
        return LIBRARIES["TFLM reference kernels"], "2.3.1"
    return None


def measured(group: int = GROUP) -> list[Measured]:
    """Return all rows of whole int8 networks on CPUs whose library is named.

    Args:
        group: dead channels that are left out together, or not at all.
    """
    return [*_mlperf_tiny(group), *_zoo(group)]


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / "silicon" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _mlperf_tiny(group: int) -> Iterator[Measured]:
    for row in _rows("mlperf_tiny.csv"):
        found = _library(row)
        left_out = row["use"] == "float" or row["note"].startswith(("accelerator", "FPGA"))
        if (
            found is None or left_out or "accelerator" in row["core"] or row["core"] not in CORES
            or any(option in row["system"] for option in OTHER_OPTIONS)
        ):  # fmt: skip
            continue
        library, version = found
        yield Measured(
            row["task"], FAMILIES[row["task"]], library, version, CORES[row["core"]], CHIPS[row["soc"]],
            model_works(f"tflite/{NETWORKS[row['task']]}", library.drops(version), group),
            float(row["cycles_per_inf"]), row,
        )  # fmt: skip


def _zoo(group: int) -> Iterator[Measured]:
    library = LIBRARIES["X-CUBE-AI"]
    for row in _rows("zoo_measured.csv"):
        name = row["file"].removesuffix(".tflite")
        version = row["stm32cubeai_version"].removesuffix(".0")
        works = model_works(f"zoo/{name}", library.drops(version), group)
        family = next(family for start, family in FAMILIES.items() if name.startswith(start))
        yield Measured(
            name, family, library, version, CORES[row["core"]], CHIPS[row["board"]], works,
            float(row["inference_ms"]) * float(row["mhz"]) * 1e3, row,
        )  # fmt: skip


@cache
def model_works(name: str, live: bool = False, group: int = GROUP) -> tuple[Work, ...]:
    """Return the work of one ``.tflite`` network, op by op; if ``live``, without its dead channels.

    Args:
        name: of the file, below the data.
        live: leave out output channels without weights that give zero.
        group: channels that are left out together, or not at all.
    """
    model = load(DATA / f"{name}.tflite")
    works = [forward_work(op, model.tensors) for op in model.ops]
    if not live:
        return tuple(works)
    share: dict[str, float] = {}
    found = []
    for op, work in zip(model.ops, works, strict=True):
        into = share.get(op.inputs[0], 1.0)
        out = into
        if op.traits.weighted and not work.kind.startswith("depthwise"):
            out = _live_share(op, model.tensors, group)
        if len([name for name in op.inputs if not model.tensors[name].constant]) > 1:
            out = 1.0
        share[op.output] = out
        found.append(_without_dead(work, into, out))
    return tuple(found)


def _live_share(op: Op, tensors: dict[str, Tensor], group: int) -> float:
    """Return the share of output channels that have weights, or a bias that shows, in whole groups.

    A channel without either is zero everywhere and can go; one that gives another constant has to stay, for
    beside padding it is not constant to what follows.
    """
    weight = tensors[op.inputs[1]].data
    if weight is None:
        return 1.0
    live = np.asarray(weight).reshape(weight.shape[0], -1).any(1)
    if op.bias:
        x, w, y = (np.asarray(tensors[n].quant.scale, float) for n in (*op.inputs[:2], op.output))
        live = live | (np.round(np.asarray(tensors[op.inputs[2]].data) * x * w / y) > 0)
    return min(1.0, -(-int(live.sum()) // group) * group / len(live))


def _without_dead(work: Work, into: float, out: float) -> Work:
    both = out if work.kind == "depthwise" else into * out
    return replace(
        work, macs=round(work.macs * both), outputs=round(work.outputs * out),
        weight_bytes=round(work.weight_bytes * both), input_bytes=round(work.input_bytes * into),
        requants=round(work.requants * out), int_ops=round(work.int_ops * out),
        im2col_bytes=round(work.im2col_bytes * into), flash_read=round(work.flash_read * both),
    )  # fmt: skip


@cache
def stall_per_byte(chip: str) -> float:
    """Return the cycles a byte of constants waits for the flash of a chip; supposed where not known."""
    if chip not in board_names():
        return SUPPOSED_STALL
    flash = board(chip).flash
    if flash.wait_states is None or flash.fetch_bytes is None:
        return SUPPOSED_STALL
    return flash.wait_states / flash.fetch_bytes
