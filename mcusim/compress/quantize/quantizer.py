"""Post-training quantisation, all steps in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcusim.compress.examples import Examples, real_inputs
from mcusim.compress.floating import Shapes
from mcusim.compress.floating import floating as floating_model
from mcusim.compress.quantize.bias import correct_biases
from mcusim.compress.quantize.calibrate import calibrate
from mcusim.compress.quantize.equalize import equalize
from mcusim.compress.quantize.fold import fold
from mcusim.compress.quantize.forward import check_float
from mcusim.compress.quantize.ranges import RANGES
from mcusim.compress.quantize.rewrite import Head, rewrite
from mcusim.core import BadArgument, UnknownName
from mcusim.core.wording import choice
from mcusim.graph import Arithmetic, Model
from mcusim.graph.states import require_stateless


@dataclass(frozen=True, slots=True)
class QuantizeSettings:
    """How to quantise.

    Raises:
        BadArgument: for an unknown head format.
        UnknownName: for an unknown range method or arithmetic.
    """

    ranges: str = "minmax"
    """``minmax``, ``percentile`` (99.99 %) or ``mse``."""
    bias_correction: bool = True
    equalize: bool = False
    head: Head = "int8"
    """The classifier: ``int8`` weights with the int32 accumulator as output, or ``float32``."""
    arithmetic: Arithmetic = Arithmetic.TFLITE

    def __post_init__(self) -> None:
        if self.head not in ("int8", "float32"):
            raise BadArgument(choice("head", self.head), "is no head format", "use int8 or float32")
        RANGES[self.ranges]
        if self.arithmetic not in list(Arithmetic):
            raise UnknownName("arithmetic", self.arithmetic, list(Arithmetic))
        object.__setattr__(self, "arithmetic", Arithmetic(self.arithmetic))


def quantize(
    model: Model | str | Path | Any,
    inputs: Examples,
    settings: QuantizeSettings | None = None,
    *,
    images: int = 256,
    seed: int = 0,
    shape: Shapes | None = None,
    **choices: Any,
) -> Model:
    """Return the int8 twin of a float network.

    Batch normalisation, activations and padding are folded; weights become int8 with one symmetric
    scale an output channel, activations int8 with one scale and zero point a tensor, biases int32.

    Args:
        model: a float32 network; or the name or file of one (``.onnx``, ``.tflite``, ``.pt2``
            …), or a PyTorch module.
        inputs: to calibrate with: float32 ``[N, ...]`` real input values (preprocessed, NHWC), for several
            inputs a tuple of them or a dictionary by name; or a data set.
        settings: what to start from; the defaults if not given.
        images: how many training examples of a data set to draw.
        seed: of that drawing.
        shape: of a module's input, planes first with a batch of 1, if it is not that of the examples; of
            several inputs a tuple of shapes.
        choices: how, by name: ``ranges`` (``minmax``, ``percentile`` or ``mse``), ``bias_correction``,
            ``equalize``, ``head`` (``int8`` or ``float32``), ``arithmetic``.

    Returns:
        The int8 network.

    Raises:
        TypeError: for a choice that does not exist.
        BadModel: if the network is not float32 or has an op that cannot be quantised.
        BadData: if the data does not fit the network.
    """
    settings = replace(settings or QuantizeSettings(), **choices)
    model = floating_model(model, inputs, shape)
    check_float(model)
    require_stateless(model, "cannot be calibrated", "let the converter that made it quantise it")
    floating = fold(model)
    if settings.equalize:
        floating = equalize(floating)
    inputs = real_inputs(floating, inputs, images, seed)
    method = RANGES[settings.ranges]
    ranges = {name: method(found) for name, found in calibrate(floating, inputs).items()}
    quantised = rewrite(floating, ranges, head=settings.head, arithmetic=settings.arithmetic)
    return correct_biases(floating, quantised, inputs) if settings.bias_correction else quantised
