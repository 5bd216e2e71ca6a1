"""The C kernel that makes an input of samples, and its record."""

from __future__ import annotations

import numpy as np

from mcusim.core import Role
from mcusim.data.preprocess import TIE
from mcusim.deployment.context import StepContext, refusal
from mcusim.deployment.records import Call
from mcusim.deployment.text import NULL, CText, real
from mcusim.graph import DTYPES
from mcusim.lowering.step import StepOp


def front_end(context: StepContext, op: StepOp) -> Call:
    """Return the call that makes the input of the samples of a sound.

    Raises:
        BadModel: if the network takes a sequence, of which a sound is not one moment.
    """
    front, x = context.step.front_end, context.model.input
    assert front is not None
    if context.model.states:
        raise refusal("the front end", f"hears a whole sound, and {context.model.name} takes it by moments")
    tables, samples = front.tables, context.step.tensors[op.reads[0]].shape[0]

    def table(name: str, values: np.ndarray) -> CText:
        return context.constants.array(f"front_end_{name}", values, Role.WEIGHT)

    fields = {
        "samples": context.at(op.reads[0]), "y": context.at(op.writes[0]),
        "scratch": CText(f"(float *){context.at(op.scratch)}"), "window": table("window", tables.window),
        "waves": table("waves", tables.waves), "weights": table("weights", tables.weights),
        "cosines": NULL if tables.cosines is None else table("cosines", tables.cosines),
        "bins": table("bins", tables.bins), "count": samples, "frame": front.frame, "hop": front.step,
        "points": front.transform, "frames": front.frames(samples), "bands": front.bands,
        "columns": front.columns, "bytes": DTYPES[x.dtype], "peak": front.peak,
    }  # fmt: skip
    if x.quant is not None:
        limits = np.iinfo(np.dtype(x.dtype))
        fields |= {
            "scale": real(TIE / float(x.quant.scale[0])), "zero": x.quant.zero_point, "low": limits.min,
            "high": limits.max,
        }  # fmt: skip
    return Call("mcusim_hear", "mcusim_front_end", fields)
