"""The history of a training as scalars for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcusim.core import MissingPackage, SaveFailed


class Scalars:
    """Takes what ``Session.train`` reports, and writes each row of the history once.

    Args:
        folder: of the event files; made if it is not there.

    Raises:
        MissingPackage: if tensorboardX is not installed.
        SaveFailed: if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise MissingPackage("tensorboardX", "scalars for TensorBoard", "tensorboard") from error
        try:
            self._writer = SummaryWriter(str(folder))
        except OSError as error:
            reason = f"cannot be written: {error.strerror or error}"
            raise SaveFailed(str(folder), reason, "choose another folder") from error
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def __call__(self, counts: Mapping[str, Any]) -> None:
        """Write the rows that came since the last call, at the number of their step."""
        rows = counts["rows"]
        for row in rows[self._written :]:
            for name, value in row.items():
                if name != "steps" and value is not None:
                    self._writer.add_scalar(name, float(value), int(row["steps"]))
        self._written = len(rows)
