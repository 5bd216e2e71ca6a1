"""Figures of the design notes that can be computed are what is computed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mcusim
from mcusim.core.vocabulary import FLASH_ROLES, SRAM_ROLES, Role
from mcusim.events.schema import COLUMNS
from mcusim.files.load import load
from mcusim.kernels.number_formats import BIASES, ERRORS, WEIGHTS
from mcusim.lowering.lower import lower_inference
from mcusim.memory.planners.orders import ORDERS
from mcusim.planning.facts import dense_feature_bytes
from mcusim.update.optimizer import Sgd

NOTES = Path(__file__).parents[1] / "docs" / "design"
WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def note(name: str) -> str:
    return (NOTES / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("what", "formats"),
    [("error tensors g", ERRORS), ("learning weights", WEIGHTS), ("learning biases", BIASES)],
)
def test_the_formats_and_what_they_cost(what, formats):
    (row,) = [line.split("|") for line in note("arithmetic").splitlines() if line.startswith(f"| {what} |")]
    names, sizes = re.findall(r"`([^`]+)`", row[2]), map(int, re.findall(r"\d+", row[3]))
    assert dict(zip(names, sizes, strict=True)) == {name: formats[name].bytes for name in formats}


def test_what_momentum_costs():
    assert f"| each none or float32 | each 0 or {Sgd(momentum=0.5).optimizer_bytes} |" in note("arithmetic")
    assert Sgd(second_moment=0.5).optimizer_bytes == Sgd(momentum=0.5).optimizer_bytes


def test_roles_planners_allocators_and_columns():
    text = note("memory")
    sram, flash = text.partition("## Roles")[2].partition("Flash roles:")[::2]
    assert re.findall(r"`(\w+)`", sram.split("live total.")[1]) == [str(role) for role in SRAM_ROLES]
    assert re.findall(r"`(\w+)`", flash.split("\n\n")[0]) == [str(role) for role in FLASH_ROLES]
    assert f"({WORDS[len(ORDERS)]} greedy orders, " in text
    for name in {*mcusim.planners()} - {*ORDERS}:
        assert f"`{name}`" in text
    (served,) = re.findall(r"\*\*dynamic allocator\*\* serves alloc/free at run time \((.*?)\)", text)
    assert sorted(re.findall(r"`(\w+)`", served)) == sorted(mcusim.allocators())
    (columns,) = re.findall(r"A trace is columnar: `(.*?)`", text)
    assert columns.split(", ") == [*COLUMNS]


@pytest.mark.parametrize(
    ("name", "board"),
    [("F746", "stm32f746"), ("H743", "stm32h743"), ("L4R5", "stm32l4r5"), ("RP2040", "rp2040")],
)
def test_the_sram_of_boards(name, board):
    (said,) = re.findall(rf"{name}: ([^;)]*)", note("microcontroller"))
    numbers = re.findall(r"(?:(\d+)×)?(\d+)", re.sub(r"[A-Z]+\d*(?:–\d)?", "", said))
    sizes = [int(times or 1) * int(size) for times, size in numbers]
    assert sum(sizes) * 1024 == mcusim.board(board).sram_bytes


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("mbv2-w0.35", "MobileNetV2-w0.35"),
        ("proxyless-w0.3", "ProxylessNAS-w0.3"),
        ("mcunet-5fps", "MCUNet-5fps"),
    ],
)
def test_the_public_networks(name, called, data_dir):
    figures = note("memory").partition("## Public reference figures")[2].strip().split("\n\n")[0]
    said = next(sentence for sentence in figures.split(". ") if sentence.startswith(called))
    model = load(name, classes=10)
    assert f"{model.conv_weights:,} " in said
    assert f"{dense_feature_bytes(model):,} B" in said
    assert f"{working_bytes(model, in_place=True):,} B" in said
    if "in-place" in said:
        assert f"{len(model.convolutions)} convolutions" in said
        assert f"{working_bytes(model, in_place=False):,} B" in said


def working_bytes(model, *, in_place):
    """Return the most that inputs and activations take during an inference."""
    step = lower_inference(model, in_place=in_place)
    live = (step.live_bytes(time) for time in range(len(step.ops)))
    return max(sum(found.get(role, 0) for role in (Role.INPUT, Role.ACTIVATION)) for found in live)


@pytest.mark.data
def test_shares_of_mobilenet(data_dir):
    weights = load("mbv2-w0.35", classes=10).conv_weights
    assert f"2 % of MobileNetV2-w0.35 is {int(0.02 * weights):,} weights." in note("method")
    assert f"{4 * weights / 1000:.0f} KB for MobileNetV2-w0.35" in note("arithmetic")


def test_tables_over_kinds_of_ops_are_counted():
    sources = (path.read_text("utf-8") for path in Path(mcusim.__file__).parent.rglob("*.py"))
    count = sum(len(re.findall(r"(?m)^[A-Z]+: OpTable\[.*\] = OpTable\(", source)) for source in sources)
    assert f"could be forgotten; {count} now" in note("architecture")
