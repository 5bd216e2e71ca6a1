"""An SRAM budget as a test.

.. code-block:: python

    import mcusim
    import pytest


    @pytest.mark.sram_budget("256KiB", board="stm32f746")
    def test_our_network_still_fits():
        network = mcusim.load("synthetic-mbv2")
        mcusim.Session(network, mcusim.board("stm32f746"), update="dynamic").plan()

The test fails when a plan or run made inside it peaks above the budget, and the failure says what
the peak is made of. With ``board`` only plans for that board count; without a size the budget is
that board's SRAM. A test with a budget in which nothing was planned fails too.

pytest loads this file in every project on a machine where mcusim is installed, so it imports
nothing of mcusim before a test with the marker runs.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mcusim.core.observe import Footprint

MARKER = "sram_budget"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that ``--strict-markers`` accepts it."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(size, board=None): fail when a plan or run made in this test needs more SRAM "
        'than size (for example "256KiB"); board counts only plans for that board',
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch a marked test and judge the highest peak in it."""
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        return (yield)
    budget, board = _budget(*marker.args, **marker.kwargs)
    from mcusim.core.observe import observing

    seen: list[Footprint] = []
    with observing(seen.append):
        result = yield
    counted = [plan for plan in seen if board is None or plan.board_name == board]
    if not counted:
        others = ", ".join(sorted({plan.board_name for plan in seen}))
        pytest.fail(
            f"SRAM budget: nothing was planned in this test{f' for {board}' if board else ''}"
            + (f" (only for {others})" if others else ""),
            pytrace=False,
        )
    worst = max(counted, key=lambda plan: plan.peak_bytes)
    if worst.peak_bytes > budget:
        pytest.fail(
            f"SRAM budget: the peak is {worst.peak_bytes:,} B and the budget {budget:,} B: "
            f"{worst.peak_bytes - budget:,} B too many\n\n{worst.explain()}",
            pytrace=False,
        )
    return result


def _budget(size: str | int | None = None, *, board: str | None = None) -> tuple[int, str | None]:
    """Return the budget in bytes and the board's name."""
    from mcusim.core.units import parse_bytes

    if size is not None:
        return parse_bytes(size), board
    if board is None:
        raise pytest.UsageError(f"@pytest.mark.{MARKER} needs a size, a board, or both")
    import mcusim

    sram_bytes: int = mcusim.board(board).sram_bytes  # type: ignore[attr-defined,unused-ignore]
    return sram_bytes, board
