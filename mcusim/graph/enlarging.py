"""The same network on smaller pictures, which it enlarges itself."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from mcusim.core import BadArgument, BadModel
from mcusim.graph.kinds import OpKind
from mcusim.graph.model import Model
from mcusim.graph.ops import Attributes, Op
from mcusim.graph.validate import validate

PIXELS, ENLARGE = "pixels", "enlarge"
"""Names of the new input and of the op behind it."""


def enlarging(model: Model, side: int) -> Model:
    """Return a network that takes pictures of ``side`` x ``side`` pixels and enlarges them by itself.

    Its first op is TFLite's RESIZE_BILINEAR with half-pixel centres, in the quantisation of the input. Where
    the first stage runs in patches, only the part of the enlarged picture that a patch needs ever exists: the
    input of a network at 128 pixels takes 3,072 bytes instead of 49,152 when a picture of 32 arrives.

    The result differs from that of pictures enlarged before quantisation by what quantising first rounds.

    Raises:
        BadArgument: if the network does not take one square int8 image, or ``side`` is as large as it is.
    """
    image = model.input
    shape = image.shape
    if len(model.inputs) != 1 or len(shape) != 4 or shape[1] != shape[2] or image.dtype != "int8":
        reason = f"cannot be fewer: its input is {image.dtype} {shape}, no square int8 image"
        way_out = "leave out pixels" if image.dtype != "float32" else "quantise it first (mcusim quantize)"
        raise BadArgument(f"pixels of {model.name}", reason, way_out)
    if not 1 <= side < shape[1]:
        raise BadArgument(
            f"pixels {side}", f"are not fewer than the {shape[1]} of {model.name}",
            f"choose 1 to {shape[1] - 1}, or leave out pixels",
        )  # fmt: skip
    pixels, name = _free(PIXELS, model.tensors), _free(ENLARGE, {op.name for op in model.ops})
    tensors = {pixels: replace(image, name=pixels, shape=(shape[0], side, side, shape[3])), **model.tensors}
    attributes = Attributes(shape=shape, half_pixel_centers=True)
    enlarge = Op(name, OpKind.RESIZE_BILINEAR, (pixels,), image.name, attributes)
    enlarged = replace(
        model, name=f"{model.name}<{side}", ops=(enlarge, *model.ops), tensors=tensors, inputs=(pixels,)
    )
    try:
        validate(enlarged)
    except BadModel as error:
        raise BadArgument(
            f"pixels {side}", f"do not suit {model.name}: {error}", "leave out pixels"
        ) from error
    return enlarged


def enlarged(model: Model) -> str | None:
    """Return the picture that the network makes of its only input, if all it does with that is to enlarge it.

    So does what `enlarging` returns, and a network that was exported with such a layer in front.
    """
    first, small = model.ops[0], model.input
    readers = [op for op in model.ops if small.name in op.inputs]
    if first.kind is not OpKind.RESIZE_BILINEAR or readers != [first] or model.inputs != (small.name,):
        return None
    larger = model.tensors[first.output].shape[1] > small.shape[1]
    return first.output if first.attributes.half_pixel_centers and larger and small.dtype == "int8" else None


def _free(name: str, taken: Container[str]) -> str:
    """Return a name that nothing in the network has."""
    while name in taken:
        name += "_"
    return name
