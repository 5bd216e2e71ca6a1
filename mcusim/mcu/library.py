"""What a kernel library takes beside tensors and constants, as it grows with the network: a fitted form.

ST publishes, for the networks of its model zoo under X-CUBE-AI 7.3 to 10.0, the SRAM that the library takes
for itself ("runtime RAM") and the flash of its code: 28 rows. Both grow with the ops of the network, as it
is after simplification. The lines minimise the sum of squared relative errors;
``benchmarks/library_fit.py`` fits them anew and says what they miss of rows, and of families, left out.
"""

from __future__ import annotations

from dataclasses import dataclass

ROWS = 28
SOURCE = f"fitted to {ROWS} rows of ST's model zoo under X-CUBE-AI 7.3 to 10.0"


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes as a line over the ops of a network.

    Attributes:
        base_kib, op_kib: KiB of no op, and of each.
        least_bytes: what there is at the least: a line may begin below 0.
        error: mean relative error of rows left out one by one.
        family_error: the same with all rows of a family of networks left out.
    """

    base_kib: float
    op_kib: float
    least_bytes: int
    error: float
    family_error: float

    def bytes(self, ops: int) -> int:
        """Return the bytes that a network of so many ops makes of it."""
        return max(round((self.base_kib + self.op_kib * ops) * 128) * 8, self.least_bytes)

    @property
    def source(self) -> str:
        """Where the line comes from, and how far it is off."""
        kib = f"{self.base_kib:+.2f} KiB {self.op_kib:+.2f} KiB an op"
        return (
            f"{SOURCE}: {kib}; off by {self.error:.0%} on rows left out, {self.family_error:.0%} on families"
        )


RUNTIME = Growth(-1.7209, 0.5597, 1024, 0.112, 0.146)
CODE = Growth(35.763, 1.0237, 16_384, 0.073, 0.099)
