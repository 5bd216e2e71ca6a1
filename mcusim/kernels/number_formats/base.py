"""What a number format consists of. A class that lacks a part cannot be made, so it cannot be listed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from mcusim.core import BadArgument, Kind, UnknownName
from mcusim.graph import DTYPES
from mcusim.kernels.arrays import Array, StoreResult

CompiledRule = Callable[[int, float, float, int, int], Any]
"""``rule(address of a record, rate, momentum, seed, counter)``; see ``compiled.rules``."""


class Extra(ABC):
    """The extra precision that a format keeps beside each value of a parameter."""

    kind: ClassVar[Kind]
    dtype: ClassVar[str]

    @property
    def bytes(self) -> int:
        """Bytes an element."""
        return DTYPES[self.dtype]

    @abstractmethod
    def start(self, value: Array) -> Array:
        """Return what lies beside the values that training starts from."""


class NumberFormat(ABC):
    """Base of all number formats; without state.

    Attributes:
        name: how settings call it.
        dtype: element type of its values.
    """

    name: ClassVar[str]
    dtype: ClassVar[str]

    def __init__(self) -> None:
        for part in self._parts():
            if not hasattr(self, part):
                raise BadArgument(type(self).__name__, f"has no {part}", f"say {part} in the class")

    @classmethod
    def _parts(cls) -> tuple[str, ...]:
        """Return the names of what a class has to say."""
        return ("name", "dtype")


class ParameterFormat(NumberFormat):
    """How a learning weight or bias is kept, and what a step of SGD does to it.

    Attributes:
        extra: what is kept beside each value; ``None`` if nothing is.
        c_rule: the function of ``deployment/kernels/update.c`` that gives the same bits as ``step``; ``None``
            if there is none: then it is not written as firmware.
    """

    extra: ClassVar[Extra | None]
    c_rule: ClassVar[str | None]

    @classmethod
    def _parts(cls) -> tuple[str, ...]:
        return (*super()._parts(), "extra", "c_rule")

    @property
    def bytes(self) -> int:
        """Bytes of one parameter: the value that the forward pass reads, and what is kept beside it."""
        return DTYPES[self.dtype] + (0 if self.extra is None else self.extra.bytes)

    @abstractmethod
    def step(
        self, value: Array, extra: Array | None, step: Array, draw: Callable[[], Array]
    ) -> tuple[Array, Array | None]:
        """Return new values and extras, slowly: this defines the result.

        Args:
            value: of type ``dtype``.
            extra: of the same shape, where the format keeps one.
            step: float32 of the same shape, what to subtract, in units of the value.
            draw: returns a float64 in [0, 1) for each element, the same in every call.
        """

    @abstractmethod
    def compiled(self) -> CompiledRule:
        """Return the compiled twin of ``step``, which gives the same bits."""


class ErrorFormat(NumberFormat):
    """How gradients with respect to activations are stored between two ops.

    Attributes:
        limit: the largest magnitude it stores, in units of a tensor's power-of-two scale; ``None`` for a
            floating-point format, which needs no scale.
    """

    limit: ClassVar[float | None]

    @classmethod
    def _parts(cls) -> tuple[str, ...]:
        return (*super()._parts(), "limit")

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return DTYPES[self.dtype]

    @abstractmethod
    def store(self, values: Array, g: Array, scale: float, accumulate: bool) -> StoreResult:
        """Store float32 ``values`` in ``g``, slowly, or add them to it: this defines the result."""

    @abstractmethod
    def compiled(self) -> int:
        """Return what the compiled kernels call the format; see ``compiled.errors``."""


class _Named(Protocol):
    name: ClassVar[str]

    @property
    def bytes(self) -> int: ...


F = TypeVar("F", bound=_Named)


class FormatList(Mapping[str, F]):
    """Formats by name.

    Args:
        kind: what a person calls such a format; used in error messages.
        formats: in the order in which they are listed.
    """

    def __init__(self, kind: str, *formats: F) -> None:
        self.kind = kind
        self._formats = {f.name: f for f in formats}
        if len(self._formats) < len(formats):
            raise BadArgument(f"two of {kind}", "have the same name", "choose another")

    def __getitem__(self, name: str) -> F:
        """Return the format of that name.

        Raises:
            UnknownName: if there is none; suggests the nearest.
        """
        if name not in self._formats:
            raise UnknownName(self.kind, name, self._formats)
        return self._formats[name]

    def __contains__(self, name: object) -> bool:
        return name in self._formats

    def __iter__(self) -> Iterator[str]:
        return iter(self._formats)

    def __len__(self) -> int:
        return len(self._formats)

    def smaller(self, name: str) -> tuple[str, ...]:
        """Return the formats that take fewer bytes than one, the largest first, one of each size."""
        firsts: dict[int, str] = {}
        for other in self._formats.values():
            firsts.setdefault(other.bytes, other.name)
        return tuple(firsts[size] for size in sorted(firsts, reverse=True) if size < self[name].bytes)


class ParameterFormats(FormatList[ParameterFormat]):
    """Formats of one parameter by name, and the one that a float network's parameters always have."""

    def __init__(self, kind: str, plain: ParameterFormat, *formats: ParameterFormat) -> None:
        super().__init__(kind, *formats)
        self.plain = plain

    def of(self, name: str, dtype: str) -> ParameterFormat:
        """Return the format that a parameter of type ``dtype`` learns in where ``name`` was chosen.

        Raises:
            UnknownName: if there is no such format.
        """
        chosen = self[name]
        return chosen if chosen.dtype == dtype else self.plain
