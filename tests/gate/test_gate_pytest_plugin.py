"""The budget as a test, in tests that pytest runs for us."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mcusim.gate import pytest_plugin

pytest_plugins = ["pytester"]

PLAN = """
    import pytest
    from mcusim.core.observe import notify

    class Plan:
        def __init__(self, peak_bytes, board_name="stm32f746"):
            self.peak_bytes, self.board_name = peak_bytes, board_name

        def explain(self):
            return f"made of {self.peak_bytes} bytes of weights"
"""


@pytest.fixture(autouse=True)
def this_plugin(pytester, monkeypatch):
    """The plugin of this tree, whatever mcusim is installed."""
    monkeypatch.setenv("PYTEST_ADDOPTS", f"-p no:mcusim -p {pytest_plugin.__name__}")


def test_pytest_finds_it():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"mcusim": pytest_plugin.__name__}


@pytest.fixture
def outcome(pytester):
    """Run a test body and return the result."""

    def run(marker, body):
        lines = "\n        ".join(body)
        pytester.makepyfile(f"{PLAN}\n    @pytest.mark.{marker}\n    def test_budget():\n        {lines}\n")
        return pytester.runpytest_inprocess("--strict-markers", "-p", "no:cacheprovider")

    return run


def test_within_the_budget_passes(outcome):
    result = outcome('mcusim_budget(sram="256KiB")', ["notify(Plan(262_144))", "notify(Plan(1))"])
    result.assert_outcomes(passed=1)


@pytest.mark.smoke
def test_above_the_budget_fails_with_the_explanation(outcome):
    result = outcome('mcusim_budget(sram="256KiB")', ["notify(Plan(1))", "notify(Plan(262_145))"])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*budget: peak of SRAM, all roles and holes is 262,145 B and the limit 262,144 B: 1 B too many*",
            "*made of 262145 bytes of weights*",
        ]
    )


def test_a_test_that_plans_nothing_fails(outcome):
    result = outcome("mcusim_budget(sram=1024)", ["pass"])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*nothing was planned in this test*"])


def test_only_plans_for_the_board_count(outcome):
    marker = 'mcusim_budget(sram="1KiB", board="rp2040")'
    outcome(marker, ['notify(Plan(9999, "stm32f746"))', 'notify(Plan(9, "rp2040"))']).assert_outcomes(
        passed=1
    )
    result = outcome(marker, ['notify(Plan(9, "stm32f746"))'])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*nothing was planned in this test for rp2040 (only for stm32f746)*"])


def test_without_a_size_the_budget_is_the_board(outcome):
    marker = 'mcusim_budget(board="rp2040")'
    outcome(marker, ['notify(Plan(270_336, "rp2040"))']).assert_outcomes(passed=1)
    outcome(marker, ['notify(Plan(270_337, "rp2040"))']).assert_outcomes(failed=1)


def test_a_test_that_fails_anyway_fails_for_its_own_reason(outcome):
    result = outcome('mcusim_budget(sram="1KiB")', ["notify(Plan(9999))", "assert False, 'own reason'"])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*own reason*"])
    result.stdout.no_fnmatch_line("*budget:*")


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("mcusim_budget()", "*needs a limit*"),
        ('mcusim_budget(sram="much")', "*is not a number of bytes*"),
        ('mcusim_budget(time="120")', "*is no positive number with its unit*"),
        ('mcusim_budget(ram="1KiB")', "*limit 'ram': is not known*sram*"),
        ('mcusim_budget("1KiB")', "*takes limits by name*"),
        ("mcusim_budget(board='nowhere')", "*board*nowhere*"),
    ],
)
def test_budgets_that_make_no_sense_are_errors(outcome, marker, said):
    result = outcome(marker, ["notify(Plan(1))"])
    assert result.ret != 0
    result.stdout.fnmatch_lines([said])


def test_a_session_is_observed(pytester):
    pytester.makepyfile(
        """
        import pytest, mcusim
        from networks import small_network

        @pytest.mark.mcusim_budget(sram="1KiB", board="stm32f746")
        def test_budget():
            mcusim.Session(small_network(), mcusim.board("stm32f746"), update="head").plan()
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*budget: peak of SRAM*", "*lower bound*"])


LIMITED = """
    import pytest, mcusim

    @pytest.mark.parametrize("n", range(2))
    @pytest.mark.mcusim_budget(sram="1MiB", flash="1MiB", time="{time}", energy="1 J", board="{board}")
    def test_budget(n):
        mcusim.plan(mcusim.load("synthetic-mbv2"), mcusim.board("{board}"), "head")
"""
BOARD = "stm32l4r5"


@pytest.mark.parametrize(("time", "outcomes"), [("10 s", {"passed": 2}), ("1 us", {"failed": 2})])
def test_every_quantity_is_a_limit_and_workers_of_xdist_judge_it(pytester, time, outcomes):
    pytester.makepyfile(LIMITED.format(time=time, board=BOARD))
    result = pytester.runpytest_subprocess("-n", "1", "-p", "no:cacheprovider")
    result.assert_outcomes(**outcomes)
    if "failed" in outcomes:
        result.stdout.fnmatch_lines(["*budget: time of a step is * ms and the limit 0.001 ms*"])


def test_the_plugin_costs_other_projects_nothing():
    code = (
        "import sys, mcusim.gate.pytest_plugin;"
        "assert not {'numpy', 'numba', 'pandas', 'matplotlib', 'rich'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
