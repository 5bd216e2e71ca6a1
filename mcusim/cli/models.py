"""``mcusim models``: what can be loaded by name, and what could be fetched."""

from __future__ import annotations

from mcusim.cli import options as o


def models(json: o.Json = False) -> None:
    """List networks and data sets: those on this machine, and public ones that can be fetched."""
    from mcusim.cli.output import print_json, print_tables
    from mcusim.files.load import available, cache_dir
    from mcusim.files.registry import registry

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
    from mcusim.report.console import grid

    print_tables(
        grid(("on this machine", "file"), [(r["name"], r["file"]) for r in rows]),
        grid(
            ("mcusim fetch NAME", "what", "licence"), [(e["name"], e["what"], e["licence"]) for e in missing]
        ),
    )
