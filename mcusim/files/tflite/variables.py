"""Variables of a TFLite file: what a streaming network keeps from one invocation to the next.

READ_VARIABLE copies a variable out, ASSIGN_VARIABLE copies a value in, and a subgraph that CALL_ONCE names
gives each its first value. Here a variable is a `StreamState`: a read before the assignment is the state
itself, one behind it is the value that was assigned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mcusim.core import BadModel
from mcusim.files.tflite.flatbuffer import Buffer, FlatTable
from mcusim.files.tflite.schema import (
    ASSIGN_VARIABLE,
    CALL_ONCE,
    READ_VARIABLE,
    STATEFUL,
    VAR_HANDLE,
    operator_name,
)
from mcusim.files.tflite.tensors import read_tensors
from mcusim.graph import StreamState, Tensor

MAX_OPERATORS = 20_000
MAX_TEXT = 1_000
Key = tuple[str, str]
"""Container and name, by which all subgraphs know a variable."""


class Variables:
    """Reads the operators of the main subgraph that are about variables.

    Args:
        name: of the file.
        buffer, subgraphs, buffers: its parts.
        code_of: the builtin operator of an operator table.
    """

    def __init__(
        self,
        name: str,
        buffer: Buffer,
        subgraphs: Sequence[FlatTable],
        buffers: list[FlatTable],
        code_of: Callable[[FlatTable], int],
    ) -> None:
        self._name, self._buffer, self._subgraphs, self._buffers = name, buffer, subgraphs, buffers
        self._code_of = code_of
        self._first: dict[Key, Tensor] = {}
        self._handles: dict[int, Key] = {}
        self._value: dict[Key, str] = {}
        self._state: dict[Key, str] = {}
        main = _operators(subgraphs[0])
        self._assigned = {key for key, _ in self._assignments(main, name)}
        once = [t.table(4) for t in main if code_of(t) == CALL_ONCE]
        numbers = {0 if options is None else options.integer(0, 4) for options in once}
        for number in sorted(numbers):
            self._begin(number)
        if len(subgraphs) != 1 + len(numbers):
            count = len(subgraphs) - len(numbers)
            raise BadModel(name, f"has {count} subgraphs", "export the network without control flow")

    def _assignments(self, operators: list[FlatTable], thing: str) -> Iterator[tuple[Key, int]]:
        """Yield which variables are assigned which tensors, in order."""
        handles: dict[int, Key] = {}
        for table in operators:
            code = self._code_of(table)
            if code == VAR_HANDLE:
                handles[_numbers(table, 2, 1, thing)[0]] = _key(table)
            elif code == ASSIGN_VARIABLE:
                handle, value = _numbers(table, 1, 2, thing)
                if handle not in handles:
                    raise BadModel(thing, "assigns to no variable of a VAR_HANDLE", "the file is damaged")
                yield handles[handle], value

    def _begin(self, number: int) -> None:
        """Read the first values that a subgraph assigns."""
        thing = f"{self._name}: subgraph {number}, which CALL_ONCE names,"
        if not 1 <= number < len(self._subgraphs):
            raise BadModel(thing, f"is none of the {len(self._subgraphs)} there are", "the file is damaged")
        operators = _operators(self._subgraphs[number])
        codes = map(self._code_of, operators)
        others = [operator_name(code) for code in codes if code not in (VAR_HANDLE, ASSIGN_VARIABLE)]
        if others:
            raise BadModel(thing, f"computes ({others[0]})", "let variables begin with constants")
        tensors, _ = read_tensors(self._buffer, self._subgraphs[number], self._buffers)
        for key, value in self._assignments(operators, thing):
            if not 0 <= value < len(tensors) or not tensors[value].constant:
                raise BadModel(thing, "assigns what is no constant", "let variables begin with constants")
            self._first[key] = tensors[value]

    def takes(self, code: int) -> bool:
        """True for an operator that is about variables."""
        return code in STATEFUL

    def read(self, code: int, table: FlatTable, numbered: list[str], tensors: dict[str, Tensor]) -> None:
        """Read an operator; ``numbered`` names the tensors of the graph, and is changed where one is another.

        Raises:
            BadModel: without the operator's name, if it is damaged.
        """
        if code == VAR_HANDLE:
            self._handles[_numbers(table, 2)[0]] = _key(table)
            return
        if code == CALL_ONCE:
            return
        given = _numbers(table, 1, 1 if code == READ_VARIABLE else 2)
        made = _numbers(table, 2) if code == READ_VARIABLE else given
        if given[0] not in self._handles or not all(0 <= i < len(numbered) for i in (*given, *made)):
            raise BadModel("", "names no VAR_HANDLE before it, or no tensor", "the file is damaged")
        key = self._handles[given[0]]
        if code == ASSIGN_VARIABLE:
            self._value[key] = numbered[given[1]]
        elif (known := self._value.get(key, self._state.get(key))) is not None:
            numbered[made[0]] = _same(tensors, known, numbered[made[0]])
        elif key in self._assigned:
            self._state[key] = numbered[made[0]]
        else:
            name = numbered[made[0]]
            tensors[name] = replace(tensors[name], data=self._initial(key, tensors[name]).data)

    def _initial(self, key: Key, tensor: Tensor) -> Tensor:
        """Return the first value of a variable: the number that stands for 0 where the file has none."""
        name = f"{tensor.name}/initial"
        if key in self._first:
            return replace(self._first[key], name=name)
        zero = 0 if tensor.quant is None else tensor.quant.zero_point
        data = np.full(tensor.shape, zero, tensor.dtype)
        data.flags.writeable = False
        return replace(tensor, name=name, data=data)

    def states(self, tensors: dict[str, Tensor]) -> tuple[StreamState, ...]:
        """Return what the network keeps; adds the first values to ``tensors``.

        A variable that is written and never read, or read once it was written, keeps nothing.
        """
        found = []
        for key, name in self._state.items():
            first = self._initial(key, tensors[name])
            tensors[first.name] = first
            found.append(StreamState(name, self._value[key], first.name))
        return tuple(found)


def _operators(subgraph: FlatTable) -> list[FlatTable]:
    return subgraph.tables(3, MAX_OPERATORS)


def _numbers(table: FlatTable, field: int, count: int = 1, thing: str = "") -> list[int]:
    """Return so many tensor numbers of an operator."""
    found = [int(i) for i in table.array(field, "<i4")[: count + 1]]
    if len(found) != count:
        raise BadModel(thing, f"has {len(found)} tensors of a variable, not {count}", "the file is damaged")
    return found


def _key(table: FlatTable) -> Key:
    options = table.table(4)
    return ("", "") if options is None else (options.text(0, MAX_TEXT), options.text(1, MAX_TEXT))


def _same(tensors: dict[str, Tensor], known: str, read: str) -> str:
    """Return the tensor that a read gives again; refuse one that means the bytes otherwise."""
    one, other = tensors[known], tensors[read]
    quant = one.quant is None if other.quant is None else other.quant.same_as(one.quant)
    if (one.shape, one.dtype) != (other.shape, other.dtype) or not quant:
        reason = f"reads as {read!r} what is kept as {known!r}, of another shape, type or scale"
        raise BadModel("", reason, "export the network with one scale for the variable")
    return known
