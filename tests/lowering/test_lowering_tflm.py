"""What TFLite Micro needs for inference, by its own record, is what our plan of the same graph needs.

TFLite Micro plans the non-constant tensors of a graph, input and outputs included, without in-place
ops. Its reference kernels ask for no scratch here. It places the largest tensor first, among equals
the last one of the file first, each as low as it goes on a multiple of 16 bytes, and rounds up the top.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mcusim
from mcusim.core import Role
from mcusim.lowering.lower import lower_inference
from mcusim.memory.bound import lower_bound
from mcusim.memory.checker import check
from mcusim.memory.planners.placing import Placing
from mcusim.memory.problem import Problem, Solution

ALIGN = 16

PUBLISHED = {
    "mlperftiny_ic_pretrainedResnet_quant": 49_152,
    "mlperftiny_kws_ref_model": 16_000,
    "mlperftiny_vww_96_int8": 73_728,
    "mlperftiny_ad01_int8": 768,
}
OTHERS = (
    "mlperftiny_ic_pretrainedResnet_large_int8",
    "mlperftiny_str_ww_ref_model",
    "tflm_hello_world_int8",
    "tflm_micro_speech_quantized",
    "tflm_mobilenet_v2_quantized_1x3x224x224",
    "tflm_person_detect",
    "tinytraining_mbv2-w0.35_128_int8",
)
needs_data = pytest.mark.data
from_the_wild = pytest.mark.filterwarnings("ignore:tflm_person_detect:UserWarning")


def arena(path: Path) -> tuple[Problem, Solution]:
    """Return the tensors of a network's inference and their placement under TFLite Micro's rules."""
    model = mcusim.load(path)
    index = {name: i for i, name in enumerate(model.tensors)}
    blocks = [b for b in lower_inference(model, in_place=False).blocks() if b.role is not Role.SCRATCH]
    blocks.sort(key=lambda b: (-b.bytes, -index[b.name]))
    problem = Problem(tuple(blocks), align=ALIGN)
    placing = Placing(problem)
    solution = placing.solution("tflite micro", placing.place_all(range(len(blocks))))
    check(problem, solution)
    return problem, solution


def rounded(height: int) -> int:
    return -(-height // ALIGN) * ALIGN


@needs_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_arena_heads_of_mlperf_tiny(name: str, data_dir: Path) -> None:
    problem, solution = arena(data_dir / "tflite" / f"{name}.tflite")
    assert rounded(solution.height) == PUBLISHED[name]
    if "vww" in name:
        # The price of a greedy placement: a third above what must be live at once.
        assert lower_bound(problem).bytes == 55_296


@needs_data
@pytest.mark.oracle
@from_the_wild
@pytest.mark.parametrize("name", [*PUBLISHED, *OTHERS])
def test_arena_heads_as_tflite_micro_records_them(
    name: str, data_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    path = data_dir / "tflite" / f"{name}.tflite"
    interpreter = runtime.Interpreter.from_file(
        str(path), arena_size=2**23, intrepreter_config=runtime.InterpreterConfig.kAllocationRecording
    )
    interpreter.print_allocations()
    record = re.search(r"Arena allocation head (\d+) bytes", "".join(capfd.readouterr()))
    assert record is not None
    assert rounded(arena(path)[1].height) == int(record[1])
