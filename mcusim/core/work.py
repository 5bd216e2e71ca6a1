"""Exact counts of the work one op does; cycle models read these and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Work:
    """Work counts of one op at batch 1. All counts are exact integers.

    ``kind`` names the loop nest a kernel library has for it: ``conv``, ``stem``, ``pointwise``,
    ``depthwise``, ``fully_connected``, ``add``, ``pool``, ``softmax``, ``copy``, ``elementwise``,
    ``loss``, ``grad_input.<forward kind>``, ``grad_weight.<forward kind>``, ``grad_bias``,
    ``update`` …
    """

    kind: str
    macs: int = 0
    """Integer multiply-accumulates; taps that fall on padding are not counted."""
    float_macs: int = 0
    """Multiply-accumulates with a float32 operand; padding taps not counted."""
    outputs: int = 0
    """Elements written to the op's output."""
    weight_bytes: int = 0
    input_bytes: int = 0
    """Bytes of the op's distinct input tensors (not weights)."""
    requants: int = 0
    """Rescalings of an accumulator into the output format."""
    int_ops: int = 0
    """Other integer operations on elements (additions, comparisons, mask bits)."""
    float_ops: int = 0
    """Other float32 operations on elements."""
    im2col_bytes: int = 0
    """Bytes copied into im2col columns."""
    sram_read: int = 0
    sram_written: int = 0
    flash_read: int = 0
    flash_written: int = 0

    def moving(self, sram_read: int, sram_written: int, flash_read: int) -> Work:
        """Return the same work with other bytes read and written."""
        return Work(
            self.kind, self.macs, self.float_macs, self.outputs, self.weight_bytes, self.input_bytes,
            self.requants, self.int_ops, self.float_ops, self.im2col_bytes, sram_read, sram_written,
            flash_read, self.flash_written,
        )  # fmt: skip

    def __add__(self, other: Work) -> Work:
        """Sum all counts; the kind stays the left operand's."""
        counts = {
            f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "kind"
        }
        return Work(self.kind, **counts)
