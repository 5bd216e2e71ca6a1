"""Machine code on disk is used again, but not after a source of any kernel has changed."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import pytest

from mcusim.kernels.compiled import cache


def loaded(path: Path):
    spec = util.spec_from_file_location("a_kernel", path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_change_of_any_source_compiles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    path = tmp_path / "a_kernel.py"
    path.write_text("from mcusim.kernels.compiled.cache import compiled\n@compiled\ndef f(x): return x + 1\n")
    hits = []
    for stamp in ("one", "one", "two", "two"):
        monkeypatch.setattr(cache, "digest", lambda stamp=stamp: stamp)
        kernel = loaded(path).f
        assert kernel(1) == 2
        hits.append(sum(kernel.stats.cache_hits.values()))
    assert hits == [0, 1, 0, 1]


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
