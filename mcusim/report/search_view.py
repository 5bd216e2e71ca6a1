"""The result of a layer search as a table."""

from __future__ import annotations

from rich.console import RenderableType

from mcusim.explore.search import Found
from mcusim.report.console import grid


def search_view(found: Found, rows: int) -> RenderableType:
    """Return the best selections, largest expected gain first."""
    cells = []
    for option in found.options[:rows]:
        data = option.as_dict()
        formats = data["formats"]
        cells.append(
            (
                f"{option.gain:.2%}", f"{data['ratio']:.2%}", f"{option.plan.peak_bytes:,}",
                "–" if data["step_ms"] is None else f"{data['step_ms']:,.0f}",
                option.shape, str(option.blocks),
                formats["error"], formats["weight"], data["residency"],
                (data["patches"] or "off").partition(" ")[0],
            )
        )  # fmt: skip
    header = (
        "gain",
        "learns",
        "peak B",
        "ms a step",
        "shape",
        "blocks",
        "error, weight",
        "weights in",
        "patches",
    )
    title = f"{found.model.name} on {found.board.name}, {found.sram_bytes:,} B: {len(found.options)} fit"
    return grid(header, cells, numbers=(0, 1, 2, 3, 5), title=title)
