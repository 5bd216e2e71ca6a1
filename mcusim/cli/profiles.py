"""``mcusim profiles``: what is known of the speed of kernel libraries on cores."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering
from mcusim.sections.kinds import Column

COLUMNS = (
    Column("cycle profile", kind="name"), Column("core", kind="name", priority=1),
    Column("library", priority=3),
    Column("rows", kind="number", priority=2), Column("families", kind="number", priority=3),
    Column("mean error", kind="share"), Column("90%", kind="share", priority=1),
    Column("worst", kind="share", priority=1),
    Column("in band", kind="share", digits=0, priority=2), Column("boards", priority=1),
)  # fmt: skip


def profiles(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show one profile with its terms.", metavar="[PROFILE]", autocompletion=offering("profile")
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """List the cycle profiles, with their errors on families of networks left out of the fit."""
    from dataclasses import asdict

    from mcusim.cli.output import print_json, print_sections
    from mcusim.mcu.board_files import boards
    from mcusim.mcu.cycles.profile import Profile, profile, profile_names
    from mcusim.sections.kinds import Facts, Headline, Notes, Table

    def library(one: Profile) -> str:
        return " ".join(part for part in (one.library, one.version, one.option) if part)

    found = [profile(each) for each in ([name] if name else profile_names())]
    if json:
        print_json({"profiles": [asdict(each) for each in found]})
        return
    if name is None:
        used = {each.name: [b.name for b in boards() if b.profile == each.name] for each in found}
        rows = [
            (p.name, p.core, library(p), p.fitted.rows, p.fitted.families, p.fitted.held_out_mean_error,
             p.fitted.held_out_90_error, p.fitted.held_out_worst_error, p.fitted.coverage,
             ", ".join(used[p.name]))
            for p in found
        ]  # fmt: skip
        print_sections([Table(COLUMNS, rows)])
        return
    (one,) = found
    terms = [
        (kind, count, value)
        for kind, counts in [*one.terms.items(), ("all others", one.default)]
        for count, value in counts.items()
    ]
    columns = (
        Column("kind", kind="name"),
        Column("count", kind="name"),
        Column("cycles each", kind="number"),
    )
    facts = [
        ("core", one.core), ("library", library(one)), ("rests on", one.source),
        ("boards measured", ", ".join(one.chips) or "none"),
        ("measured kinds", ", ".join(one.calibrated) or "none"),
        ("other kinds", one.default_source),
    ]  # fmt: skip
    print_sections([Headline(one.name), Facts(facts), Table(columns, terms), Notes(one.notes, quiet=True)])
