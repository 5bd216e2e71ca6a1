from __future__ import annotations

import numpy as np
import pytest
from update_networks import autoencoder, mobilenet

from mcusim.core import BadArgument, UnknownName
from mcusim.update import Scope, Selection
from mcusim.update.coverage import Coverage
from mcusim.update.selection import Limit


def chosen(*numbers):
    return np.array(numbers, np.int32)


def test_a_selection_counts_its_weights_and_drops_empty_layers():
    selection = Selection({"b1.expand": chosen(0, 7), "b1.depthwise": chosen(3), "stem": chosen()})
    assert list(selection.channels) == ["b1.expand", "b1.depthwise"]
    assert selection.weights_updated(mobilenet()) == 2 * 24 + 9
    selection.validate(mobilenet())
    with pytest.raises(ValueError, match="read-only"):
        selection.channels["b1.expand"][0] = 1


@pytest.mark.parametrize("wrong", [chosen(1, 1), chosen(2, 1), chosen([1, 2])])
def test_channels_must_ascend(wrong):
    with pytest.raises(BadArgument, match="ascending"):
        Selection({"stem": wrong})


@pytest.mark.parametrize(
    ("selection", "error"),
    [
        (Selection({"b1.expand": chosen(8)}), "channel 8 of b1.expand"),
        (Selection({"b1.expand": chosen(-1)}), "channel -1"),
        (Selection({"b1.expnd": chosen(1)}), "b1.expand"),
        (Selection({}, ("nothing",)), "nothing"),
        (Selection({"head": chosen(0)}), "head"),
    ],
)
def test_what_the_model_does_not_have_is_refused(selection, error):
    with pytest.raises((BadArgument, UnknownName), match=error):
        selection.validate(mobilenet())


def test_missing_biases_and_heads_are_refused():
    with pytest.raises(BadArgument, match="fc1"):
        Selection({}, ("fc1",)).validate(autoencoder())
    with pytest.raises(BadArgument, match="classes="):
        Selection({}).validate(autoencoder(head=False))
    Selection({}, head=False).validate(autoencoder(head=False))


def test_a_scope_contains_its_selections():
    selection = Selection({"b1.expand": chosen(0, 7)}, ("stem",))
    scope = Scope.of(selection)
    assert scope.contains(selection)
    assert scope.contains(Selection({"b1.expand": chosen(1, 2)}, ("stem",), head=False))
    assert not scope.contains(Selection({"b1.expand": chosen(1)}))  # its number is fixed
    assert Scope({"b1.expand": 2}, ("b1.expand",), fixed=False).contains(Selection({"b1.expand": chosen(1)}))
    assert not scope.contains(Selection({"b1.expand": chosen(1, 2, 3)}))
    assert not scope.contains(Selection({"b1.expand": chosen(1, 2), "stem": chosen(0)}))
    assert not scope.contains(Selection({"b1.expand": chosen(1, 2)}, ("b1.expand",)))
    assert scope.weights_updated(mobilenet()) == 48
    limits = (Limit("weights", 50, {"b1.expand": 8}),)
    assert Scope({"b1.expand": 8}, ("b1.expand",), limits=limits).weights_updated(mobilenet()) == 50


def test_same_selections():
    one = Selection({"stem": chosen(1)}, ("stem",))
    assert one.same_as(Selection({"stem": chosen(1)}, ("stem",)))
    assert not one.same_as(Selection({"stem": chosen(2)}, ("stem",)))
    assert not one.same_as(Selection({"stem": chosen(1)}))
    assert not one.same_as(Selection({"stem": chosen(1)}, ("stem",), head=False))


def test_coverage_counts_visited_weights():
    scope = Scope({"b1.expand": 1, "b1.depthwise": 1}, ("b1.expand", "b1.depthwise"))
    coverage = Coverage(mobilenet(), scope)
    assert coverage.weights == 8 * 24 + 24 * 9
    assert coverage.fraction == 0
    coverage.add(Selection({"b1.expand": chosen(3)}))
    coverage.add(Selection({"b1.expand": chosen(3), "b1.depthwise": chosen(0, 1)}))
    assert coverage.visited_weights == 24 + 18
    assert coverage.by_layer() == {"b1.expand": 1 / 8, "b1.depthwise": 2 / 24}
    again = Coverage(mobilenet(), scope)
    again.restore(coverage.visits)
    assert again.fraction == coverage.fraction
    with pytest.raises(BadArgument, match="another model"):
        again.restore({"stem": np.zeros(3, np.int64)})
    assert Coverage(mobilenet(), Scope({}, ())).fraction == 1
