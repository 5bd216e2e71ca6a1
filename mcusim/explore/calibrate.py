"""A cycle profile from measurements: rows, or a file of them, whose networks are loaded and counted."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from mcusim.core import BadArgument, Work
from mcusim.explore.op_logs import measurements_of
from mcusim.graph import Model
from mcusim.mcu.cycles.calibration import Calibration, calibration
from mcusim.mcu.cycles.measurement import Measurement, read_measurements


def calibrate(
    measurements: Sequence[Measurement] | str | Path,
    *,
    name: str,
    core: str,
    library: str,
    data: str = "",
    command: str = "",
    version: str = "",
    option: str = "",
    model: Model | str | Path | None = None,
    mhz: float | None = None,
    unit: str = "",
) -> Calibration:
    """Fit a cycle profile of one core.

    The rows move the nearest profile that there is, few rows little: those of single ops kind by kind, one
    constant a count, those of whole networks the constants that the profile has. Every group of rows is
    left out once.

    Args:
        measurements: a CSV file as ``read_measurements`` describes, or rows of this core. A column
            ``model`` of the file names networks, by name or path.
        name: of the new profile.
        core: such as ``cortex-m4``.
        library: the kernel library measured.
        data: which rows of which file, for the profile's provenance; the file if there is one.
        command: what to run to get the profile again; for a file ``mcusim calibrate`` with these choices.
        version: of the library.
        option: how the library was built.
        model: the network that ran, if the file is a log of its ops: TFLite Micro's profiler, ExecuTorch's
            ETDump, an X-CUBE-AI validation, cycles by op as firmware, GVSoC or Renode print them.
        mhz: clock of the core, for logs of times.
        unit: of such a log, where it does not say: cycles, us, ms or s.

    Returns:
        The profile, with the error of every row, fitted and left out.

    Raises:
        BadData: if the file cannot be read, or if rows of ops and of networks are mixed, are fewer than
            two, or of another core.
        BadArgument: for rows without ``data`` or ``command``: no profile is without its source.
        UnknownName: if nothing is known of the core's float arithmetic, or of a network by that name.
    """
    if isinstance(measurements, str | Path):
        path = Path(measurements)
        rows: Sequence[Measurement]
        if model is None:
            rows = read_measurements(path, core, _works(path))
        else:
            rows = measurements_of(path, _network(model), core, mhz=mhz, unit=unit)
        data = data or str(path)
        command = command or _asked(
            path, core=core, library=library, name=name, version=version, option=option,
            model=model if model is None or isinstance(model, str | Path) else model.name, mhz=mhz, unit=unit,
        )  # fmt: skip
    else:
        rows = measurements
    for said, what in ((data, "data"), (command, "command")):
        if not said:
            raise BadArgument(f"{what} of profile {name}", "is not said", "say where the rows come from")
    return calibration(
        rows, name=name, core=core, library=library, data=data, command=command, version=version,
        option=option,
    )  # fmt: skip


def _asked(path: Path, **choices: object) -> str:
    """Return the command that fits this profile again; what was not chosen is not said."""
    import shlex

    given = ((name, value) for name, value in choices.items() if value not in (None, ""))
    options = (
        word for name, value in given for word in (f"--{name}", f"{value:g}" if name == "mhz" else str(value))
    )
    return shlex.join(["mcusim", "calibrate", str(path), *options])


def _network(model: Model | str | Path) -> Model:
    from mcusim.files.load import load

    return model if isinstance(model, Model) else load(model)


def _works(path: Path) -> dict[str, tuple[Work, ...]]:
    """Count the work of every network that the column ``model`` names."""
    from mcusim.files.load import load
    from mcusim.lowering.work import forward_work

    try:
        with path.open(newline="", encoding="utf-8") as file:
            names = {row.get("model") for row in csv.DictReader(file) if not row.get("kind")}
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}  # reading the measurements says what is wrong
    models = {name: load(name) for name in sorted(n for n in names if n)}
    return {name: tuple(forward_work(op, m.tensors) for op in m.ops) for name, m in models.items()}
