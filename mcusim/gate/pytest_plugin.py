"""Limits on SRAM, flash, time and energy as a test.

.. code-block:: python

    import mcusim
    import pytest


    @pytest.mark.mcusim_budget(sram="256KiB", time="200 ms", board="stm32f746")
    def test_our_network_still_fits():
        network = mcusim.load("synthetic-mbv2")
        mcusim.plan(network, mcusim.board("stm32f746"), "dynamic")

The test fails when a plan or run made inside it is above a limit, and the failure says what the peak is
made of. The limits are those of ``mcusim check``. With ``board`` only plans for that board count; without
limits the limit is that board's SRAM. A test with a budget in which nothing was planned fails too.

pytest loads this file in every project on a machine where mcusim is installed, so it imports
nothing of mcusim before a test with the marker runs.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mcusim.core.observe import Footprint

MARKER = "mcusim_budget"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that ``--strict-markers`` accepts it."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(sram, flash, time, energy, board): fail when a plan or run made in this test costs more "
        'than these limits (for example sram="256KiB", time="200 ms"); board, a name or a TOML file, counts '
        "only plans for that board",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch a marked test and judge the plans made in it."""
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        return (yield)
    limits, board = _limits(marker.args, marker.kwargs)
    from mcusim.core.observe import observing

    seen: list[Footprint] = []
    with observing(seen.append):
        result = yield
    counted = [plan for plan in seen if board is None or plan.board_name == board]
    if not counted:
        others = ", ".join(sorted({plan.board_name for plan in seen}))
        pytest.fail(
            f"budget: nothing was planned in this test{f' for {board}' if board else ''}"
            + (f" (only for {others})" if others else ""),
            pytrace=False,
        )
    for name, limit in limits.items():
        _judge(name, limit, counted)
    return result


def _judge(name: str, limit: float, plans: Sequence[Any]) -> None:
    """Fail if one of some plans is above a limit: with the most of them, and what its peak is made of."""
    from mcusim.gate.quantity import QUANTITIES

    quantity = QUANTITIES[name]
    value, plan = max(((quantity.measure(plan).value, plan) for plan in plans), key=lambda pair: pair[0])
    if value > limit:
        text = quantity.text
        pytest.fail(
            f"budget: {quantity.help} is {text(value)} and the limit {text(limit)}: "
            f"{text(value - limit)} too many\n\n{plan.explain()}",
            pytrace=False,
        )


def _limits(args: Sequence[object], given: Mapping[str, Any]) -> tuple[dict[str, float], str | None]:
    """Return the limits by the name of their quantity, and the board's name."""
    from mcusim.core import McusimError
    from mcusim.gate.quantity import quantity

    if args:
        raise pytest.UsageError(f'@pytest.mark.{MARKER} takes limits by name, for example sram="256KiB"')
    texts = dict(given)
    board = texts.pop("board", None)
    try:
        limits = {name: quantity(name).parse(text) for name, text in texts.items()}
        if board is None:
            if not limits:
                raise pytest.UsageError(f"@pytest.mark.{MARKER} needs a limit, a board, or both")
            return limits, None
        import mcusim

        found: Any = mcusim.board(board)
    except McusimError as error:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: {error}") from error
    return limits or {"sram": found.sram_bytes}, found.name
