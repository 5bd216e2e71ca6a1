"""What a search may choose from: its choices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mcusim.core import BadArgument
from mcusim.core.chosen import Chosen
from mcusim.core.setting import setting
from mcusim.kernels.number_formats import ERRORS, WEIGHTS
from mcusim.kernels.number_formats.base import FormatList


def _of(formats: FormatList[Any], given: Any) -> tuple[str, ...]:
    """Read names with commas, or several names."""
    names = given.split(",") if isinstance(given, str) else given
    names = tuple(names) if isinstance(names, Iterable) else ()
    if not all(isinstance(name, str) for name in names):
        raise BadArgument(f"{formats.kind}s {given!r}", "are no names", f"e.g. {','.join(formats)}")
    found = tuple(formats[name.strip()].name for name in names if name.strip())
    if not found:
        raise BadArgument(f"{formats.kind}s", "are none to choose from", f"e.g. {','.join(formats)}")
    return found


def _numbers(what: str, given: Any, least: int, example: str) -> tuple[int, ...]:
    """Read numbers with commas, or several numbers."""
    words = given.split(",") if isinstance(given, str) else given
    words = tuple(words) if isinstance(words, Iterable) else (words,)
    try:
        found = tuple(dict.fromkeys(int(word) for word in words))
    except (TypeError, ValueError) as error:
        raise BadArgument(f"{what} {given!r}", "are no numbers", f"e.g. {example}") from error
    if not found or min(found) < least:
        raise BadArgument(f"{what} {given!r}", f"are no numbers from {least} up", f"e.g. {example}")
    return found


def _sides(given: Any) -> tuple[int, ...] | None:
    """Read sides of images, or ``none``."""
    if given is None or (isinstance(given, str) and given.strip().lower() == "none"):
        return None
    return _numbers("resolutions", given, 1, "128,160")


@dataclass(frozen=True, slots=True)
class SearchSpace(Chosen):
    """Which layers, how many channels and which formats a search may take.

    Raises:
        BadArgument: if a number is out of bounds, or no format is left.
        UnknownName: if a format is not known; suggests the nearest.
    """

    blocks: int | None = setting(None, "most last blocks that may learn; all if not given", least=1)
    ratio: float | None = setting(
        None, "most of the weights that may learn in a step, e.g. 0.02", above=0, most=1, example="0.02"
    )
    channels: float = setting(
        1.0, "most of one layer's channels that may learn at a time, e.g. 0.25", above=0, most=1
    )
    """The objective has no diminishing returns: with a tight ``ratio`` and no limit here it lets one or two
    layers learn as a whole."""
    step_ms: float | None = setting(
        None, "most time of a step, as modelled; any if not given", unit="ms", above=0, example="400"
    )
    bias_blocks: tuple[int, ...] = setting(
        (0,), "of how many last blocks the biases may learn, e.g. 0,12; 0: of those whose weights do",
        read=lambda given: _numbers("bias blocks", given, 0, "0,12"),
        write=lambda depths: ",".join(map(str, depths)),
    )  # fmt: skip
    """The objective knows nothing of biases: a short training must tell what more of them are worth."""
    resolutions: tuple[int, ...] | None = setting(
        None, "sides of the images to try, e.g. 128,160; the network's own if not given",
        read=lambda given: _sides(given),
        write=lambda sides: None if sides is None else ",".join(map(str, sides)),
    )  # fmt: skip
    """The objective knows nothing of them either."""
    stage: int = setting(200, "steps between redraws of the channels", unit="steps", least=1)
    errors: tuple[str, ...] = setting(
        ("float32", "int16"), "allowed formats of errors, preferred first",
        read=lambda given: _of(ERRORS, given), write=",".join,
    )  # fmt: skip
    weights: tuple[str, ...] = setting(
        ("int8+res8",), "allowed formats of learning weights, preferred first",
        read=lambda given: _of(WEIGHTS, given), write=",".join,
    )  # fmt: skip
