"""Floor 3: record, store, replay and export events; needs no network."""

from mcusim.traces.recorder import Position, Recorder
from mcusim.traces.store import Trace, TraceFile, read_trace, write_trace
from mcusim.traces.template import OpSpan, StepTemplate, step_template

__all__ = [
    "OpSpan",
    "Position",
    "Recorder",
    "StepTemplate",
    "Trace",
    "TraceFile",
    "read_trace",
    "step_template",
    "write_trace",
]
