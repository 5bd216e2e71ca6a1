"""The forms a trace can be exported to, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mcusim.core.errors import UnknownName
from mcusim.events import EventTable
from mcusim.traces.memory_viz import write_memory_viz
from mcusim.traces.perfetto import write_perfetto
from mcusim.traces.source import Source, Traced
from mcusim.traces.windows import problem_of


def write_minimalloc(path: str | Path, traced: Traced) -> Path:
    """Write the blocks of a trace in the minimalloc CSV form and return the path.

    Raises:
        BadTrace: a damaged trace, or too many events for one problem.
        SaveFailed: if the file cannot be written; one that was there stays.
    """
    from mcusim.memory.csv import write_csv

    source = Source(traced)
    events = EventTable.concat(list(source))
    write_csv(path, problem_of(events, align=source.header.align))
    return Path(path)


EXPORTS: dict[str, Callable[[str | Path, Traced], Path]] = {
    "perfetto": write_perfetto,
    "memory_viz": write_memory_viz,
    "minimalloc": write_minimalloc,
}


def export(trace: Traced, path: str | Path, form: str = "perfetto") -> Path:
    """Write a trace in a form that another program opens.

    Args:
        trace: in memory, or a file that is read group by group.
        path: the file to write.
        form: ``perfetto`` (ui.perfetto.dev), ``memory_viz`` (pytorch.org/memory_viz) or ``minimalloc``
            (the blocks as an allocation problem).

    Returns:
        The path.

    Raises:
        UnknownName: no such form.
    """
    if form not in EXPORTS:
        raise UnknownName("export", form, EXPORTS)
    return EXPORTS[form](path, trace)
