"""What several processes compile is what one would, and no helper is needed."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mcusim.kernels import compiled, loss
from mcusim.kernels.compiled.cache import KERNELS

PROGRAM = """
import sys
from collections import deque
from numba import types
from mcusim.kernels.compiled import together
from mcusim.kernels.compiled.rows import gradient_row, input_row, rule_row
from mcusim.kernels.compiled.gather import take

asked = [(kernel, (types.int64,)) for kernel in (gradient_row, input_row, rule_row, take)]

def by_helper():
    helper, missing = together._started(), deque(asked)
    together._hand_out(helper, missing)
    helper.kill()
    assert not missing and helper.communicate() is not None

def alone():
    together._cores = lambda: 1
    together.compile_together(asked)

def with_one_that_dies():
    together._cores, together.SERVE = lambda: 2, "raise SystemExit"
    together.compile_together(asked)

def with_one_that_cannot_start():
    together._cores, sys.executable = lambda: 2, "/no/such/program"
    together.compile_together(asked)

globals()[sys.argv[1]]()
assert all(together._exists(*each) for each in asked)
for kernel, signature in asked:
    kernel.compile(signature)
print(sum(sum(kernel.stats.cache_hits.values()) for kernel, _ in asked))
"""


@pytest.mark.parametrize(
    ("how", "found"),
    [("by_helper", 4), ("alone", 0), ("with_one_that_dies", 0), ("with_one_that_cannot_start", 0)],
)
def test_kernels_are_there_with_help_and_without(how: str, found: int, tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, how]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == found, "kernels that were compiled elsewhere"


def test_a_helper_finds_every_kernel() -> None:
    for module in pkgutil.walk_packages(compiled.__path__, f"{compiled.__name__}."):
        import_module(module.name)
    assert loss.__name__
    assert len(KERNELS) > 50
    for kernel in KERNELS:
        found = kernel.py_func
        assert getattr(import_module(found.__module__), found.__name__) is kernel
