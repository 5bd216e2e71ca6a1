"""Kernels bound to buffers: a call from Python costs one integer argument.

Passing numpy arrays to compiled code costs more than small layers take to compute. A prepared kernel
therefore writes all addresses and sizes into one record, once for every set of buffers it meets, and
each call passes the record's address.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from numba import types
from numba.core.typing.npydecl import parse_dtype
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.kernels.arrays import Array, StoreResult
from mcusim.kernels.compiled.compiler import inner

ALIGNMENT = 64


@intrinsic
def array_at(context, address, count, dtype):  # type: ignore[no-untyped-def]
    """Return ``count`` elements at an address as an array."""
    kind = types.Array(parse_dtype(dtype), 1, "C")

    def generate(target: Any, builder: Any, sig: Any, values: Any) -> Any:
        element = target.get_data_type(kind.dtype)
        size = target.get_constant(types.intp, target.get_abi_sizeof(element))
        made = target.make_array(kind)(target, builder)
        populate_array(
            made, data=builder.inttoptr(values[0], element.as_pointer()), shape=[values[1]], strides=[size],
            itemsize=size, meminfo=None,
        )  # fmt: skip
        return made._getvalue()

    return kind(types.int64, types.int64, dtype), generate


@intrinsic
def record_at(context, address, dtype):  # type: ignore[no-untyped-def]
    """Return the record at an address."""
    kind = parse_dtype(dtype)

    def generate(target: Any, builder: Any, sig: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], target.get_value_type(kind))

    return kind(types.int64, dtype), generate


@inner
def exist(channels, count, limit):  # type: ignore[no-untyped-def]
    """Return True if ``count`` int32 channels at an address are all in [0, limit)."""
    found, missing = array_at(channels, count, np.int32), 0
    for i in range(count):
        missing |= found[i] < 0 or found[i] >= limit
    return missing == 0


def address_of(array: Array | None) -> int:
    """Return where an array lies; 0 for ``None``."""
    return 0 if array is None else int(array.ctypes.data)


def shares_bytes(a: Array, b: Array) -> bool:
    """True if some byte lies between the ends of both arrays."""
    first, second = address_of(a), address_of(b)
    return first < second + b.nbytes and second < first + a.nbytes


class Workspace:
    """Host memory for intermediate results, kept from call to call because fresh pages are slow.

    Kernels may share one as long as they run in the same thread. It grows as needed; kernels read its
    address through ``cell``, so those bound earlier find the new place.
    """

    def __init__(self) -> None:
        self.cell = np.zeros(1, np.int64)
        self._buffer = np.zeros(0, np.uint8)

    def reserve(self, count: int) -> None:
        """Make room for at least ``count`` bytes."""
        if self._buffer.size < count + ALIGNMENT:
            self._buffer = np.zeros(count + ALIGNMENT, np.uint8)
            start = address_of(self._buffer)
            self.cell[0] = start + -start % ALIGNMENT


def aligned(count: int) -> int:
    """Return ``count`` bytes rounded up to the workspace's alignment."""
    return count + -count % ALIGNMENT


class Prepared(ABC):
    """Base of all prepared kernels: remembers, for every set of buffers, the record made for it."""

    def __init__(self) -> None:
        self._bound: dict[tuple[int, ...], tuple[Callable[..., Any], list[Any]]] = {}

    @abstractmethod
    def _record(self, *buffers: Any) -> tuple[Any, NDArray[Any]]:
        """Return the compiled entry and the record for these buffers, or raise ``BadArgument``."""

    def bind(self, *buffers: Array | None) -> Callable[..., Any]:
        """Return the kernel bound to these buffers; it keeps them and the kernel's constants alive."""
        entry, record = self._record(*buffers)
        bound = partial(entry, address_of(record))
        bound.keep = (self, record, buffers)  # type: ignore[attr-defined]
        return bound

    def bound(self, *buffers: Array | None) -> Callable[..., Any]:
        """Return the kernel bound to these buffers, made at the first call with them.

        An entry lives as long as its arrays: an ``id`` is never met again for another array.
        """
        key = tuple(map(id, buffers))
        found = self._bound.get(key)
        if found is not None:
            return found[0]
        entry, record = self._record(*buffers)
        run = partial(entry, address_of(record))
        run.keep = record  # type: ignore[attr-defined]
        forget = partial(self._forget, key)
        self._bound[key] = (run, [ref(b, forget) for b in buffers if b is not None])
        return run

    def _forget(self, key: tuple[int, ...], _: object) -> None:
        self._bound.pop(key, None)


class ForwardKernel(Prepared):
    """Base of the forward kernels; ``_record`` gets (output, mask, *inputs)."""

    def __call__(
        self, inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None
    ) -> None:
        """Run the op; see ``forward.forward``."""
        buffers = self._buffers(inputs, output)  # kept alive: copies of broadcast inputs have no other owner
        self.bound(output, mask, *buffers)()

    def call(
        self, inputs: tuple[Array, ...], output: Array, mask: NDArray[np.uint8] | None = None
    ) -> Callable[[], Any]:
        """Return the op as a call without arguments on these buffers: the quickest way to run it often."""
        buffers = self._buffers(inputs, output)
        if self._settled(inputs, buffers):
            return self.bind(output, mask, *buffers)
        # An operand that has to be copied first is copied anew in every call.
        return partial(self, inputs, output, mask)

    def _buffers(self, inputs: tuple[Array, ...], output: Array) -> tuple[Array, ...]:
        """Return the inputs in the form the kernel takes them."""
        return inputs

    def _settled(self, inputs: tuple[Array, ...], buffers: tuple[Array, ...]) -> bool:
        """True if that form need not be made anew for every call."""
        return all(a is b for a, b in zip(buffers, inputs, strict=True))


class GradInputKernel(Prepared):
    """Base of the kernels of input gradients; ``_record`` gets (g_y, mask, g_x, *inputs)."""

    def __call__(
        self, g_y: Array, g_y_scale: float, mask: NDArray[np.uint8] | None, inputs: tuple[Array, ...],
        g_x: Array, g_x_scale: float, accumulate: bool,
    ) -> StoreResult:  # fmt: skip
        """Compute the gradient; see ``backward.grad_input``."""
        run = self.bound(g_y, mask, g_x, *inputs)
        return StoreResult(*run(float(g_y_scale), float(g_x_scale), int(accumulate)))


def check(name: str, array: Array, dtype: str, last: int | None = None) -> None:
    """Raise ``BadArgument`` unless an array is C-contiguous, of ``dtype`` and with ``last`` channels."""
    if array.dtype != dtype:
        raise BadArgument(name, f"is {array.dtype}, not {dtype}")
    if not array.flags.c_contiguous:
        raise BadArgument(name, "is not C-contiguous", "pass a contiguous array")
    if last is not None and (array.ndim == 0 or array.shape[-1] != last):
        raise BadArgument(name, f"has shape {array.shape} and not {last} channels")


def check_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise ``BadArgument`` unless an array has ``shape``."""
    if array.shape != shape:
        raise BadArgument(name, f"has shape {array.shape} and not {shape}")


def check_mask(name: str, mask: Array, output: Array) -> None:
    """Raise ``BadArgument`` unless ``mask`` has one bit for every element of ``output``."""
    check(f"mask of {name}", mask, "uint8")
    if mask.size != -(-output.size // 8):
        raise BadArgument(f"mask of {name}", f"has {mask.size} bytes for {output.size} elements")
