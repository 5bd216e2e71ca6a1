"""What is supposed of a core and library before own rows are seen: the nearest profile that there is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import hypot

import numpy as np

from mcusim.core import Work
from mcusim.mcu.core import core as known_core
from mcusim.mcu.cycles.form import FLASH, Constant
from mcusim.mcu.cycles.hierarchy import Array, Constants, Spreads
from mcusim.mcu.cycles.profile import Profile, profile, profile_names

SPREADS = Spreads()


@dataclass(frozen=True, slots=True)
class Nearest:
    """A profile as a starting point."""

    profile: Profile
    why: str
    """What differs from what was measured, in words."""
    form: tuple[Constant, ...]
    constants: Constants
    """Of ``form``, as uncertain as the profile, and widened for what differs."""

    def rest(self, work: Work) -> float:
        """Return the cycles of an op that no constant of the form explains."""
        weighed = {(kind, count) for c in self.form for kind, counts in c.weighs.items() for count in counts}
        terms = self.profile.terms.get(work.kind, self.profile.default)
        return sum(
            value * (1 if count == "ops" else getattr(work, count))
            for count, value in terms.items()
            if (work.kind, count) not in weighed
        )


def nearest(core: str, library: str, version: str) -> Nearest:
    """Return the profile nearest to a core, library and version, widened for what differs.

    Of the same core before others, of the same library before others. Of one library's versions the nearest,
    the newest where none is named. Versions of different libraries cannot be compared: of those what was
    measured counts before what was modelled, then more families of networks, more rows, smaller errors.
    Another version adds the spreads of a version, another library those of a library, and another core
    those of a core: ``Spreads`` in hierarchy.py.

    Raises:
        UnknownName: if nothing is known of that core.
    """
    known_core(core)
    known = [profile(name) for name in profile_names()]

    def near(one: Profile) -> tuple[bool, bool, tuple[float, ...]]:
        same = _key(one.library) == _key(library)
        f = one.fitted
        told = (
            bool(one.calibrated), f.families, f.rows, -(f.held_out_mean_error or f.mean_error),
        )  # fmt: skip
        return one.core == core, same, _closeness(one.version, version) if same else told

    found = max(known, key=near)
    same_core, same_library, _ = near(found)
    same_version = found.version == version
    form, logs = _form(found)
    covariance = np.array(found.band.covariance)
    differs: list[tuple[str, float, float]] = []
    if not same_core:
        differs.append(("core", SPREADS.core_speed, hypot(SPREADS.core, SPREADS.core_of_library)))
    if not same_library:
        differs.append(("library", SPREADS.library_speed, SPREADS.library))
    elif not same_version:
        differs.append(("version", SPREADS.version_speed, hypot(SPREADS.version, SPREADS.core_of_version)))
    differs.append(("chip", found.band.chip, 0.0))
    for _, speed, own in differs:
        covariance = covariance + speed**2 + own**2 * np.eye(len(form))
    why = " and ".join(name for name, *_ in differs[:-1])
    return Nearest(
        found, f"of another {why}" if why else "of the same core, library and version", form,
        Constants(logs, covariance),
    )  # fmt: skip


def _closeness(version: str, wanted: str) -> tuple[float, ...]:
    """Return what is larger the nearer a version is to the wanted one; without one, the newer it is."""
    if version == wanted:
        return (1.0,)
    numbers, others = ([float(part) for part in re.findall(r"\d+", text)] for text in (version, wanted))
    if not others:
        return (0.0, *numbers)
    size = max(len(numbers), len(others))
    one, two = (part + [0.0] * (size - len(part)) for part in (numbers, others))
    return (0.0, *(-abs(a - b) for a, b in zip(one, two, strict=True)), *numbers)


def _key(library: str) -> str:
    return library.lower().split(" (")[0].strip()


def _form(one: Profile) -> tuple[tuple[Constant, ...], Array]:
    form, logs = [], []
    for name, terms in one.band.constants.items():
        weighs: dict[str, tuple[str, ...]] = {}
        value = one.flash_stall if name == FLASH else 0.0
        for kind, _, count in (term.rpartition(".") for term in terms):
            weighs[kind] = (*weighs.get(kind, ()), count)
            value = one.terms[kind][count]
        form.append(Constant(name, weighs, value))
        logs.append(np.log(max(value, 1e-6)))
    return tuple(form), np.array(logs)
