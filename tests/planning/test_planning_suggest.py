"""What would lower a peak, by really planning it."""

from __future__ import annotations

import pytest

import mcusim
from mcusim.graph.resolution import at_resolution
from mcusim.planning.suggest import suggest

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
    assert all(s.peak_bytes + s.saved_bytes == plan.peak_bytes for s in by_change.values())


def test_each_suggestion_is_what_a_session_with_that_change_needs(found):
    plan, by_change = found
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board(BOARD)
    small = mcusim.Session(at_resolution(model, 24), board, "dynamic", patches=None).plan()
    assert by_change["resolution=24, which changes the accuracy"].peak_bytes == small.peak_bytes
    sparse = mcusim.Session(model, board, "dynamic:ratio=0.01", patches=None).plan()
    change = f"update={sparse.settings.update!r}"
    assert sparse.peak_bytes >= plan.peak_bytes or by_change[change].peak_bytes == sparse.peak_bytes
    formats = mcusim.Formats(error="int8")
    int8 = mcusim.Session(model, board, "dynamic", patches=None, formats=formats).plan()
    assert by_change["formats error='int8'"].peak_bytes == int8.peak_bytes


def test_a_patch_stage_that_costs_more_saves_more():
    plan = mcusim.Session(
        mcusim.load("synthetic-mbv2"), mcusim.board(BOARD), "head", patches=None
    ).plan(suggest=True)  # fmt: skip
    stages = [s for s in suggest(plan, mcusim.scheme("head")) if s.change.startswith("patches=")]
    costs = [s.extra_macs for s in stages]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == len(costs) > 0


def test_fewer_pixels_of_saved_features_are_suggested_where_they_lower_the_peak():
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board(BOARD)
    session = mcusim.Session(model, board, "dense", patches=None)
    by_change = {s.change: s for s in suggest(session.plan(), session.scheme)}
    formats = mcusim.Formats(feature="checker")
    pruned = mcusim.Session(model, board, "dense", patches=None, formats=formats).plan()
    assert by_change["formats feature='checker'"].peak_bytes == pruned.peak_bytes


def test_residuals_of_biases_are_offered_for_sale():
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board(BOARD)
    formats = mcusim.Formats(bias="int32+res8")
    session = mcusim.Session(model, board, "bias", patches=None, formats=formats)
    by_change = {s.change: s for s in suggest(session.plan(), session.scheme)}
    plain = mcusim.Session(model, board, "bias", patches=None).plan()
    assert by_change["formats bias='int32'"].peak_bytes == plain.peak_bytes
