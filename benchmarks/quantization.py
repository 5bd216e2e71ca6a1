"""Post-training quantisation of the float MobileNetV2 1.0 with 256 CIFAR-10 images: time and agreement.

    MCUSIM_DATA=... python benchmarks/quantization.py [IMAGES] [TEST]

Prints, for range methods with and without bias correction, the seconds that quantising takes, and on test
images the top-1 agreement and the mean correlation of the logits with the float network and with its
published int8 twin (LiteRT); and, to compare with, what two published int8 MobileNetV2 agree on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from mcusim import load, quantize
from mcusim.compress.quantize import QuantizeSettings, run, run_int8
from mcusim.data import Preprocessor, cifar10

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def litert(path: Path, reals: np.ndarray, *, planes: bool = False) -> np.ndarray:
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    x, y = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    limits, (scale, zero) = np.iinfo(x["dtype"]), x["quantization"]
    found = []
    for real in reals:
        steps = np.clip(np.rint(real / scale) + zero, limits.min, limits.max).astype(x["dtype"])
        interpreter.set_tensor(x["index"], (steps.transpose(2, 0, 1) if planes else steps)[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(y["index"])[0].astype(np.float32))
    return np.array(found)


def likeness(a: np.ndarray, b: np.ndarray) -> str:
    same = (a.argmax(1) == b.argmax(1)).mean()
    correlation = np.mean([np.corrcoef(p, q)[0, 1] for p, q in zip(a, b, strict=True)])
    return f"top-1 {same:6.1%}  correlation {correlation:.3f}"


def main() -> None:
    images, test = (int(word) for word in (sys.argv[1:3] + ["256", "200"][len(sys.argv[1:3]) :]))
    folder = Path(os.environ["MCUSIM_DATA"])
    floating = load(folder / "models" / "mobilenetv2-1.0-224-float32.npz")
    data, prepare = cifar10(folder), Preprocessor(floating, (32, 32, 3))
    calibration = prepare(data.train.images[:images])
    inputs = prepare(data.test.images[:test])
    exact = run(floating, inputs)
    twin = litert(folder / "tflite/tflm_mobilenet_v2_quantized_1x3x224x224.tflite", inputs, planes=True)
    pixels = (inputs * STD + MEAN) * 2 - 1
    first = litert(folder / "tflite/coral_tf2_mobilenet_v2_1.0_224_ptq.tflite", pixels)
    second = litert(folder / "tflite/coral_mobilenet_v2_1.0_224_quant.tflite", pixels)
    print(f"two published int8 networks       {likeness(first, second)}")
    print(f"published twin and float          {likeness(twin, exact)}")
    for settings in (
        QuantizeSettings(bias_correction=False),
        *map(QuantizeSettings, ("minmax", "percentile", "mse")),
    ):
        start = perf_counter()
        quantised = quantize(floating, calibration, settings)
        seconds = perf_counter() - start
        mine = run_int8(quantised, inputs)
        name = settings.ranges + (", bias correction" if settings.bias_correction else "")
        print(f"{name:27} {seconds:5.1f} s")
        print(f"    and the float network         {likeness(mine, exact)}")
        print(f"    and the published twin        {likeness(mine, twin)}")


if __name__ == "__main__":
    main()
