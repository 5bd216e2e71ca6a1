"""Post-training quantisation: from a float network and some data to an int8 network."""

from mcusim.compress.quantize.fold import fold
from mcusim.compress.quantize.forward import run
from mcusim.compress.quantize.int8 import run_int8
from mcusim.compress.quantize.quantizer import QuantizeSettings, quantize
from mcusim.compress.quantize.report import LayerReport, Report, compare
from mcusim.files.torch.reader import from_torch

__all__ = [
    "LayerReport",
    "QuantizeSettings",
    "Report",
    "compare",
    "fold",
    "from_torch",
    "quantize",
    "run",
    "run_int8",
]
