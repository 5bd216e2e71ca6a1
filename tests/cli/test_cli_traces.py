"""The verbs about traces, as a user types them."""

import json
from importlib import import_module

import pytest
import typer
from traces_plans import planned, session, small_problem
from typer.testing import CliRunner

from mcusim.cli.main import Verbs
from mcusim.events import Header
from mcusim.traces import write_trace

MODEL = ["--model", "synthetic-mbv2", "--board", "stm32f746"]


@pytest.fixture
def trace(tmp_path):
    events = session([planned(small_problem(), ops=4)])
    return str(write_trace(tmp_path / "trace.parquet", events, Header(model="net", sram_bytes=128)))


@pytest.fixture(scope="module")
def run():
    app = typer.Typer(cls=Verbs)
    for verb in ("replay", "explain", "diff", "export", "report"):
        app.command(verb)(getattr(import_module(f"mcusim.cli.{verb}"), verb))
    runner = CliRunner()

    def invoke(*arguments):
        return runner.invoke(app, list(arguments))

    return invoke


def test_replay_prints_one_object(run, trace):
    result = run("replay", trace, "--json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert (data["method"], data["peak_bytes"], data["peak_op"]) == ("recorded", 104, "op1")
    assert sum(data["by_role"].values()) == data["live_bytes"]


@pytest.mark.parametrize("how", [["--planner", "best"], ["--allocator", "tlsf"], ["--board", "rp2040"], []])
def test_replay_prints_tables(run, trace, how):
    result = run("replay", trace, *how)
    assert result.exit_code == 0, result.output
    assert "op1" in result.stdout
    assert "weight" in result.stdout


def test_a_replay_that_does_not_fit_exits_with_3(run, trace):
    result = run("replay", trace, "--sram", "100")
    assert result.exit_code == 3
    assert "4 B are missing at row" in result.stderr
    result = run("replay", trace, "--sram", "100", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["missing_bytes"] == 4


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["replay", "nowhere.parquet"], "does not exist"),
        (["replay", "TRACE", "--sram", "1KiB", "--board", "rp2040"], "both name a size"),
        (["replay", "TRACE", "--allocator", "tslf"], "did you mean tlsf"),
        (["replay", "TRACE", "--sram", "lots"], "is not a number of bytes"),
        (["explain"], "nothing to explain"),
        (["explain", "nowhere.csv"], "does not exist"),
        (["diff", "TRACE", "nowhere"], "does not exist"),
        (["replay", "run.toml"], "is a run file, and no trace"),
        (["export", "TRACE", "out.json", "--to", "perfeto"], "did you mean perfetto"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(run, trace, arguments, reason):
    result = run(*(trace if a == "TRACE" else a for a in arguments))
    assert result.exit_code == 2
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_explain_reads_traces_and_folders_of_runs(run, trace, tmp_path):
    for path in (trace, str(tmp_path)):
        result = run("explain", path)
        assert result.exit_code == 0, result.output
        assert "during op1 (forward)" in result.stdout
    assert json.loads(run("explain", trace, "--json").stdout)["peak_bytes"] == 104


def test_explain_plans_and_suggests(run):
    result = run("explain", *MODEL, "--update", "last-2", "--sram", "64KiB", "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["capacity_bytes"] == 65_536
    assert isinstance(data["suggestions"], list)


def test_diff_compares_run_files_with_options_over_them(run, tmp_path):
    for name, update in (("a", "head"), ("b", "last-2")):
        lines = ('model = "synthetic-mbv2"', 'board = "stm32f746"', f'update = "{update}"', "classes = 5")
        (tmp_path / f"{name}.toml").write_text("\n".join(lines))
    files = [str(tmp_path / f"{name}.toml") for name in "ab"]
    found = json.loads(run("diff", *files, "--json").stdout)
    schemes = json.loads(run("diff", "head", "last-2", *MODEL, "--classes", "5", "--json").stdout)
    other = json.loads(run("diff", *files, "--error", "int8", "--json").stdout)
    for data in (found, schemes, other):
        del data["left"], data["right"]
    assert found == schemes != other
    said = run("diff", *files).stdout.splitlines()
    assert said[0].startswith("synthetic-mbv2 with a fresh float32 head of 5 outputs")
    assert sum("fresh" in line for line in said) == 1


def test_diff_compares_traces_and_schemes(run, trace):
    result = run("diff", trace, trace, "--json")
    assert {line["change"] for line in json.loads(result.stdout)["totals"]} == {0}
    result = run("diff", "head", "last-2", *MODEL)
    assert result.exit_code == 0, result.output
    assert "live bytes by role" in result.stdout


def test_export_writes_what_it_says(run, trace, tmp_path):
    out = tmp_path / "out.json"
    result = run("export", trace, str(out))
    assert result.exit_code == 0
    assert str(out) in result.stdout
    assert json.loads(out.read_text())["traceEvents"]


def test_report_writes_one_page_about_a_plan_a_trace_or_a_run(run, trace, tmp_path):
    out = tmp_path / "page.html"
    for about in ([trace], [*MODEL, "--update", "last-2"]):
        result = run("report", *about, "--out", str(out), "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) == {"out": str(out), "bytes": len(out.read_bytes())}
        assert out.read_text().startswith("<!doctype html>")
        out.unlink()
    result = run("report", "--out", str(out))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert not out.exists()
