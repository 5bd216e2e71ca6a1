"""Which step a measurement belongs to: the same ops, in the same order, on tensors of the same shapes."""

from __future__ import annotations

from hashlib import sha256

from mcusim.lowering.step import Step


def digest(step: Step) -> str:
    """Return 16 hexadecimal digits that two steps share only if they have the same ops and tensors.

    Where tensors lie is left out, and so is what the firmware needs beside them: neither changes what is
    executed.
    """
    made = sha256(step.model.name.encode())
    for op in step.ops:
        made.update(repr((op.name, str(op.action), *map(str, (*op.reads, *op.writes)))).encode())
    for tensor in step.tensors.values():
        if tensor.name != "runtime":
            made.update(repr((str(tensor.name), tensor.shape, tensor.dtype)).encode())
    return made.hexdigest()[:16]
