"""``mcusim schemes``: what may learn, and how it is written."""

from __future__ import annotations

from mcusim.cli import options as o
from mcusim.sections.kinds import Column

COLUMNS = (Column("--update", kind="name"), Column("what learns"), Column("parameters", priority=1))


def schemes(json: o.Json = False) -> None:
    """List the update schemes: what each lets learn, and its parameters with their defaults."""
    from dataclasses import asdict

    from mcusim.cli.output import print_json, print_sections
    from mcusim.explore.names import scheme_forms
    from mcusim.sections.kinds import Notes, Table

    found = scheme_forms()
    if json:
        print_json({"schemes": [asdict(item) for item in found]})
        return
    rows = [
        (item.name, item.what, ", ".join(f"{n}={v or '…'}" for n, v in item.defaults.items()))
        for item in found
    ]
    note = "parameters follow a colon, as in dynamic:ratio=0.05,blocks=3; a lone number a dash: last-6"
    print_sections([Table(COLUMNS, rows), Notes([note], quiet=True)])
