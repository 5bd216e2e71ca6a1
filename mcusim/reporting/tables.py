"""Bytes by role as tables, one column a plan, run or trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcusim.core.vocabulary import SRAM_ROLES

if TYPE_CHECKING:
    import pandas as pd


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
