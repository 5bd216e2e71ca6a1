"""Compiled kernels are kept, and a cache that cannot keep them stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import mcusim
from mcusim.emulation import toolchain
from mcusim.emulation.compilers import ZIG, Compiler
from mcusim.emulation.cores import EmulatedCore


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Cores for which a compiler was called that writes a word."""
    cores: list[str] = []

    def run(core: EmulatedCore, compiler: Compiler, words: list[str]) -> None:
        cores.append(core.name)
        Path(words[-1]).write_bytes(b"object")

    monkeypatch.setattr(toolchain, "compile_for", run)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "a.c").write_text("int a;\n")
    (tmp_path / "own").mkdir()
    return cores


def kernels(place: Path) -> bytes:
    sources = [*(place / "kernels").iterdir()]
    return toolchain.compile_kernels(sources, CORE, ZIG, place / "own").read_bytes()


CORE = EmulatedCore("cortex-m4", "thumb-freestanding-eabihf", "cortex_m4")


def test_kernels_are_compiled_once_and_listed_in_the_cache(compiled: list[str], tmp_path: Path) -> None:
    assert kernels(tmp_path) == kernels(tmp_path) == b"object"
    assert compiled == ["cortex-m4"]
    assert [item.kind for item in mcusim.cache().items] == ["firmware"]
    (tmp_path / "kernels" / "a.c").write_text("int b;\n")
    kernels(tmp_path)
    assert len(compiled) == len(mcusim.cache().items) == 2
    assert mcusim.cache(remove="firmware").items == ()


def test_no_place_to_keep_them_is_said_and_stops_nothing(compiled: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    with pytest.warns(UserWarning, match="kernels are compiled anew every time"):
        assert kernels(tmp_path) == b"object"
