"""Everything a person chooses about a training session, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mcusim.core import BadArgument, UnknownName
from mcusim.lowering.patches import Patches
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd

RESIDENCIES = ("auto", "sram", "flash")
LOSSES = ("cross_entropy", "mse")
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Settings:
    """Choices of a session; the defaults are what a newcomer should get.

    Attributes:
        update: text of the update scheme, e.g. ``dynamic`` or ``static:mbv2-99kb``.
        sram_bytes: bytes that may be used.
        seed: seeds selection, order, augmentation and stochastic rounding.
        formats: number formats.
        sgd: learning rates, momentum, accumulation.
        residency: ``sram``, ``flash``, or ``auto``: SRAM if that fits.
        patches: ``None`` (off), a ``Patches``, or ``auto``: only if needed, the fewest recomputed MACs.
        in_place: let outputs overwrite inputs nobody needs any more.
        planner: name of a static planner.
        allocator: name of a dynamic allocator that serves the step instead, as a heap at run time would.
        profile: name of a cycle profile, or ``None`` for the board's own.
        loss: ``cross_entropy`` over classes, or ``mse``: reconstruct the input, for autoencoders.
    """

    update: str = "dynamic"
    sram_bytes: int = 262_144
    seed: int = 0
    formats: Formats = field(default_factory=Formats)
    sgd: Sgd = field(default_factory=Sgd)
    residency: str = AUTO
    patches: Patches | str | None = AUTO
    in_place: bool = True
    planner: str = "best"
    allocator: str | None = None
    profile: str | None = None
    loss: str = "cross_entropy"

    def __post_init__(self) -> None:
        if self.residency not in RESIDENCIES:
            raise UnknownName("residency", self.residency, RESIDENCIES)
        if self.loss not in LOSSES:
            raise UnknownName("loss", self.loss, LOSSES)
        if isinstance(self.patches, str) and self.patches != AUTO:
            object.__setattr__(self, "patches", parse_patches(self.patches))
        if not 0 <= self.seed < 2**32:
            raise BadArgument(f"seed {self.seed}", "is not in 0..4294967295", "use a small whole number")

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        sgd = {f.name: getattr(self.sgd, f.name) for f in fields(self.sgd)}
        patches = self.patches
        return {
            **data,
            "formats": self.formats.as_dict(),
            "sgd": {**sgd, "layer_rates": dict(self.sgd.layer_rates)},
            "patches": f"{patches.count}:{patches.split}" if isinstance(patches, Patches) else patches,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """Rebuild from ``as_dict``."""
        values = dict(data)
        values["formats"] = Formats(**values["formats"])
        values["sgd"] = Sgd(**values["sgd"])
        return cls(**values)


def parse_patches(text: str) -> Patches | str | None:
    """Read ``auto``, ``off`` or ``COUNT:OP``, e.g. ``2:blocks.2.pointwise2``.

    Raises:
        BadArgument: if it is none of these.
    """
    if text == AUTO:
        return AUTO
    if text in ("off", "none"):
        return None
    count, _, split = text.partition(":")
    if not count.isdecimal() or not split:
        raise BadArgument(f"patches {text!r}", "is not auto, off or COUNT:OP", "e.g. 2:blocks.2.pointwise2")
    return Patches(int(count), split)
