from __future__ import annotations

from importlib.resources import files

import pytest

from mcusim.core import BadBoard, Provenance, UnknownName, Work
from mcusim.mcu import board, boards, estimate, load_profile, profile_names
from mcusim.mcu.cycles.cycles import profile
from mcusim.mcu.cycles.profile_writer import write_profile
from mcusim.mcu.default_terms import default_terms

PROFILE = files("mcusim.mcu").joinpath("profiles", "cortex-m7-cubeai-7.3.toml").read_text()
PIXEL = Work("pointwise", macs=1000, outputs=100, requants=100, flash_read=320)


@pytest.mark.smoke
def test_an_op_costs_its_terms_and_the_boards_stalls():
    found = profile("cortex-m7-cubeai-7.3")
    terms = found.terms["pointwise"]
    result = estimate([PIXEL, PIXEL], board("stm32f746"))
    stall = 320 * 7 / 32
    expected = round(1000 * terms["macs"] + 100 * terms["requants"] + stall)
    assert result.cycles == (expected, expected)
    assert result.total_cycles == 2 * expected
    assert result.time_ms.value == pytest.approx(2 * expected / 216e6 * 1000)
    assert result.time_ms.provenance is Provenance.CALIBRATED
    assert result.time_ms.mean_error == found.fitted.held_out_mean_error
    assert "cortex-m7-cubeai-7.3" in result.time_ms.source


def test_backward_and_float_work_is_modelled():
    default, _ = default_terms("cortex-m7")
    backward = Work("grad_input.pointwise", float_macs=1000, float_ops=10)
    result = estimate([PIXEL, backward], board("stm32f746"))
    assert result.cycles[1] == round(1000 * default["float_macs"] + 10 * default["float_ops"])
    assert result.time_ms.provenance is Provenance.MODELLED
    assert "modelled" in result.time_ms.source
    head = Work("fully_connected", float_macs=1000)
    assert estimate([head], board("stm32f746")).calibrated_cycles == 0


def test_without_an_fpu_float_costs_far_more():
    work = [Work("grad_weight.conv", float_macs=1000)]
    assert estimate(work, board("rp2040")).total_cycles > 10 * estimate(work, board("stm32l4r5")).total_cycles


def test_unknown_wait_states_are_said():
    assert "flash.wait_states" in estimate([PIXEL], board("nrf52840")).notes[0]
    assert estimate([PIXEL], board("stm32l4r5")).notes == ()


def test_profiles_of_the_issue_are_there_with_their_errors():
    wanted = {
        "cortex-m0plus-cmsis-nn", "cortex-m4-cmsis-nn", "cortex-m4-cubeai-7.3",
        "cortex-m4-bosch-hale-1.0.175", "cortex-m7-cubeai-7.3", "cortex-m7-bosch-hale-1.0.175",
        "cortex-m33-cubeai-7.3", "cortex-m33-bosch-hale-1.0.175", "cortex-m33-cmsis-nn",
    }  # fmt: skip
    assert wanted <= set(profile_names())
    for name in profile_names():
        found = profile(name)
        fitted = found.fitted
        assert fitted.constants * 3 < fitted.rows
        assert fitted.held_out_mean_error is not None
        assert fitted.held_out_mean_error <= 0.10
        assert fitted.held_out_worst_error is not None
        assert fitted.held_out_worst_error <= 0.25
        assert fitted.command
    assert all(b.profile in profile_names() for b in boards())


def test_a_profile_survives_being_written(tmp_path):
    for name in profile_names():
        write_profile(profile(name), tmp_path / "p.toml")
        assert load_profile(tmp_path / "p.toml") == profile(name)


def test_profiles_for_another_core_and_unknown_names():
    with pytest.raises(BadBoard, match="is for cortex-m4 and stm32f746 is a cortex-m7"):
        estimate([PIXEL], board("stm32f746"), "cortex-m4-cmsis-nn")
    with pytest.raises(UnknownName, match=r"cortex-m7-cubeai-7\.3"):
        profile("cortex-m7-cubai-7.3")
    with pytest.raises(UnknownName, match="cortex-m4"):
        default_terms("cortex-m5")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("macs = 1", "mac = 1", r"unknown key terms\.\w+\.mac.*macs"),
        ("macs = 1", "macs = -1", r"terms\.\w+\.macs = -"),
        ("macs = 1", "macs = inf #", r"terms\.\w+\.macs"),
        ("rows = 20", "row = 20", r"unknown key fitted\.row\b.*rows"),
        ('core = "cortex-m7"', 'cor = "cortex-m7"', r"unknown key cor\b.*core"),
        ('calibrated = ["conv"', 'calibrated = ["convv"', r"unknown key calibrated: convv.*conv"),
        ("flash_stall = 1", "flash_stall = 100", r"flash_stall = 100"),
    ],
)
def test_wrong_profiles_are_refused_by_name(tmp_path, old, new, message):
    assert old in PROFILE
    path = tmp_path / "mine.toml"
    path.write_text(PROFILE.replace(old, new, 1))
    with pytest.raises(BadBoard, match=message):
        estimate([PIXEL], board("stm32f746"), path)
