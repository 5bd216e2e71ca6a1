"""How allocators round: headers, alignment, smallest block."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadProblem


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shape of the blocks of one heap.

    Attributes:
        header_bytes: lie right before each payload.
        align: payload addresses and block lengths are multiples of this power of two.
        min_block: no block, free or used, is shorter, header included; a multiple of ``align``.

    Raises:
        BadProblem: if these rules are broken.
    """

    header_bytes: int
    align: int
    min_block: int

    def __post_init__(self) -> None:
        if self.align < 1 or self.align & (self.align - 1):
            raise BadProblem("allocator", f"has alignment {self.align}", "use a power of two")
        if self.header_bytes < 0:
            raise BadProblem("allocator", f"has a header of {self.header_bytes} bytes", "use 0 or more")
        if self.min_block < max(1, self.header_bytes) or self.min_block % self.align:
            raise BadProblem(
                "allocator",
                f"has a smallest block of {self.min_block} bytes",
                "use a multiple of the alignment that holds the header",
            )

    def span(self, capacity: int, control: int = 0) -> tuple[int, int]:
        """Return the first and last bound of the bytes that blocks can use in a heap of ``capacity``.

        Every block that starts at the first bound or a multiple of ``align`` after it has an
        aligned payload. The two bounds are equal where there is no room for any block.
        """
        first = -(-(control + self.header_bytes) // self.align) * self.align - self.header_bytes
        last = first + max(0, capacity - first) // self.align * self.align
        return (first, last) if last - first >= self.min_block else (first, first)

    def gross(self, size: int) -> int:
        """Return the length of a block that holds ``size`` payload bytes."""
        return max(self.min_block, -(-(size + self.header_bytes) // self.align) * self.align)

    def start_in(self, hole_start: int, align: int) -> int:
        """Return the lowest start of a block in a hole so that its payload is aligned.

        What is left before it is nothing, or enough for a block of its own.
        """
        if align <= self.align:
            return hole_start
        payload = -(-(hole_start + self.header_bytes) // align) * align
        while 0 < payload - self.header_bytes - hole_start < self.min_block:
            payload += align
        return payload - self.header_bytes


def check_capacity(capacity: int) -> None:
    """Raise BadProblem unless ``capacity`` is a sensible number of bytes."""
    if not 0 < capacity < 2**48:
        raise BadProblem("heap", f"cannot have {capacity} bytes", "give a positive size")
