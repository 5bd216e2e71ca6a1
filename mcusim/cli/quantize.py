"""``mcusim quantize``: from a float network and some pictures to an int8 network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcusim.cli import options as o
from mcusim.cli.completing import offering

if TYPE_CHECKING:
    from mcusim.graph import Model, Preprocessing


def quantize(
    model: Annotated[
        str,
        typer.Argument(
            help="Float network: a name, .onnx, .tflite, .json, or .pt2 (torch.export.save).",
            autocompletion=offering("model"),
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="cifar10, synthetic-source, a folder (pictures, .npy) or a .npz file.",
            autocompletion=offering("data"),
        ),
    ],
    images: Annotated[int, typer.Option(help="Training images to calibrate with.", min=1)] = 256,
    test: Annotated[int, typer.Option(help="Test images to compare the two networks on.", min=1)] = 64,
    ranges: Annotated[str, typer.Option(help="Activation ranges: minmax, percentile or mse.")] = "minmax",
    bias_correction: Annotated[bool, typer.Option(help="Take the mean rounding error out of biases.")] = True,
    equalize: Annotated[bool, typer.Option("--equalize", help="Cross-layer equalisation first.")] = False,
    head: Annotated[str, typer.Option(help="Format of the classifier: int8 or float32.")] = "int8",
    arithmetic: Annotated[
        str, typer.Option(help="Rounding of the int8 network: tflite or float.")
    ] = "tflite",
    mean: Annotated[str | None, typer.Option(help="Mean of pixels / 255, e.g. 0.485,0.456,0.406.")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation of pixels / 255.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; NAME-int8.npz if not given.")] = None,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Quantise a float network after training, and say how much of it survives."""
    from mcusim.cli.output import print_json, print_sections
    from mcusim.cli.progress import working
    from mcusim.compress.examples import real_inputs
    from mcusim.compress.floating import floating as as_float
    from mcusim.compress.quantize import QuantizeSettings, compare, fold
    from mcusim.compress.quantize import quantize as quantise
    from mcusim.data.named import open_for
    from mcusim.files.npz import save
    from mcusim.graph import Arithmetic
    from mcusim.sections.kinds import Command

    if arithmetic not in tuple(Arithmetic):
        from mcusim.core import UnknownName

        raise UnknownName("arithmetic", arithmetic, Arithmetic)
    settings = QuantizeSettings(ranges, bias_correction, equalize, head, Arithmetic(arithmetic))  # type: ignore[arg-type]
    floating = _normalised(as_float(model), mean, std)
    examples = open_for(floating, data)
    if (mean or std) and examples.train.images.dtype != "uint8":
        from mcusim.core import BadArgument

        kind = examples.train.images.dtype.name
        raise BadArgument(
            "--mean, --std", f"speak of uint8 pixels, and {data} holds {kind}", "leave them out"
        )
    with working("calibrating, quantising, comparing"):
        quantised = quantise(floating, examples, settings, images=images, seed=seed)
        report = compare(fold(floating), quantised, real_inputs(floating, examples.test, test, seed))
    path = out or Path(f"{floating.name}-int8.npz")
    save(quantised, path)
    if json:
        print_json({**report.as_dict(), "out": str(path)})
        return
    print_sections([*report.sections(), Command(str(path), "written to")])


def _normalised(model: Model, mean: str | None, std: str | None) -> Model:
    from dataclasses import replace

    old: Preprocessing = model.preprocessing
    changed = replace(old, mean=_numbers("--mean", mean) or old.mean, std=_numbers("--std", std) or old.std)
    return replace(model, preprocessing=changed)


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    from mcusim.core import BadArgument

    if text is None:
        return ()
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadArgument(f"{option} {text}", "is no list of numbers", "write it like 0.5,0.5,0.5") from None
    if len(values) not in (1, 3) or (option == "--std" and min(values) <= 0):
        raise BadArgument(f"{option} {text}", "must be 1 or 3 numbers, a --std above 0")
    return values
