from __future__ import annotations

from importlib.resources import files

import pytest

from mcusim.core import BadBoard, Provenance, UnknownName, Work
from mcusim.mcu import board, boards, estimate, load_profile, profile_names
from mcusim.mcu.core import core, core_names
from mcusim.mcu.cycles.band import MODELLED, QUANTILE, Band
from mcusim.mcu.cycles.cycles import profile
from mcusim.mcu.cycles.profile_writer import write_profile

PROFILE = files("mcusim.mcu").joinpath("profiles", "cortex-m7-cubeai-10.0-balanced.toml").read_text()
PIXEL = Work("pointwise", macs=1000, outputs=100, requants=100, flash_read=320)


@pytest.mark.smoke
def test_an_op_costs_its_terms_and_the_boards_stalls():
    found = profile("cortex-m7-cubeai-10.0-balanced")
    terms = found.terms["pointwise"]
    result = estimate([PIXEL, PIXEL], board("stm32f746"))
    chip = found.chips["stm32f746"]
    stall = 320 * chip.flash_cycles_per_byte
    expected = round(chip.speed * (1000 * terms["macs"] + 100 * terms["requants"] + terms["ops"]) + stall)
    assert result.cycles == (expected, expected)
    assert result.total_cycles == 2 * expected
    assert result.time_ms.value == pytest.approx(2 * expected / 216e6 * 1000)
    assert result.time_ms.provenance is Provenance.CALIBRATED
    assert result.time_ms.low < result.time_ms.value < result.time_ms.high
    assert "cortex-m7-cubeai-10.0-balanced" in result.time_ms.source


def test_backward_and_float_work_is_modelled():
    default, speed = (
        core("cortex-m7").default,
        profile("cortex-m7-cubeai-10.0-balanced").chips["stm32f746"].speed,
    )
    backward = Work("grad_input.pointwise", float_macs=1000, float_ops=10)
    result = estimate([PIXEL, backward], board("stm32f746"))
    assert result.cycles[1] == round(speed * (1000 * default["float_macs"] + 10 * default["float_ops"]))
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


def test_every_profile_says_all_four_and_what_it_does_to_networks_left_out():
    libraries = set()
    for name in profile_names():
        found = profile(name)
        fitted = found.fitted
        assert name.startswith(f"{found.core}-")
        assert name.endswith(f"-{found.option}")
        assert found.version.rpartition("@")[2][:7] in name
        assert fitted.held_out_mean_error <= fitted.held_out_90_error <= fitted.held_out_worst_error
        assert 0 <= fitted.coverage <= 1
        assert fitted.command
        libraries.add((found.core, found.library))
    assert len(libraries) >= 12
    for one in boards():
        if one.profile:
            assert profile(one.profile).core == one.core
    newest = profile("cortex-m7-cubeai-10.0-balanced").terms["pointwise"]["macs"]
    assert newest < profile("cortex-m7-cubeai-7.3-balanced").terms["pointwise"]["macs"]


def test_no_profile_frees_more_constants_than_its_rows_and_what_they_share_tell():
    for name in profile_names():
        found = profile(name)
        variances = [row[i] for i, row in enumerate(found.band.covariance)]
        assert all(v > 0 for v in variances)
        assert found.fitted.constants <= len(variances)


def test_what_nobody_measured_widens_the_band_by_the_stated_rule():
    home = board("stm32f746")
    whole = estimate([PIXEL] * 100, home)
    backward = Work("grad_input.pointwise", float_macs=10**6)
    assert estimate([backward], home).deviation > MODELLED
    mixed = estimate([*[PIXEL] * 100, backward], home)
    assert whole.deviation < mixed.deviation < estimate([backward], home).deviation
    time = mixed.time_ms
    assert time.high / time.value == pytest.approx(2.718281828 ** (QUANTILE * mixed.deviation))
    assert time.value / time.low == pytest.approx(time.high / time.value)


def test_other_chips_and_sizes_widen_the_band():
    band = Band({"a": ("conv.macs",)}, ((0.01,),), noise=0.1, chip=0.2, least_macs=100, most_macs=1000)
    known = band.deviation([1.0], 0, True, 500)
    assert known == pytest.approx((0.01 + 0.01) ** 0.5)
    assert band.deviation([1.0], 0, False, 500) == pytest.approx((0.02 + 0.04) ** 0.5)
    assert known < band.deviation([1.0], 0, True, 10_000) < band.deviation([1.0], 0, True, 10**6)
    assert band.deviation([1.0], 0, True, 10) > known
    # Two shares of one half each bring less than one whole, as far as they err apart.
    two = Band({"a": ("conv.macs",), "b": ("pool.ops",)}, ((0.04, 0), (0, 0.04)), noise=0)
    assert two.deviation([1.0, 1.0], 0, True, 0) == pytest.approx(0.2 / 2**0.5)


def test_every_core_of_a_board_or_profile_is_a_file():
    used = {one.core for one in boards()} | {profile(name).core for name in profile_names()}
    assert used <= set(core_names())


def test_a_profile_survives_being_written(tmp_path):
    for name in profile_names():
        write_profile(profile(name), tmp_path / "p.toml")
        assert load_profile(tmp_path / "p.toml") == profile(name)


def test_profiles_for_another_core_and_unknown_names():
    with pytest.raises(BadBoard, match="is for cortex-m4 and stm32f746 is a cortex-m7"):
        estimate([PIXEL], board("stm32f746"), "cortex-m4-cmsis-nn-microtvm-1.0-unstated")
    with pytest.raises(UnknownName, match=r"cortex-m7-cubeai-7\.3"):
        profile("cortex-m7-cubai-7.3")
    with pytest.raises(UnknownName, match="cortex-m4"):
        core("cortex-m5")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("macs = 1", "mac = 1", r"unknown key terms\.\w+\.mac.*macs"),
        ("macs = 1", "macs = -1", r"terms\.\w+\.macs = -"),
        ("macs = 1", "macs = inf #", r"terms\.\w+\.macs"),
        ("rows = 6", "row = 6", r"unknown key fitted\.row\b.*rows"),
        ('core = "cortex-m7"', 'cor = "cortex-m7"', r"unknown key cor\b.*core"),
        ('calibrated = ["add"', 'calibrated = ["convv"', r"unknown key calibrated: convv.*conv"),
        ("flash_stall = ", "flash_stall = 100#", r"flash_stall = 100"),
        ("covariance = [[", "covariance = [[1.0], [", r"band.covariance is not 11 x 11"),
    ],
)
def test_wrong_profiles_are_refused_by_name(tmp_path, old, new, message):
    assert old in PROFILE
    path = tmp_path / "mine.toml"
    path.write_text(PROFILE.replace(old, new, 1))
    with pytest.raises(BadBoard, match=message):
        estimate([PIXEL], board("stm32f746"), path)
