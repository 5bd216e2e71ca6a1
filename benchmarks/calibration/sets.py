"""The measured sets behind the shipped profiles: which rows, which form, which cores together."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mcusim import Board, board, load
from mcusim.core import Work
from mcusim.lowering.lower import lower_inference
from mcusim.lowering.work import forward_work
from mcusim.mcu.cycles.form import CycleForm, network_form
from mcusim.mcu.cycles.measurement import Measurement
from mcusim.mcu.cycles.sram import Access, sram_stalls
from mcusim.memory.planners import best

DATA = Path(os.environ.get("MCUSIM_DATA", "MCUSIM_DATA is not set"))
NETWORKS = {
    "ad": "mlperftiny_ad01_int8",
    "ic": "mlperftiny_ic_pretrainedResnet_quant",
    "kws": "mlperftiny_kws_ref_model",
    "vww": "mlperftiny_vww_96_int8",
}
BOARDS = {
    "STM32L4R5ZI": "stm32l4r5",
    "STM32U575ZI": "stm32u575",
    "STM32U385RG": "stm32u385",
    "STM32F746NG": "stm32f746",
    "STM32H7A3ZI": "stm32h7a3",
}
"""Chips whose flash wait states are known; the others (nRF5340, PSoC62) are taken without stalls."""
CORES = {"Cortex-M4": "cortex-m4", "Cortex-M7": "cortex-m7", "Cortex-M33": "cortex-m33"}
OTHER_VARIANTS = ("max_performance", "min_ram", "float")
"""Bosch submitted differently tuned firmware of the same version; only the plain one is fitted."""


@dataclass(frozen=True, slots=True)
class MeasuredSet:
    """One library version on the chips that are fitted together."""

    key: str
    framework: str
    """As in ``mlperf_tiny.csv``."""
    library: str
    version: str
    chips: tuple[str, ...]
    form: CycleForm
    ratio_from: str
    """Where the one structural number of the form, the cost of a fully connected MAC, comes from."""


ST_CHIPS = ("STM32L4R5ZI", "STM32U575ZI", "STM32F746NG", "STM32H7A3ZI")
SETS = (
    MeasuredSet(
        "cubeai-7.3", "X-CUBE-AI 7.3", "X-CUBE-AI", "7.3", ST_CHIPS, network_form(1.4),
        "1.4, the smallest worst error on the rows of version 7.1 (ratio.csv), which are not fitted",
    ),
    MeasuredSet(
        "bosch-hale-1.0.175", "Bosch HALE 1.0.175", "Bosch HALE", "1.0.175", ST_CHIPS, network_form(1.2),
        "1.2, the smallest worst error on the rows of the version submitted to v1.1 (ratio.csv), not fitted",
    ),
    MeasuredSet(
        "cmsis-nn", "microTVM + CMSIS-NN", "CMSIS-NN (microTVM)", "MLPerf Tiny v1.0 and v1.1",
        ("STM32L4R5ZI", "nRF5340"), network_form(1.0),
        "1.0, not chosen by any row: CMSIS-NN's fully connected and matrix kernels load alike",
    ),
)  # fmt: skip
PROBES = (
    MeasuredSet("cubeai-7.1", "X-CUBE-AI 7.1", "X-CUBE-AI", "7.1", ST_CHIPS, network_form(1.4), ""),
    MeasuredSet("bosch-hale-v1.1", "Bosch HALE", "Bosch HALE", "v1.1", ST_CHIPS, network_form(1.2), ""),
)
"""Older versions: the structural number was chosen on them."""


def network_works() -> dict[str, tuple[Work, ...]]:
    """Return the work of the four MLPerf Tiny networks, op by op."""
    return {task: model_works(name) for task, name in NETWORKS.items()}


def model_works(name: str) -> tuple[Work, ...]:
    """Return the work of one ``.tflite`` network, op by op."""
    model = load(DATA / "tflite" / f"{name}.tflite")
    return tuple(forward_work(op, model.tensors) for op in model.ops)


def stall_per_byte(chip: str) -> float:
    """Return the cycles a byte of constants waits for the flash of ``chip``; 0 where it is not known."""
    if chip not in BOARDS:
        return 0.0
    flash = board(BOARDS[chip]).flash
    return (flash.wait_states or 0) / (flash.fetch_bytes or 1)


@cache
def accesses(task: str) -> tuple[tuple[Access, ...], ...]:
    """Return what each op of a network moves where, in our placement: nobody published theirs."""
    step = lower_inference(load(DATA / "tflite" / f"{NETWORKS[task]}.tflite"))
    return tuple(map(tuple, step.accesses(best(step.problem(), seed=0).offsets)))


def home_of(chip: str, wait_states: int | None = None) -> Board | None:
    """Return the board of a chip; ``wait_states`` are supposed for regions nobody has a figure of."""
    if chip not in BOARDS:
        return None
    home = board(BOARDS[chip])
    regions = (r if r.wait_states is not None else replace(r, wait_states=wait_states) for r in home.sram)
    return replace(home, sram=tuple(regions))


def waiting_for_sram(task: str, chip: str, wait_states: int | None = None) -> int:
    """Return the cycles of one inference that the core waits for SRAM; 0 where nothing is known."""
    home = home_of(chip, wait_states)
    if home is None:
        return 0
    found = sram_stalls(accesses(task), home)
    return sum(found.regions) + sum(found.misses)


def table() -> list[dict[str, str]]:
    """Return the rows of ``mlperf_tiny.csv`` that are measurements of int8 networks on a CPU."""
    with (DATA / "silicon" / "mlperf_tiny.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        row
        for row in rows
        if row["use"] != "float"
        and not row["note"].startswith(("NOT COMPARABLE", "accelerator", "FPGA"))
        and not any(variant in row["system"] for variant in OTHER_VARIANTS)
    ]


def measurements(
    framework: str,
    chips: tuple[str, ...],
    works: dict[str, tuple[Work, ...]],
    wait_states: int | None = None,
) -> tuple[list[Measurement], list[dict[str, str]]]:
    """Return the measurements of one library version on some chips, and their CSV rows.

    ``wait_states`` are supposed for regions of SRAM nobody has a figure of.
    """
    rows = [r for r in table() if r["framework"] == framework and r["soc"] in chips]
    found = [
        Measurement(
            f"{r['submitter']} {r['round']}", r["task"], r["soc"], CORES[r["core"]], works[r["task"]],
            float(r["cycles_per_inf"]), stall_per_byte(r["soc"]),
            waiting_for_sram(r["task"], r["soc"], wait_states),
        )
        for r in rows
    ]  # fmt: skip
    return found, rows
