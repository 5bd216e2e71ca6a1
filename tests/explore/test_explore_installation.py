"""What ``doctor`` says of an installation."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path

import pytest

import mcusim
from mcusim.cli.main import build
from mcusim.explore import installation
from mcusim.explore.names import scheme_forms
from mcusim.update import SCHEMES


def test_an_extra_is_listed_with_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    real = installation._version
    monkeypatch.setattr(installation, "_version", lambda name: None if name == "tflite" else real(name))
    found = mcusim.doctor()
    extras = {item.name: item.missing for item in found.extras}
    named = {line.partition("extra == ")[2].strip("\"' ") for line in requires("mcusim") or ()}
    assert set(extras) == named - {"", "test", "dev", "docs", "oracles"}
    assert extras["tflite"] == ["tflite"]
    assert "flatbuffers" in next(item for item in found.extras if item.name == "tflite").packages
    assert "tflite" in str(found)


def test_what_stands_in_the_way_is_said_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not any("MCUSIM_DATA" in line for line in mcusim.doctor().problems)
    monkeypatch.setenv("MCUSIM_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    monkeypatch.setattr(installation, "LEAST_FREE", 2**62)
    monkeypatch.setattr("os.access", lambda *_: False)
    found = mcusim.doctor()
    assert [line.split(" ")[0] for line in found.problems] == [
        "compiled", "nothing", f"{found.free_bytes:,}", "NUMBA_DISABLE_JIT", "MCUSIM_DATA",
    ]  # fmt: skip
    assert "5 things to mend" in str(found)
    monkeypatch.setattr(
        installation, "compiled_kernels", lambda: (None, 0)
    )  # no folder that numba may write to
    assert mcusim.doctor().problems[0].startswith("compiled kernels cannot be kept in this installation")


def test_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert mcusim.doctor().as_dict()["free_bytes"] > 0
    assert not list(tmp_path.iterdir())


def test_every_scheme_says_how_it_is_written_and_what_learns() -> None:
    forms = {form.name: form for form in scheme_forms()}
    assert set(forms) == set(SCHEMES.names())
    assert forms["last"].usage == "last-LAYERS"
    assert forms["dynamic"].defaults["ratio"] == "0.02"
    assert forms["static"].defaults == {"configuration": ""}
    for form in forms.values():
        assert form.what.endswith(".")
        written = ",".join(f"{name}={value}" for name, value in form.defaults.items() if value)
        if all(form.defaults.values()):
            assert mcusim.scheme(f"{form.name}:{written}") == mcusim.scheme(form.name)


@pytest.mark.parametrize("verb", ["profiles", "schemes"])
def test_lists_name_all_there_is(verb: str) -> None:
    from typer.testing import CliRunner

    result = CliRunner().invoke(build(), [verb], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for name in getattr(mcusim, verb)():
        assert f"\n{name} " in result.stdout


def test_one_profile_shows_its_terms() -> None:
    from typer.testing import CliRunner

    result = CliRunner().invoke(build(), ["profiles", "cortex-m4-cubeai-10.2-balanced"])
    assert "cycles each" in result.stdout
    assert CliRunner().invoke(build(), ["profiles", "cortex-m4-cubai"]).exit_code == 2
