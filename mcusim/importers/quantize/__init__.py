"""Post-training quantisation: from a float network and some data to an int8 network."""

from mcusim.importers.quantize.fold import fold
from mcusim.importers.quantize.forward import run
from mcusim.importers.quantize.int8 import run_int8
from mcusim.importers.quantize.quantizer import Settings, quantize
from mcusim.importers.quantize.report import LayerReport, Report, compare
from mcusim.importers.quantize.torch_module import from_torch

__all__ = [
    "LayerReport",
    "Report",
    "Settings",
    "compare",
    "fold",
    "from_torch",
    "quantize",
    "run",
    "run_int8",
]
