import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadArgument
from mcusim.events import COLUMNS, Event, EventKind, EventTable, TableBuilder
from mcusim.events.schema import ENUMERATED

words = st.sampled_from(["", "a", "conv 1", 'ü,\n"q'])
integers = st.integers(-(2**63), 2**63 - 1)
events = st.builds(
    Event,
    *[integers] * 3,
    *[st.sampled_from(ENUMERATED[c]) for c in ("phase", "event", "region", "role")],
    words,
    words,
    *[integers] * 2,
)


@given(st.lists(events, max_size=20))
def test_rows_go_in_and_come_out(rows):
    table = EventTable.from_rows(rows)
    assert list(table) == rows
    assert len(table) == len(rows)
    assert [table.row(i) for i in range(len(rows))] == rows
    assert all(table.row(i - len(rows)) == row for i, row in enumerate(rows))


@given(st.lists(events, max_size=9), st.lists(events, max_size=9))
def test_concat_is_list_addition_and_equality_ignores_vocabularies(left, right):
    joined = EventTable.concat([EventTable.from_rows(left), EventTable.from_rows(right)])
    assert list(joined) == left + right
    assert joined == EventTable.from_rows(left + right)
    backwards = EventTable.concat([EventTable.from_rows(right), EventTable.from_rows(left)])
    assert backwards[len(right) :] == EventTable.from_rows(left)
    assert (backwards == joined) == (left + right == right + left)


def test_builder_counts_and_defaults():
    builder = TableBuilder()
    builder.add(EventKind.STEP_START)
    builder.add(EventKind.ALLOC, cycle=3, region="sram", role="error", tensor="e1", offset=16, bytes=5)
    table = builder.build()
    assert list(table) == [
        Event(0, 0, 0, "", "step_start", "", "", "", "", -1, 0),
        Event(1, 3, 0, "", "alloc", "sram", "error", "e1", "", 16, 5),
    ]
    frame = table.to_pandas()
    assert tuple(frame.columns) == COLUMNS
    assert frame["role"].tolist() == ["", "error"]
    assert frame["bytes"].tolist() == [0, 5]
    assert "e1" in table._repr_html_()
    assert repr(table) == "EventTable(2 events, 1 tensors, 0 ops)"


@pytest.mark.smoke
def test_masks_and_slices_select_rows():
    table = EventTable.from_rows([Event(i, 0, 0, "", "alloc", "", "", f"t{i}", "", 0, i) for i in range(4)])
    assert [e.tensor for e in table[table.bytes > 1]] == ["t2", "t3"]
    assert [e.tensor for e in table[np.array([3, 0])]] == ["t3", "t0"]
    assert [e.seq for e in table[1:3]] == [1, 2]
    assert list(EventTable.empty()) == []


def test_columns_are_read_only():
    table = EventTable.from_rows([Event(0, 0, 0, "", "alloc", "", "", "t", "", 0, 1)])
    with pytest.raises(ValueError, match="read-only"):
        table.bytes[0] = 2


@pytest.mark.parametrize("column", ["phase", "event", "region", "role"])
def test_unknown_words_are_refused(column):
    row = Event(0, 0, 0, "", "alloc", "", "", "t", "", 0, 1)._replace(**{column: "nonsense"})
    with pytest.raises(BadArgument, match=f"event 0: has {column} 'nonsense'"):
        EventTable.from_rows([row])


def test_columns_of_different_length_are_refused():
    table = EventTable.from_rows([Event(0, 0, 0, "", "alloc", "", "", "t", "", 0, 1)])
    with pytest.raises(BadArgument, match="shape"):
        table.replace(bytes=np.zeros(2, np.int64))
    with pytest.raises(BadArgument, match="empty name"):
        table.replace(op_names=("op",))
