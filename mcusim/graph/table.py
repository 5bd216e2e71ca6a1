"""Tables with a row for every kind of op: none is ever forgotten, and none has a silent default."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from mcusim.core import BadModel
from mcusim.graph.kinds import OpKind

V = TypeVar("V")


class Named(Protocol):
    """What an error tells about an op: its name and its kind."""

    @property
    def name(self) -> str:
        """The op's name."""

    @property
    def kind(self) -> OpKind:
        """What it computes."""


class OpTable(Generic[V]):
    """What is known of every kind of op, or why it is not.

    A table is not built unless each kind has a row or is named as absent with a reason. The reason is what
    a user reads whose network holds such an op: it continues "op 'name' (kind): ...".

    Args:
        name: of what the table holds; it is registered in ``TABLES`` under it.
        rows: the value of each kind.
        absent: kind -> why it has no value.
        way_out: what a user can do about an absent kind.

    Raises:
        TypeError: if a kind is missing, or has both a value and a reason, or the name is taken.
    """

    def __init__(
        self,
        name: str,
        rows: Mapping[OpKind, V],
        absent: Mapping[OpKind, str] | None = None,
        way_out: str = "",
    ) -> None:
        self.name, self.way_out = name, way_out
        self._rows, self.absent = dict(rows), dict(absent or {})
        if name in TABLES:
            raise TypeError(f"there are two tables of {name}")
        self.require(OpKind)
        TABLES[name] = self

    def require(self, kinds: Iterable[OpKind]) -> None:
        """Refuse unless each of ``kinds`` has either a row or a reason for having none.

        Raises:
            TypeError: names the kinds that are missing, or have both.
        """
        wrong = [str(kind) for kind in kinds if (kind in self._rows) == (kind in self.absent)]
        if wrong:
            raise TypeError(
                f"the table of {self.name} needs, of {', '.join(wrong)}, either a row or the reason why "
                "there is none"
            )

    def of(self, op: Named) -> V:
        """Return the row of an op's kind.

        Raises:
            BadModel: if that kind is absent: names the op, the reason and the way out.
        """
        if op.kind in self._rows:
            return self._rows[op.kind]
        raise BadModel(f"op {op.name!r} ({op.kind})", self.absent[op.kind], self.way_out)

    def __getitem__(self, kind: OpKind) -> V:
        """Return the row of a kind that has one; ask ``of`` where it may be absent."""
        return self._rows[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._rows

    def __iter__(self) -> Iterator[OpKind]:
        return iter(self._rows)

    def items(self) -> Iterable[tuple[OpKind, V]]:
        """Return (kind, row) of every kind that has a row."""
        return self._rows.items()


TABLES: dict[str, OpTable[Any]] = {}
"""Every table there is, by name; a module's tables are here once it was imported."""
