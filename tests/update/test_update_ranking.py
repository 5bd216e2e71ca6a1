from __future__ import annotations

import numpy as np
import pytest
from update_networks import mobilenet

from mcusim.core import BadArgument, UnknownName
from mcusim.update import Statistics, scheme
from mcusim.update.channels import layers
from mcusim.update.ranking import Ranking


def gathered(**norms):
    sizes = {op: item.channels for op, item in layers(mobilenet()).items()}
    statistics = Statistics.empty({"gradient-norm"}, sizes)
    for op, norm in norms.items():
        name = op.replace("_", ".")
        statistics.add("gradient-norm", name, np.full(sizes[name], norm, np.float32))
    statistics.close_stage()
    return statistics


def test_importance_is_norm_for_memory():
    model = mobilenet()
    statistics = gathered(b1_expand=88.0, b1_depthwise=73.0)
    # expand: 8 channels of 24 weights and 64 features; depthwise: 24 channels of 9 and 64.
    rgn = Ranking.of(model, statistics)
    assert dict(rgn.importance) == pytest.approx({"b1.expand": 8.0, "b1.depthwise": 24.0})
    assert dict(Ranking.of(model, statistics, "lara").importance) == pytest.approx(
        {"b1.expand": 1.0, "b1.depthwise": 1.0}
    )
    assert rgn.top(0.7) == ("b1.depthwise",)
    assert rgn.spelled(model) == "3+4"
    found = scheme(f"trady:elements=2000,layers={rgn.spelled(model)}")
    assert found.scope(model).eligible == ("b1.expand", "b1.depthwise")


def test_a_ranking_is_saved_and_read(tmp_path):
    ranking = Ranking("mobilenet", "lara", {"a": 1.5, "b": 0.0})
    ranking.save(tmp_path / "ranking.json")
    assert Ranking.load(tmp_path / "ranking.json") == ranking
    assert ranking.top(1.0) == ("a",)
    with pytest.raises(UnknownName, match="layer of mobilenet"):
        ranking.spelled(mobilenet())


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"format": "other"}', "\xff",
        '{"format": "mcusim layer ranking 1", "metric": "rgn", "model": "m", "importance": {}}',
        '{"format": "mcusim layer ranking 1", "metric": "rgn", "model": "m", "importance": {"a": -1}}',
        '{"format": "mcusim layer ranking 1", "metric": "rgn", "model": "m", "importance": {"a": "x"}}',
        '{"format": "mcusim layer ranking 1", "metric": "no", "model": "m", "importance": {"a": 1}}',
        '{"format": "mcusim layer ranking 1", "metric": "rgn", "model": "m", "importance": [1]}',
    ],
)  # fmt: skip
def test_damaged_rankings_are_refused(tmp_path, text):
    path = tmp_path / "ranking.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadArgument, match=r"ranking\.json"):
        Ranking.load(path)


def test_rankings_need_norms_and_a_known_metric(tmp_path):
    with pytest.raises(BadArgument, match="no gradient norms"):
        Ranking.of(mobilenet(), gathered())
    with pytest.raises(UnknownName, match="lara"):
        Ranking.of(mobilenet(), gathered(), "larra")
    with pytest.raises(BadArgument, match="cannot be read"):
        Ranking.load(tmp_path / "nothing.json")
