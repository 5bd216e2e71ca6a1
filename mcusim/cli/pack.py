"""``mcusim pack``: solve any allocation problem in the minimalloc CSV form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli import options as o


def pack(
    file: Annotated[
        Path, typer.Argument(help="Problem: rows of id,lower,upper,size; lifetimes are half-open.")
    ],
    planner: o.Planner = "best",
    capacity: Annotated[str | None, typer.Option(help="Bytes there are, e.g. 1048576 or 1MiB.")] = None,
    align: Annotated[int, typer.Option(help="Every offset is a multiple of this power of two.")] = 1,
    effort: Annotated[
        int | None, typer.Option(help="Work to spend, in the planner's own unit.", min=0)
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds after which the best placement so far counts.", min=0)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the solution here.", metavar="FILE")] = None,
    seed: o.Seed = 0,
    plot: o.Plot = None,
    html: o.Html = None,
    json: o.Json = False,
) -> None:
    """Give every block of a CSV file an offset, and say how low the placement is and what is proven.

    Where blocks do not fit at once, an exact search goes on until they do, or cannot; Ctrl-C ends it with the
    best placement found so far.

    Exits with 3 if the placement does not fit the capacity; then nothing is written.
    """
    from time import perf_counter

    from mcusim.cli.output import DOES_NOT_FIT, draw, print_json, print_sections, publish_sections
    from mcusim.cli.progress import working
    from mcusim.core import parse_bytes
    from mcusim.memory.csv import read_csv, write_csv
    from mcusim.memory.pack import pack as solved
    from mcusim.memory.problem import Status
    from mcusim.sections.kinds import Facts, Headline, Section

    problem = read_csv(file, capacity=None if capacity is None else parse_bytes(capacity), align=align)
    began = perf_counter()
    said = f"{planner} looks for a place for {len(problem.blocks):,} blocks"
    with working(said, at_most_s=time_limit):
        solution = solved(problem, planner=planner, effort=effort, seed=seed, time_limit_s=time_limit)
    seconds = perf_counter() - began
    if out is not None and solution.fits:
        write_csv(out, problem, solution.offsets)
    draw((problem, solution), plot)
    found = {
        "file": str(file), "blocks": len(problem.blocks), "planner": planner, "winner": solution.winner,
        "status": str(solution.status), "fits": solution.fits, "capacity_bytes": problem.capacity,
        "lower_bound_bytes": solution.lower_bound, "height_bytes": solution.height, "seconds": seconds,
        "out": str(out) if out is not None and solution.fits else None,
    }  # fmt: skip
    rows = (
        ("height", f"{solution.height:,} B"),
        ("lower bound", f"{solution.lower_bound:,} B"),
        ("status", str(solution.status)),
        ("time", f"{seconds:.3f} s"),
    )
    head = f"{len(problem.blocks):,} blocks, planner {planner}, won by {solution.winner}"
    sections: list[Section] = [Headline(head), Facts(rows)]
    publish_sections(sections, html, title=str(file), glanced=(problem, solution))
    if json:
        print_json(found)
    else:
        print_sections(sections)
    if not solution.fits:
        assert problem.capacity is not None
        over = f"capacity {problem.capacity:,} B is exceeded by {solution.height - problem.capacity:,} B"
        proof = (
            f"no placement fits: at least {solution.lower_bound:,} B are needed"
            if solution.status is Status.INFEASIBLE
            else "a better placement may exist: try more --effort, or a longer --time-limit"
        )
        typer.echo(f"error: {over}; {proof}", err=True)
        raise typer.Exit(DOES_NOT_FIT)
