"""``mcusim models``: what can be loaded by name, and what could be fetched."""

from __future__ import annotations

from mcusim.cli import options as o


def models(json: o.Json = False) -> None:
    """List networks and data sets: those on this machine, and public ones that can be fetched."""
    from mcusim.cli.output import print_json, print_sections
    from mcusim.core.cache import cache_dir
    from mcusim.files.load import available
    from mcusim.files.registry import registry
    from mcusim.sections.kinds import Column, Table

    here, known = available(), registry()
    rows = [{"name": name, "file": str(file), "fetch": name in known} for name, file in here.items()]
    missing = [
        {"name": name, "what": entry.what, "licence": entry.licence, "bytes": entry.bytes, "url": entry.url,
         "fetched": (cache_dir() / entry.file).is_file()}
        for name, entry in known.items() if name not in here
    ]  # fmt: skip
    if json:
        print_json({"models": rows, "public": missing})
        return
    local = (Column("on this machine", kind="name"), Column("file"))
    public = (Column("mcusim fetch NAME", kind="name"), Column("what"), Column("licence", priority=1))
    print_sections(
        [
            Table(local, [(name, str(file)) for name, file in here.items()]),
            Table(public, [(e["name"], e["what"], e["licence"]) for e in missing]),
        ]
    )
