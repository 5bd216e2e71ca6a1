"""The measured sets behind the shipped profiles: which rows, which form, which cores together."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from mcusim.core import Work
from mcusim.importers.load import load
from mcusim.lowering.work import forward_work
from mcusim.mcu import board
from mcusim.mcu.form import Form, network_form
from mcusim.mcu.measurement import Measurement

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
    form: Form
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
    framework: str, chips: tuple[str, ...], works: dict[str, tuple[Work, ...]]
) -> tuple[list[Measurement], list[dict[str, str]]]:
    """Return the measurements of one library version on some chips, and their CSV rows."""
    rows = [r for r in table() if r["framework"] == framework and r["soc"] in chips]
    found = [
        Measurement(
            f"{r['submitter']} {r['round']}", r["task"], r["soc"], CORES[r["core"]], works[r["task"]],
            float(r["cycles_per_inf"]), stall_per_byte(r["soc"]),
        )
        for r in rows
    ]  # fmt: skip
    return found, rows
