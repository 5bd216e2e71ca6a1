"""Machines without special instructions compute the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_code_for_a_plain_processor_agrees_with_the_slow_twins(tmp_path):
    environment = os.environ | {
        "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path),
    }  # fmt: skip
    chosen = [
        f"{HERE / 'test_kernels_forward.py'}::test_weighted_ops_agree_with_the_slow_twin",
        f"{HERE / 'test_kernels_backward.py'}::test_input_gradients_of_weighted_ops",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen]
    run = subprocess.run(
        command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert "2 passed" in run.stdout
