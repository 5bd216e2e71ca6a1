"""Statics and code of a library that grow with the network: the fit, its errors, and where it counts."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest
from networks import small_network
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.mcu.board import Runtime
from mcusim.mcu.library import CODE, ROWS, RUNTIME
from mcusim.planning.allowance import allowances


def test_a_fitted_library_grows_with_the_network():
    home = mcusim.board("nrf52840").with_fitted()
    small = mcusim.plan(small_network(), home, "head")
    large = mcusim.plan(mcusim.load("synthetic-mbv2"), home, "head")
    for plan in (small, large):
        ops = len(plan.step.model.ops)
        found = allowances(plan.board)
        assert found["statics"].value == RUNTIME.bytes(ops)
        assert found["code"].value == CODE.bytes(ops) == plan.flash.items[0].bytes
        assert plan.step.tensors["runtime"].bytes == RUNTIME.bytes(ops) + home.runtime.stack_bytes
        assert found["code"].source.startswith("fitted to 28 rows")
        assert "rows left out" in dict(plan._facts())["code"]
    assert large.by_role["runtime"] > small.by_role["runtime"]
    assert RUNTIME.bytes(0) == RUNTIME.least_bytes > 0
    assert mcusim.prove(small_network(), home, "head").violation is None


def test_what_was_measured_wins():
    measured = mcusim.board("nrf52840").with_measured("cortex-m4")
    assert measured.with_fitted().of_ops(100).runtime_bytes == measured.runtime_bytes


def test_a_board_file_and_the_command_line_ask_for_it(tmp_path):
    text = Path(mcusim.board("nrf52840").file).read_text("utf-8")
    file = tmp_path / "own.toml"
    file.write_text(text.replace("[flash]", "[runtime]\nfitted = true\n\n[flash]", 1), "utf-8")
    asked = mcusim.plan(mcusim.load("synthetic-mbv2"), mcusim.board(file), "head")
    done = CliRunner().invoke(
        build(), ["plan", "-m", "synthetic-mbv2", "-b", "nrf52840", "-u", "head", "--fitted", "--no-suggest"]
    )
    assert done.exit_code == 0
    assert f"{asked.peak_bytes:,} of 262,144 B" in done.output
    assert "fitted to 28 rows" in done.output


def test_the_lines_are_those_of_the_published_rows():
    if not (data := os.environ.get("MCUSIM_DATA")):
        pytest.skip("needs MCUSIM_DATA")
    file = Path(__file__).parents[2] / "benchmarks/library_fit.py"
    spec = importlib.util.spec_from_file_location("library_fit", file)
    fit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fit)
    families, ops, measured = fit.rows(Path(data))
    assert len(ops) == ROWS
    for name, line in (("runtime", RUNTIME), ("code", CODE)):
        kib = measured[name]
        assert fit.line(ops, kib) == pytest.approx((line.base_kib, line.op_kib), rel=1e-3)
        assert fit.left_out(range(len(ops)), ops, kib) == pytest.approx(line.error, abs=5e-4)
        assert fit.left_out(families, ops, kib) == pytest.approx(line.family_error, abs=5e-4)


def test_the_allowances_are_above_every_firmware_that_was_measured() -> None:
    """As ``docs/memory.md`` says of the figures that stand in a plan by default."""
    folder = Path(__file__).parents[2] / "benchmarks/firmware"
    found = [json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    assert len({result["core"] for result in found}) >= 4
    allowed = Runtime()
    for result in found:
        took = result["stack_bytes"] + result["statics_bytes"]
        assert took <= 700 < allowed.stack_bytes + allowed.static_bytes
        assert result["code_bytes"] <= 21_504 < allowed.code_bytes
