"""``mcusim prove``: a certificate of a plan, and the checker of certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o
from mcusim.session.experiment import Experiment


@o.takes_settings(but=("data",))
def prove(
    wanted: Experiment,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the certificate here (JSON).", metavar="FILE")
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="Check this certificate; plan nothing.", metavar="FILE")
    ] = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Prove that a step fits, for every selection its scheme may draw; or check such a proof by itself.

    Exit code 2: the certificate names something that is not so.
    """
    from mcusim.cli.output import print_json, print_sections, publish_sections
    from mcusim.cli.progress import working
    from mcusim.core import BadArgument
    from mcusim.proof.certificate import Certificate
    from mcusim.proof.prove import proven

    if check is not None:
        if out is not None:
            raise BadArgument("--check and --out", "ask for a check and for a new certificate", "give one")
        found = Certificate.read(check)
        found.require()
    else:
        session = wanted.session(wanted.network())
        with working("planning for every selection"):
            found = proven(session)
        if out is not None:
            found.save(out)
    publish_sections(found.sections(), html, title="certificate")
    if json:
        print_json(found.as_dict())
    else:
        print_sections(found.sections())
