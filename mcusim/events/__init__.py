"""Floor 1: everything observable, as columnar events, and the sinks that take them."""

from mcusim.events.header import Header
from mcusim.events.schema import COLUMNS, NO_OFFSET, SCHEMA_VERSION, Event, EventKind
from mcusim.events.sink import NullSink, Sink, TableSink, TeeSink
from mcusim.events.table import EventTable, TableBuilder

__all__ = [
    "COLUMNS",
    "NO_OFFSET",
    "SCHEMA_VERSION",
    "Event",
    "EventKind",
    "EventTable",
    "Header",
    "NullSink",
    "Sink",
    "TableBuilder",
    "TableSink",
    "TeeSink",
]
