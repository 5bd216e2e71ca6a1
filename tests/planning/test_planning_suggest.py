"""What would lower a peak, by really planning it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

import mcusim
from mcusim.core.chosen import leaves
from mcusim.core.setting import setting
from mcusim.core.wording import speaking_in_options
from mcusim.graph.resolution import at_resolution
from mcusim.planning import suggest as suggesting
from mcusim.planning.settings import Settings
from mcusim.planning.suggest import suggest
from mcusim.session.experiment import Experiment

BOARD = "nrf52840"


@pytest.fixture(scope="module")
def found():
    session = mcusim.Session(mcusim.load("synthetic-mbv2"), mcusim.board(BOARD), "dynamic", patches=None)
    plan = session.plan()
    return plan, {s.change: s for s in suggest(plan, session.scheme)}


def test_suggestions_are_sorted_by_what_they_save(found):
    plan, by_change = found
    saved = [s.saved_bytes for s in by_change.values()]
    assert saved == sorted(saved, reverse=True)
    assert all(s.needed_bytes + s.saved_bytes == plan.peak_bytes for s in by_change.values())


def test_each_suggestion_is_what_a_session_with_that_change_needs(found):
    plan, by_change = found
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board(BOARD)
    small = mcusim.Session(at_resolution(model, 24), board, "dynamic", patches=None).plan()
    assert by_change["resolution=24"].needed_bytes == small.peak_bytes
    sparse = mcusim.Session(model, board, "dynamic:ratio=0.01", patches=None).plan()
    change = f"update={sparse.settings.update!r}"
    assert sparse.peak_bytes >= plan.peak_bytes or by_change[change].needed_bytes == sparse.peak_bytes
    formats = mcusim.Formats(error="int8")
    int8 = mcusim.Session(model, board, "dynamic", patches=None, formats=formats).plan()
    assert by_change["formats=Formats(error='int8')"].needed_bytes == int8.peak_bytes


def test_a_patch_stage_that_costs_more_saves_more():
    plan = mcusim.Session(
        mcusim.load("synthetic-mbv2"), mcusim.board(BOARD), "head", patches=None
    ).plan(suggest=True)  # fmt: skip
    stages = [s for s in suggest(plan, mcusim.scheme("head")) if s.setting == ("patches",)]
    costs = [s.extra_macs for s in stages]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == len(costs) > 0


def test_fewer_pixels_of_saved_features_are_suggested_where_they_lower_the_peak():
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board(BOARD)
    session = mcusim.Session(model, board, "dense", patches=None)
    by_change = {s.change: s for s in suggest(session.plan(), session.scheme)}
    formats = mcusim.Formats(feature="checker")
    pruned = mcusim.Session(model, board, "dense", patches=None, formats=formats).plan()
    assert by_change["formats=Formats(feature='checker')"].needed_bytes == pruned.peak_bytes


def test_residuals_of_biases_are_offered_for_sale():
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board(BOARD)
    formats = mcusim.Formats(bias="int32+res8")
    session = mcusim.Session(model, board, "bias", patches=None, formats=formats)
    by_change = {s.change: s for s in suggest(session.plan(), session.scheme)}
    plain = mcusim.Session(model, board, "bias", patches=None).plan()
    assert by_change["formats=Formats()"].needed_bytes == plain.peak_bytes


WASTEFUL = {
    "residency": "sram", "patches": None, "in_place": False, "planner": "greedy_by_lifetime",
    "formats": mcusim.Formats(weight="int8+res8", bias="int32+res8"),
    "sgd": mcusim.Sgd(lr=0.02, momentum=0.9, accumulate=4),
}  # fmt: skip


@pytest.fixture(scope="module")
def wasteful():
    """A session that leaves out nothing by which it could be smaller."""
    return mcusim.Session(mcusim.load("synthetic-mbv2"), mcusim.board(BOARD), "dynamic", **WASTEFUL)


def test_whatever_a_setting_calls_cheaper_is_tried_and_spelled_as_it_was_asked_for(wasteful):
    """In Python a group is an argument, and what else was said of it stays."""
    plan = wasteful.plan()
    found = {s.setting: s for s in suggest(plan, wasteful.scheme)}
    offered = {item.path for item in leaves(Settings) if item.cheaper(Settings.fixed(plan.settings))}
    assert {("formats", "weight"), ("formats", "bias"), ("sgd", "momentum"), ("residency",)} <= offered
    assert {*found} - {("patches",), ("update",), ("resolution",)} <= offered
    assert {*found} <= {item.path for item in leaves(Experiment)}
    assert found["sgd", "momentum"].change == "sgd=Sgd(lr=0.02, accumulate=4)"
    assert found["formats", "weight"].change == "formats=Formats(bias='int32+res8')"
    with speaking_in_options():
        found = {s.setting: s for s in suggest(plan, wasteful.scheme)}
    assert found["sgd", "momentum"].change == "--momentum 0.0"
    assert found["residency",].change == "--residency flash"
    assert found["formats", "error"].change.startswith("--error int")


def test_a_new_setting_with_a_cheaper_value_is_suggested(wasteful, monkeypatch):
    @dataclass(frozen=True, slots=True)
    class More(Settings):
        grains: int = setting(2, "grains", cheaper=lambda now: (now - 1,))

    real = suggesting.cheapest
    monkeypatch.setattr(suggesting, "Settings", More)
    monkeypatch.setattr(suggesting, "cheapest", lambda asked: real(thriftier(asked)))

    def thriftier(asked):
        if getattr(asked.settings, "grains", 2) == 2:
            return asked
        return replace(asked, settings=replace(asked.settings, sgd=mcusim.Sgd(lr=0.02)))

    found = {s.change: s for s in suggest(wasteful.plan(), wasteful.scheme)}
    assert found["grains=1"].saved_bytes > 0


def test_where_flash_is_missing_suggestions_are_about_flash():
    board = mcusim.board("nrf52840")
    flash = replace(board.flash, bytes=131_072, sectors=(replace(board.flash.sectors[0], count=32),))
    session = mcusim.Session(mcusim.load("synthetic-mbv2"), replace(board, flash=flash), "dense")
    plan = session.plan()
    assert not plan.flash.fits
    assert plan.peak_bytes <= plan.settings.sram_bytes
    found = suggest(plan, session.scheme)
    assert found
    assert {s.region for s in found} == {"flash"}
    assert all(s.needed_bytes + s.saved_bytes == plan.flash.total_bytes for s in found)
    assert " B of flash less" in plan.suggestions[0]
    with pytest.raises(mcusim.OutOfFlash, match="of flash less"):
        plan.require()
