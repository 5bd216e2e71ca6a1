"""Machine code on disk is used again, but not after a source of any kernel has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcusim.kernels.compiled import cache

SCRIPT = """
import sys
from importlib import util
from mcusim.kernels.compiled import cache

for stamp in ("one", "one", "two", "two"):
    cache.digest = lambda stamp=stamp: stamp
    spec = util.spec_from_file_location("a_kernel", sys.argv[1])
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.f(1) == 2
    print(sum(module.f.stats.cache_hits.values()))
"""


def test_a_change_of_any_source_compiles_anew(tmp_path: Path) -> None:
    """In a process of its own: what other tests did to numba's cache is not known here."""
    path = tmp_path / "a_kernel.py"
    path.write_text("from mcusim.kernels.compiled.cache import compiled\n@compiled\ndef f(x): return x + 1\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "1", "0", "1"]


def test_the_digest_sees_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for text in ("a = 1\n", "a = 2\n"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / "inner.py").write_text(text)
        monkeypatch.setattr(cache, "SOURCES", tmp_path)
        found.append(cache.digest.__wrapped__())
    assert found[0] != found[1]
    names = {path.name for path in Path(cache.__file__).parents[1].rglob("*.py")}
    assert {"simd.py", "fused.py", "grad_record.py", "loops.py"} <= names


LONGEST_S = 20
"""LLVM was seen to legalise one pattern of the tiles without end; a processor has many kernels to compile."""
COMPILE = """
import pkgutil
from importlib import import_module
from time import process_time
from numba import types
from mcusim.kernels import compiled, loss
from mcusim.kernels.compiled.cache import KERNELS
from mcusim.kernels.compiled.rows import GRADIENT, INPUT, RULE

for module in pkgutil.walk_packages(compiled.__path__, compiled.__name__ + "."):
    import_module(module.name)
reals = types.float32[::1]
signatures = {1: (types.int64,), 2: GRADIENT, 4: INPUT, 5: RULE}
by_name = {
    "walk": (types.int64,) * 3, "_squared_error": (reals,) * 3,
    "_cross_entropy": (reals, types.int64, reals, types.float32),
    "_pixel_cross_entropy": (types.float32[:, ::1], types.uint8[::1], types.float32[:, ::1], types.float32),
    "_sigmoid_cross_entropy": (reals, types.uint8[::1], reals),
}
for kernel in KERNELS:
    name = kernel.py_func.__name__
    start = process_time()
    kernel.compile(by_name.get(name) or signatures[kernel.py_func.__code__.co_argcount])
    print(f"{kernel.py_func.__module__}.{name} {process_time() - start:.2f}", flush=True)
"""


def test_no_kernel_takes_long_to_compile(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COMPILE]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert run.returncode == 0, f"after {run.stdout[-300:]}: {run.stderr[-1000:]}"
    seconds = {name: float(value) for name, value in map(str.split, run.stdout.splitlines())}
    assert len(seconds) > 50
    assert {name: value for name, value in seconds.items() if value > LONGEST_S} == {}
