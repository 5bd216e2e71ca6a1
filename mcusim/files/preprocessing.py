"""What a file says about the pixels its network expects."""

from __future__ import annotations

from mcusim.graph import Model, OpKind, Preprocessing


def pixels_fill_the_input(model: Model, otherwise: Preprocessing) -> Preprocessing:
    """Return what maps pixel p to p - 128, whatever the input's scale and zero point.

    Converters calibrate an image input so that pixels fill the 8 bits. A float input is looked at
    behind its QUANTIZE; without one the file says nothing and the answer is ``otherwise``.
    """
    x = model.input
    if x.dtype == "float32":
        for op in model.ops:
            if op.kind is OpKind.QUANTIZE and op.inputs[0] == x.name:
                x = model.tensors[op.output]
                break
    if x.quant is None:
        return otherwise
    return Preprocessing(((128 + x.quant.zero_point) / 255,), (1 / (255 * float(x.quant.scale[0])),))
