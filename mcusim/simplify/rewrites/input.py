"""A float input that is quantised first of all comes as integers: a sensor, or its driver, can give that."""

from __future__ import annotations

from dataclasses import replace

from mcusim.graph import QUANTISED, OpKind
from mcusim.simplify.draft import NetworkDraft


def given(network: NetworkDraft) -> bool:
    """Take out a QUANTIZE behind a float32 input that nothing else reads.

    The input keeps its name and takes the type and scale of that op's output: four times smaller as int8. Fed
    with what the op would have made of an example, the network gives the same bits.
    """
    for name in network.inputs:
        op = network.only_reader(name)
        if op is None or op.kind is not OpKind.QUANTIZE or op.output in network.outputs:
            continue
        y = network.tensors[op.output]
        if network.tensors[name].dtype != "float32" or y.dtype not in QUANTISED:
            continue
        network.remove(op)
        network.rename(op.output, name)
        network.tensors[name] = replace(y, name=name)
        return True
    return False
