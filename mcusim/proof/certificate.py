"""A certificate: everything there is to check about a placement, as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mcusim.core.boundary import reads
from mcusim.core.errors import BadProof
from mcusim.core.files import replacing
from mcusim.proof.checker import first_violation
from mcusim.sections.kinds import Facts, Headline, Section
from mcusim.sections.shown import Shown

LARGEST = 64 * 2**20
"""Bytes of a file that is read."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Certificate(Shown):
    """A placement with all that shows that it holds; ``data`` is the JSON object, see its schema."""

    data: Mapping[str, Any]

    @property
    def violation(self) -> str | None:
        """The first thing that is not so; ``None`` if the independent checker finds that all of it holds."""
        return first_violation(self.data)

    @property
    def draws(self) -> int:
        """How many selections there are room for."""
        return int(self.data["selections"]["draws"])

    @property
    def height_bytes(self) -> int:
        """Bytes of SRAM that every selection fits in."""
        return int(self.data["sram"]["height_bytes"])

    def require(self) -> None:
        """Check the certificate.

        Raises:
            BadProof: naming the first thing that is not so.
        """
        wrong = self.violation
        if wrong is not None:
            raise BadProof("certificate", wrong, "make it anew with mcusim prove")

    def save(self, path: str | Path) -> None:
        """Write it, whole or not at all.

        Raises:
            SaveFailed: if the file cannot be written.
        """
        with replacing(path) as file:
            file.write((json.dumps(self.data, indent=1, allow_nan=False) + "\n").encode())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Return the certificate in a file, unchecked.

        Raises:
            BadProof: if the file is missing, too large, or no JSON object.
        """
        return cls(_read(path))

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return dict(self.data)

    def sections(self) -> list[Section]:
        """Return what it is of, what holds, and for how many selections."""
        wrong, data = self.violation, self.data
        if wrong is not None:
            return [Headline("certificate", wrong, False)]
        subject, sram, flash = data["subject"], data["sram"], data["flash"]
        bound = sram["lower_bound"]["bytes"]
        lower = "no placement is lower" if sram["optimal"] else f"no placement is lower than {bound:,} B"
        layers = len(data["selections"]["layers"])
        rows = [
            ("SRAM", f"{sram['height_bytes']:,} of {sram['capacity_bytes']:,} B; {lower}"),
            ("checked", f"{len(sram['blocks'])} blocks over {len(sram['ops'])} ops, "
                        f"{len(sram['overlaps'])} pairs that may overlap"),
            ("selections", f"every one of {_number(self.draws)}, of channels of {layers} layers"
                           if layers else "there is one: no channels are chosen"),
            ("flash", f"{flash['total_bytes']:,} of {flash['capacity_bytes']:,} B, "
                      f"{len(flash['items'])} items"),
            *((f["name"], f"{f['bytes']:,} B ({f['provenance']}: {f['source']})") for f in data["figures"]),
        ]  # fmt: skip
        title = f"{subject['model']} on {subject['board']}, update {subject['update']}"
        return [Headline(title, "holds", True), Facts(rows)]

    def __repr__(self) -> str:
        return f"<Certificate {self.data['subject']['model']}: {self.height_bytes:,} B>"


def _number(count: int) -> str:
    text = f"{count:,}"
    return text if count < 10**9 else f"about 10^{len(str(count)) - 1}"


@reads(BadProof, "mcusim prove writes certificates")
def _read(path: str | Path) -> dict[str, Any]:
    with Path(path).open("rb") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise BadProof(str(path), f"is larger than {LARGEST >> 20} MiB")
    data = json.loads(text)
    if not isinstance(data, dict):
        raise BadProof(str(path), "is no JSON object", "mcusim prove writes certificates")
    return data
