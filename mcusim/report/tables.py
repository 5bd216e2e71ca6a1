"""Bytes by role as tables, one column a plan, run or trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcusim.core.vocabulary import SRAM_ROLES

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


def role_frame(columns: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """Return bytes by role, all SRAM roles in their fixed order, with a last row ``total``.

    Args:
        columns: title to bytes of each role.
    """
    import pandas as pd

    roles = [str(role) for role in SRAM_ROLES]
    data = {title: [int(sizes.get(role, 0)) for role in roles] for title, sizes in columns.items()}
    frame = pd.DataFrame(data, index=pd.Index(roles, name="role"))
    frame.loc["total"] = frame.sum()
    return frame


def role_table(columns: Mapping[str, Mapping[str, int]], *, title: str = "") -> Table:
    """Return the same as a table for the terminal; zeros are dots, roles without any bytes stay out."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("role", title=title or None, show_footer=True, box=SIMPLE_HEAD, pad_edge=False)
    table.columns[0].footer = "total"
    for name, sizes in columns.items():
        table.add_column(name, justify="right", footer=f"{sum(sizes.values()):,} B")
    for role in SRAM_ROLES:
        row = [sizes.get(role, 0) for sizes in columns.values()]
        if any(row):
            table.add_row(str(role), *(f"{size:,}" if size else "·" for size in row))
    return table
