"""``mcusim doctor``: what this installation has, and what to mend."""

from __future__ import annotations

from mcusim.cli import options as o


def doctor(json: o.Json = False) -> None:
    """Say what this installation has: versions, processor, compiled kernels, extras, data, caches."""
    from mcusim.cli.output import print_json, print_sections
    from mcusim.explore.installation import doctor as look

    found = look()
    if json:
        print_json(found.as_dict())
    else:
        print_sections(found.sections())
