from __future__ import annotations

import json
import sys
from importlib import import_module

import pytest
import typer
from typer.testing import CliRunner

import mcusim
from mcusim.core import BadArgument, BadData, McusimError
from mcusim.graph.resolution import at_resolution
from mcusim.lowering.work import forward_work
from mcusim.mcu import estimate, load_profile
from mcusim.mcu.board_files import board


def invoke(*arguments: str):
    app = typer.Typer(pretty_exceptions_enable=False)
    for verb in ("boards", "calibrate", "timeline"):
        app.command(verb)(getattr(import_module(f"mcusim.cli.{verb}"), verb))
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, McusimError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_boards_lists_and_shows(monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")  # values of one region in one line
    assert "stm32f746" in invoke("boards")
    shown = invoke("boards", "stm32f746")
    assert "RM0385" in shown
    assert "name SRAM1, bytes 245,760, cached" in " ".join(shown.split())
    assert "wait_states 0, cached" not in shown
    assert json.loads(invoke("boards", "rp2040", "--json"))["clock_hz"] == 125_000_000
    assert len(json.loads(invoke("boards", "--json"))["boards"]) >= 10


def measurements(path, rows=14):
    lines = ["name,kind,macs,outputs,weight_bytes,cycles"]
    for i in range(rows):
        macs, outputs, weights = 1000 * (i * i % 17 + 1), 10 * (i % 5 + 1), 37 * (i * 7 % 11 + 1)
        lines.append(f"l{i},pointwise,{macs},{outputs},{weights},{2.5 * macs + 40 * outputs + 3 * weights}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_calibrate_writes_a_profile_that_can_be_used(tmp_path):
    out = tmp_path / "mine.toml"
    text = invoke(
        "calibrate", measurements(tmp_path / "m.csv"), "--core", "cortex-m4", "--library", "mine",
        "--name", "mine", "--out", str(out),
    )  # fmt: skip
    assert "left out: mean 0." in text
    profile = load_profile(out)
    assert profile.terms["pointwise"] == pytest.approx(
        {"macs": 2.5, "outputs": 40, "weight_bytes": 3}, rel=0.05
    )
    assert profile.fitted.held_out_mean_error == pytest.approx(0, abs=0.01)
    assert estimate([], board("stm32l4r5"), out).total_cycles == 0


def test_calibrate_as_json_and_with_one_row(tmp_path):
    options = ("--core", "cortex-m4", "--library", "x", "--name", "x", "--out", str(tmp_path / "x.toml"))
    data = json.loads(invoke("calibrate", measurements(tmp_path / "m.csv"), *options, "--json"))
    assert len(data["rows"]) == 14
    (tmp_path / "x.toml").unlink()
    with pytest.raises(BadData, match="has 1 row"):
        invoke("calibrate", measurements(tmp_path / "m.csv", rows=1), *options)
    with pytest.raises(BadData, match="cannot be read"):
        invoke("calibrate", str(tmp_path / "absent.csv"), *options)
    assert not (tmp_path / "x.toml").exists()


def test_python_calibrates_from_the_same_file_to_the_same_profile(tmp_path):
    path, out = measurements(tmp_path / "m.csv"), tmp_path / "mine.toml"
    invoke("calibrate", path, "--core", "cortex-m4", "--library", "x", "--name", "x", "--out", str(out))
    about = {"name": "x", "core": "cortex-m4", "library": "x"}
    found = mcusim.calibrate(path, **about)
    assert mcusim.calibrate(tmp_path / "m.csv", **about).profile == found.profile
    assert load_profile(out).terms["pointwise"] == pytest.approx(found.profile.terms["pointwise"], rel=1e-4)
    assert load_profile(out).fitted.command == found.profile.fitted.command
    assert found.profile.fitted.data == path
    rows = mcusim.read_measurements(tmp_path / "m.csv", "cortex-m4")
    with pytest.raises(BadArgument, match="data of profile x: is not said"):
        mcusim.calibrate(rows, **about)
    assert mcusim.calibrate(rows, **about, data="mine", command="none").rows == found.rows


def test_calibrate_counts_the_networks_that_a_file_names(tmp_path):
    lines = ["name,model,cycles"]
    for i in range(12):
        side = 20 + 4 * i
        model = at_resolution(mcusim.load("synthetic-mbv2"), side)
        mcusim.save(model, tmp_path / f"n{i}.npz")
        macs = sum(forward_work(op, model.tensors).macs for op in model.ops)
        lines.append(f"n{i},{tmp_path / f'n{i}.npz'},{3 * macs}")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    found = mcusim.calibrate(tmp_path / "m.csv", name="x", core="cortex-m4", library="x")
    assert found.profile.fitted.rows == 12
    assert found.profile.fitted.mean_error < 0.2


@pytest.mark.data
def test_timeline_at_another_resolution():
    options = ("timeline", "--model", "synthetic-mbv2", "--board", "nrf52840", "--fps", "10", "--json")
    small, large = (json.loads(invoke(*options, "--resolution", side)) for side in ("32", "48"))
    assert small["duty_cycle"] < large["duty_cycle"]
    assert small["steps"] > large["steps"]


def test_timeline_of_a_real_network(data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("MCUSIM_DATA", str(data_dir))
    common = ("timeline", "--model", "mbv2-w0.35", "--board", "nrf52840", "--update", "head", "--fps", "0.5")
    text = invoke(*common, "--trace", str(tmp_path / "t.json"), "--plot", str(tmp_path / "t.png"))
    assert "average current" in text
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    data = json.loads(invoke(*common, "--json"))
    assert data["missing"] == {}
    assert data["steps"] <= data["frames"] == 1800
    assert "pydantic" in sys.modules
