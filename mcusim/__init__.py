"""mcusim: a memory-accurate simulator of training on microcontrollers.

>>> import mcusim
>>> model = mcusim.load("mbv2-w0.35", classes=10)
>>> board = mcusim.board("stm32f746")
>>> mcusim.plan(model, board, "dynamic", sram="256KiB").fits
True

Everything that the command line does is here under the same name, by what a person does:

* networks: `load`, `save`, `show`, `models`, `fetch`, `cache`, `from_torch`; a `Model`, its
  `ModelSummary`, its `Preprocessing`; a `Cached`
* make one smaller: `quantize`, `prune`; add to it what learns: `add_adapters`
* boards: `board`, `boards`, `profiles`, `calibrate` from measurements (`read_measurements`);
  a `Board`, a `Calibration`
* plan: `plan`, `scheme` (from `schemes`), `planners`, `allocators`, `timeline`; a `Plan`, its `Settings`
  (`Formats`, `Sgd`, `Patches`), a `Timeline` and its `Duty`
* train: `Session`, `train` by a `Recipe`, a `population` of schemes and seeds, `evaluate`, `predict`,
  `activations`, `data`, `Augmentation`, `Looks`; a `Run`, `read_run`, `watch` one that goes on; a `Watched`
* explore: `compare`, `search` with `sensitivity` within `SearchSpace`, `diff`; a `Comparison`, a `Found`,
  a `Ranking`, a `Difference`, a `Coverage`; many runs of one question: `sweep` a `Study`, a `StudyResult`;
  tasks that come one after the other: `stream`, a `StreamResult`
* take a step to a device: `firmware` in C, and its `twin` on an emulated core; a `Firmware`, a `TwinRun`
* hold plans to limits: `check`; a `Verdict`; and `prove` that they hold: a `Certificate`
* this machine: `doctor`; an `Installation`
* memory: `explain`, `report`, `plot` of any result (`plot_live`, `plot_arena`), `open_trace`, `read_trace`,
  `replay`, a `tour` of all planners and allocators, `export`, `pack`, `shipped_traces`; an `Explanation`,
  a `Trace`, a `TraceFile`, a `Replay`, a `Tour`, a `Solution`
* figures and errors: a `Figure` with its provenance; every error is a `McusimError`: `BadArgument`,
  `BadBoard`, `BadData`, `BadModel`, `BadProblem`, `BadProof`, `BadRun`, `BadTrace`, `Diverged`,
  `MissingPackage`, `OutOfFlash`, `OutOfSram`, `SaveFailed`, `UnknownName`

Public is what stands in ``mcusim.__all__`` and ``mcusim.data.__all__`` and, for schemes and planners of
one's own, in ``mcusim.update.__all__`` and ``mcusim.memory.__all__``, with the parameters and attributes
that its docstring names. Everything else, every module below ``mcusim`` included, may change in any version.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

GROUPS: dict[str, dict[str, str]] = {
    "networks": {
        "load": "mcusim.files.load",
        "save": "mcusim.files.save",
        "show": "mcusim.explore.layers",
        "models": "mcusim.explore.names",
        "fetch": "mcusim.files.fetch",
        "cache": "mcusim.explore.cache",
        "from_torch": "mcusim.files.torch.reader",
        "Model": "mcusim.graph",
        "Preprocessing": "mcusim.graph",
        "ModelSummary": "mcusim.explore.layers",
        "Cached": "mcusim.explore.cache",
    },
    "compression": {
        "quantize": "mcusim.compress.quantize.quantizer",
        "prune": "mcusim.compress.prune",
        "add_adapters": "mcusim.update.adapters",
    },
    "boards": {
        "board": "mcusim.mcu.board_files",
        "boards": "mcusim.mcu.board_files",
        "profiles": "mcusim.explore.names",
        "calibrate": "mcusim.explore.calibrate",
        "read_measurements": "mcusim.mcu.cycles.measurement",
        "Board": "mcusim.mcu.board",
        "Calibration": "mcusim.mcu.cycles.calibration",
    },
    "planning": {
        "plan": "mcusim.session.verbs",
        "scheme": "mcusim.update.scheme",
        "schemes": "mcusim.explore.names",
        "planners": "mcusim.explore.names",
        "allocators": "mcusim.explore.names",
        "timeline": "mcusim.planning.timeline",
        "Plan": "mcusim.planning.plan",
        "Settings": "mcusim.planning.settings",
        "Formats": "mcusim.update.formats",
        "Sgd": "mcusim.update.optimizer",
        "Patches": "mcusim.lowering.patches",
        "Duty": "mcusim.planning.duty",
        "Timeline": "mcusim.mcu.timeline.timeline",
    },
    "training": {
        "Session": "mcusim.session.session",
        "watch": "mcusim.reporting.watching",
        "train": "mcusim.session.verbs",
        "population": "mcusim.session.population",
        "evaluate": "mcusim.session.evaluation",
        "predict": "mcusim.session.verbs",
        "activations": "mcusim.engine.inference",
        "data": "mcusim.data",
        "Augmentation": "mcusim.data.augment",
        "Looks": "mcusim.data.looks",
        "Recipe": "mcusim.planning.recipe",
        "Run": "mcusim.session.run",
        "read_run": "mcusim.session.run",
        "Watched": "mcusim.reporting.watching",
    },
    "exploring": {
        "compare": "mcusim.explore.compare",
        "search": "mcusim.explore.search",
        "sensitivity": "mcusim.explore.sensitivity",
        "diff": "mcusim.reporting.diff",
        "sweep": "mcusim.studies.sweep",
        "stream": "mcusim.studies.stream",
        "StreamResult": "mcusim.studies.stream",
        "Study": "mcusim.studies.study",
        "StudyResult": "mcusim.studies.result",
        "Comparison": "mcusim.explore.compare",
        "SearchSpace": "mcusim.planning.search_space",
        "Found": "mcusim.explore.found",
        "Ranking": "mcusim.update.ranking",
        "Difference": "mcusim.reporting.diff",
        "Coverage": "mcusim.update.coverage",
    },
    "firmware": {
        "firmware": "mcusim.session.verbs",
        "twin": "mcusim.emulation.verb",
        "Firmware": "mcusim.deployment.project",
        "TwinRun": "mcusim.emulation.twin_run",
    },
    "gate": {
        "check": "mcusim.gate.verdict",
        "Verdict": "mcusim.gate.verdict",
        "prove": "mcusim.proof.prove",
        "Certificate": "mcusim.proof.certificate",
    },
    "this machine": {
        "doctor": "mcusim.explore.installation",
        "Installation": "mcusim.explore.installation",
    },
    "memory": {
        "explain": "mcusim.reporting.explain",
        "report": "mcusim.reporting.page",
        "plot": "mcusim.reporting.pictures.picture",
        "open_trace": "mcusim.reporting.subject",
        "read_trace": "mcusim.traces.store",
        "replay": "mcusim.traces.replay",
        "tour": "mcusim.traces.tour",
        "export": "mcusim.traces.export",
        "pack": "mcusim.memory.pack",
        "plot_live": "mcusim.reporting.pictures.memory",
        "plot_arena": "mcusim.reporting.pictures.memory",
        "shipped_traces": "mcusim.traces.shipped",
        "Explanation": "mcusim.traces.explanation",
        "Trace": "mcusim.traces.store",
        "TraceFile": "mcusim.traces.store",
        "Replay": "mcusim.traces.outcome",
        "Tour": "mcusim.traces.tour",
        "Solution": "mcusim.memory.problem",
    },
    "figures and errors": {
        "Figure": "mcusim.core.provenance",
        "McusimError": "mcusim.core.errors",
        "BadArgument": "mcusim.core.errors",
        "BadBoard": "mcusim.core.errors",
        "BadData": "mcusim.core.errors",
        "BadModel": "mcusim.core.errors",
        "BadProblem": "mcusim.core.errors",
        "BadProof": "mcusim.core.errors",
        "BadRun": "mcusim.core.errors",
        "BadTrace": "mcusim.core.errors",
        "Diverged": "mcusim.core.errors",
        "MissingPackage": "mcusim.core.errors",
        "OutOfFlash": "mcusim.core.errors",
        "OutOfSram": "mcusim.core.errors",
        "SaveFailed": "mcusim.core.errors",
        "UnknownName": "mcusim.core.errors",
    },
}
"""Public names by what a person does, with the module each lives in, entered when the name is first used."""

_WHERE = {name: module for group in GROUPS.values() for name, module in group.items()}

if TYPE_CHECKING:
    from mcusim import data
    from mcusim.compress.prune import prune
    from mcusim.compress.quantize.quantizer import quantize
    from mcusim.core.errors import (
        BadArgument,
        BadBoard,
        BadData,
        BadModel,
        BadProblem,
        BadProof,
        BadRun,
        BadTrace,
        Diverged,
        McusimError,
        MissingPackage,
        OutOfFlash,
        OutOfSram,
        SaveFailed,
        UnknownName,
    )
    from mcusim.core.provenance import Figure
    from mcusim.data.augment import Augmentation
    from mcusim.data.looks import Looks
    from mcusim.deployment.project import Firmware
    from mcusim.emulation.twin_run import TwinRun
    from mcusim.emulation.verb import twin
    from mcusim.engine.inference import activations
    from mcusim.explore.cache import Cached, cache
    from mcusim.explore.calibrate import calibrate
    from mcusim.explore.compare import Comparison, compare
    from mcusim.explore.found import Found
    from mcusim.explore.installation import Installation, doctor
    from mcusim.explore.layers import ModelSummary, show
    from mcusim.explore.names import allocators, models, planners, profiles, schemes
    from mcusim.explore.search import search
    from mcusim.explore.sensitivity import sensitivity
    from mcusim.files.fetch import fetch
    from mcusim.files.load import load
    from mcusim.files.save import save
    from mcusim.files.torch.reader import from_torch
    from mcusim.gate.verdict import Verdict, check
    from mcusim.graph import Model, Preprocessing
    from mcusim.lowering.patches import Patches
    from mcusim.mcu.board import Board
    from mcusim.mcu.board_files import board, boards
    from mcusim.mcu.cycles.calibration import Calibration
    from mcusim.mcu.cycles.measurement import read_measurements
    from mcusim.mcu.timeline.timeline import Timeline
    from mcusim.memory.pack import pack
    from mcusim.memory.problem import Solution
    from mcusim.planning.duty import Duty
    from mcusim.planning.plan import Plan
    from mcusim.planning.recipe import Recipe
    from mcusim.planning.search_space import SearchSpace
    from mcusim.planning.settings import Settings
    from mcusim.planning.timeline import timeline
    from mcusim.proof.certificate import Certificate
    from mcusim.proof.prove import prove
    from mcusim.reporting.diff import Difference, diff
    from mcusim.reporting.explain import explain
    from mcusim.reporting.page import report
    from mcusim.reporting.pictures.memory import plot_arena, plot_live
    from mcusim.reporting.pictures.picture import plot
    from mcusim.reporting.subject import open_trace
    from mcusim.reporting.watching import Watched, watch
    from mcusim.session.evaluation import evaluate
    from mcusim.session.population import population
    from mcusim.session.run import Run, read_run
    from mcusim.session.session import Session
    from mcusim.session.verbs import firmware, plan, predict, train
    from mcusim.studies.result import StudyResult
    from mcusim.studies.stream import StreamResult, stream
    from mcusim.studies.study import Study
    from mcusim.studies.sweep import sweep
    from mcusim.traces.explanation import Explanation
    from mcusim.traces.export import export
    from mcusim.traces.outcome import Replay
    from mcusim.traces.replay import replay
    from mcusim.traces.shipped import shipped_traces
    from mcusim.traces.store import Trace, TraceFile, read_trace
    from mcusim.traces.tour import Tour, tour
    from mcusim.update.adapters import add_adapters
    from mcusim.update.coverage import Coverage
    from mcusim.update.formats import Formats
    from mcusim.update.optimizer import Sgd
    from mcusim.update.ranking import Ranking
    from mcusim.update.scheme import scheme

__all__ = [
    "Augmentation",
    "BadArgument",
    "BadBoard",
    "BadData",
    "BadModel",
    "BadProblem",
    "BadProof",
    "BadRun",
    "BadTrace",
    "Board",
    "Cached",
    "Calibration",
    "Certificate",
    "Comparison",
    "Coverage",
    "Difference",
    "Diverged",
    "Duty",
    "Explanation",
    "Figure",
    "Firmware",
    "Formats",
    "Found",
    "Installation",
    "Looks",
    "McusimError",
    "MissingPackage",
    "Model",
    "ModelSummary",
    "OutOfFlash",
    "OutOfSram",
    "Patches",
    "Plan",
    "Preprocessing",
    "Ranking",
    "Recipe",
    "Replay",
    "Run",
    "SaveFailed",
    "SearchSpace",
    "Session",
    "Settings",
    "Sgd",
    "Solution",
    "StreamResult",
    "Study",
    "StudyResult",
    "Timeline",
    "Tour",
    "Trace",
    "TraceFile",
    "TwinRun",
    "UnknownName",
    "Verdict",
    "Watched",
    "__version__",
    "activations",
    "add_adapters",
    "allocators",
    "board",
    "boards",
    "cache",
    "calibrate",
    "check",
    "compare",
    "data",
    "diff",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "fetch",
    "firmware",
    "from_torch",
    "load",
    "models",
    "open_trace",
    "pack",
    "plan",
    "planners",
    "plot",
    "plot_arena",
    "plot_live",
    "population",
    "predict",
    "profiles",
    "prove",
    "prune",
    "quantize",
    "read_measurements",
    "read_run",
    "read_trace",
    "replay",
    "report",
    "save",
    "scheme",
    "schemes",
    "search",
    "sensitivity",
    "shipped_traces",
    "show",
    "stream",
    "sweep",
    "timeline",
    "tour",
    "train",
    "twin",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'mcusim' has no attribute {name!r}")
    module = import_module(_WHERE[name])
    value = module if name == "data" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
