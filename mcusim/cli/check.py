"""``mcusim check``: hold plans to budgets, as a gate in continuous integration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o


def check(
    budgets: Annotated[
        Path, typer.Argument(help="TOML file of budgets, or a pyproject.toml.", metavar="BUDGETS")
    ] = Path("pyproject.toml"),
    baseline: Annotated[
        Path | None, typer.Option(help="Figures of an earlier state to compare with.", metavar="FILE")
    ] = None,
    write_baseline: Annotated[
        Path | None, typer.Option(help="Write the figures of now, for later comparisons.", metavar="FILE")
    ] = None,
    fail_on_increase: Annotated[
        bool, typer.Option("--fail-on-increase", help="Anything above the baseline is wrong too.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML.", metavar="FILE")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write Markdown for a pull request.", metavar="FILE")
    ] = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Plan the networks of a file of budgets and say which limits on SRAM, flash, time and energy hold.

    Exit code 3: a limit is broken; 2: a network could not be planned at all.
    """
    from mcusim.cli.output import end, print_json, print_sections, publish_sections
    from mcusim.cli.progress import working
    from mcusim.core.files import replacing
    from mcusim.gate.baseline import write_baseline as write_figures
    from mcusim.gate.junit import junit as as_junit
    from mcusim.gate.markdown import markdown as as_markdown
    from mcusim.gate.verdict import check as judge

    with working("planning for every budget"):
        verdict = judge(budgets, baseline=baseline, fail_on_increase=fail_on_increase)
    for path, write in ((junit, as_junit), (markdown, as_markdown)):
        if path is not None:
            with replacing(path) as file:
                file.write(write(verdict).encode())
    publish_sections(verdict.sections(), html, title=str(budgets))
    if write_baseline is not None:
        write_figures(write_baseline, verdict.figures())
    if json:
        print_json(verdict.as_dict())
    else:
        print_sections(verdict.sections())
    if verdict.broken:
        raise typer.Exit(2)
    end(verdict.holds)
