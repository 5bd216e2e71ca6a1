"""A session from options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcusim.graph import Model
    from mcusim.session.session import Session


def load_network(name: str, classes: int | None, head: str | None, resolution: int | None = None) -> Model:
    """Return a network with a head for ``classes``; ``None`` means the network as it is.

    The head it came with is kept if it has that many outputs and no format is asked for.
    """
    from mcusim.files.load import load
    from mcusim.graph.head import replace_head

    model = load(name, resolution=resolution)
    count = classes or model.classes
    if head is None and (classes is None or (model.head is not None and count == model.classes)):
        return model
    return replace_head(model, count, format=head or "float32")  # type: ignore[arg-type]  # checked there


def session(
    model: Model, board: str, update: str, *, error: str, weight: str, bias: str = "int32",
    feature: str = "whole", lr: float = 0.01, momentum: float = 0.0, accumulate: int = 1, **choices: Any,
) -> Session:  # fmt: skip
    """Return the session that the options describe; ``choices`` are further arguments of ``Session``."""
    from mcusim.mcu.board_files import board as find_board
    from mcusim.session.session import Session
    from mcusim.update.formats import Formats
    from mcusim.update.optimizer import Sgd

    return Session(
        model, find_board(board), update,
        formats=Formats(error=error, weight=weight, bias=bias, feature=feature),
        sgd=Sgd(lr=lr, momentum=momentum, accumulate=accumulate), **choices,
    )  # fmt: skip
