"""The forward pass on the host: batches, reused buffers, the same integers as the step at batch 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadData
from mcusim.core.fields import field_of, joined
from mcusim.engine.state import constant
from mcusim.graph import Model, Op
from mcusim.graph.batch import keeps_examples
from mcusim.graph.states import kept, needed
from mcusim.kernels import forward as kernels
from mcusim.kernels.compiled.driver import CallTable
from mcusim.kernels.compiled.prepared import Workspace

Array = NDArray[Any]


class _Bound(NamedTuple):
    """Arrays of so many examples, and the calls between them."""

    sources: dict[str, Array]
    run: Callable[[], object]
    results: dict[str, Array]
    result: Array | None
    """The only one, if there is one."""
    states: tuple[tuple[Array, Array, Array], ...]
    """Each as it is before an invocation, as it is behind it, and as it begins."""


class Inference:
    """Runs some ops of a model on batches of a fixed largest size.

    Networks with an op that would mix the examples of a batch see one example at a time. One that keeps
    state is given sequences ``(n, times, ...)``, each from the beginning, and gives its last results.

    Args:
        model: whose constants are used.
        ops: the ops to run, in order; all of the model's by default.
        source: the tensor that is given; the model's inputs by default.
        results: the tensors that are wanted; the last op's output, or the model's outputs, by default.
        batch: most examples at once.

    Several inputs, and several results, are the fields of records: see ``mcusim.core.fields``.
    """

    def __init__(
        self, model: Model, ops: Sequence[Op] | None = None, source: str | None = None, batch: int = 16,
        results: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.model, self.batch = model, batch
        self.ops = tuple(model.ops if ops is None else ops)
        self.sources = model.inputs if source is None else (source,)
        last = self.ops[-1:]
        ends = model.outputs if ops is None else tuple(op.output for op in last) or self.sources
        self.results = tuple(results) or ends
        read = {name for op in self.ops for name in op.inputs}
        states = () if source is not None else model.states
        self._states = kept(states, needed(read, self.ops, states))
        self._alone = not all(keeps_examples(op, model.tensors, 1) for op in self.ops)
        workspace = Workspace()
        self._kernels = [
            kernels.forward(op, model.tensors, model.arithmetic, workspace=workspace) for op in self.ops
        ]
        self._buffers = self._allocate()
        self._bound: dict[int, _Bound] = {}

    def __call__(self, x: Array) -> Array:
        """Return the results for a batch ``x`` of the source's shape ``(n, ...)``.

        The array returned is overwritten by the next call.
        """
        bound = self._bound.get(len(x)) or self._made(len(x))
        if bound is None:
            # Some op would mix the examples of a batch.
            return np.concatenate([self(x[i : i + 1]).copy() for i in range(len(x))])
        sources, run, results, result, states = bound
        given = {name: x if len(sources) == 1 else x[name] for name in sources}
        for state, _, initial in states:
            np.copyto(state, initial)
        for time in range(next(iter(given.values())).shape[1] if states else 1):
            for name, source in sources.items():
                np.copyto(source, given[name][:, time] if states else given[name])
            run()
            for state, value in [(state, after.copy()) for state, after, _ in states]:
                np.copyto(state, value)
        return joined("the results", results) if result is None else result

    def _made(self, n: int) -> _Bound | None:
        """Bind ``n`` examples, unless they have to go one by one."""
        if n > self.batch:
            raise BadData("batch", f"has {n} examples", f"give at most {self.batch} at once")
        if self._alone and n > 1:
            return None
        self._bound[n] = self._bind(n)
        return self._bound[n]

    def _bind(self, n: int) -> _Bound:
        """Make every view for ``n`` examples once, and one table of all kernels."""
        given = {name: self.model.tensors[name] for name in self.sources}
        values: dict[str, Array] = {
            name: np.empty((n, *tensor.shape[1:]), tensor.dtype) for name, tensor in given.items()
        }
        for state in self._states:
            values[state.name] = np.empty(self._shape(state.name, n), self.model.tensors[state.name].dtype)
        calls = []
        for op, kernel in zip(self.ops, self._kernels, strict=True):
            shape = self._shape(op.output, n)
            size = int(np.prod(shape))
            values[op.output] = self._buffers[op.output][:size].reshape(shape)
            calls.append(kernels.bound(kernel, self._inputs(op, values), values[op.output]))
        sources, results = ({name: values[name] for name in names} for names in (self.sources, self.results))
        only = next(iter(results.values())) if len(results) == 1 else None
        states = tuple(
            (values[s.name], values[s.after], constant(self.model, s.initial)) for s in self._states
        )
        return _Bound(sources, CallTable(calls).run, results, only, states)

    def _shape(self, name: str, n: int) -> tuple[int, ...]:
        shape = self.model.tensors[name].shape
        return shape if self._alone else (n, *shape[1:])

    def run(self, x: Array) -> Array:
        """Return the outputs for any number of examples, as an array of its own."""
        parts = [self(x[i : i + self.batch]).copy() for i in range(0, len(x), self.batch)]
        return np.concatenate(parts)

    def _inputs(self, op: Op, values: dict[str, Array]) -> tuple[Array, ...]:
        if op.weight is not None:
            return (values[op.inputs[0]],)
        tensors = self.model.tensors
        return tuple(values[n] if n in values else tensors[n].data for n in op.inputs)  # type: ignore[misc]

    def _allocate(self) -> dict[str, Array]:
        """Give every output a flat buffer; a tensor that is dead hands its buffer on."""
        last = {name: i for i, op in enumerate(self.ops) for name in (*op.inputs, op.output)}
        last.update(dict.fromkeys((*self.results, *(s.after for s in self._states)), len(self.ops)))
        free: list[Array] = []
        buffers: dict[str, Array] = {}
        storage: dict[str, Array] = {}
        for i, op in enumerate(self.ops):
            tensor = self.model.tensors[op.output]
            dtype = np.dtype(tensor.dtype)
            size = self.batch * tensor.bytes
            fitting = [b for b in free if len(b) >= size]
            if fitting:
                best = min(fitting, key=len)
                free = [b for b in free if b is not best]
            else:
                best = np.empty(-(-size // 64) * 64, np.uint8)
            storage[op.output] = best
            buffers[op.output] = best[:size].view(dtype)
            for name in {*op.inputs, op.output}:
                if last[name] <= i and name in storage:
                    free.append(storage.pop(name))
        return buffers


def activations(model: Model, x: Array, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Return the output of every op by tensor name for a batch in the model's input format.

    Args:
        model: the network.
        x: ``(n, ...)`` of the input tensor's shape and type, e.g. int8 NHWC; records for several inputs. Of a
            network that keeps state sequences ``(n, times, ...)``: what its ops give at the last.
        names: only these outputs; all by default.

    Raises:
        BadData: if ``x`` has another shape or type than the model's input.
    """
    wanted = None if names is None else set(names)
    batch = model.input.shape[0]
    given = {name: _given(model, name, x) for name in model.inputs}
    tensors = model.tensors
    if len(x) > batch == 1 and not all(keeps_examples(op, tensors, 1) for op in model.ops):
        each = [activations(model, x[i : i + 1], names) for i in range(len(x))]
        return {name: np.concatenate([found[name] for found in each]) for name in each[0]}
    kernel = {op.name: kernels.forward(op, tensors, model.arithmetic) for op in model.ops}
    states = {s.name: np.repeat(constant(model, s.initial), len(x) // batch, axis=0) for s in model.states}
    values: dict[str, Array] = {}
    for time in range(next(iter(given.values())).shape[1] if states else 1):
        now = {n: np.ascontiguousarray(x[:, time]) if states else x for n, x in given.items()}
        values = {**states, **now}
        for op in model.ops:
            tensor = tensors[op.output]
            output = np.empty((len(x) * tensor.shape[0] // batch, *tensor.shape[1:]), tensor.dtype)
            inputs = (op.inputs[0],) if op.weight is not None else op.inputs
            arrays = tuple(values[n] if n in values else tensors[n].data for n in inputs)
            kernel[op.name](arrays, output, None)
            values[op.output] = output
        states = {state.name: values[state.after] for state in model.states}
    made = {op.output for op in model.ops}
    return {n: v for n, v in values.items() if n in (made if wanted is None else made & wanted)}


def _given(model: Model, name: str, x: Array) -> Array:
    """Return what is given for one input, checked."""
    expected, found = model.tensors[name], field_of(x, name, "inputs")
    one = tuple(found.shape[2 if model.states else 1 :])
    if one != expected.shape[1:] or found.dtype != np.dtype(expected.dtype) or 0 in found.shape[1:]:
        shape = ("n x times x " if model.states else "n x ") + "x".join(map(str, expected.shape[1:]))
        raise BadData(
            f"input of shape {tuple(found.shape)} and type {found.dtype}", f"does not fit {model.name}",
            f"give {shape} of {expected.dtype}",
        )  # fmt: skip
    return np.ascontiguousarray(found)
