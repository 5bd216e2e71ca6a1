from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scheme_examples import ELSEWHERE, EXAMPLES, SPELLED, TEXTS
from update_networks import ALL, autoencoder, mobilenet, resnet

from mcusim.core import BadArgument, UnknownName
from mcusim.update import SCHEMES, Scheme, Statistics, scheme, statistics_for
from mcusim.update.channels import layers, trunk, trunk_weights
from mcusim.update.coverage import Coverage
from mcusim.update.schemes import Dynamic, TinyTrain


def play(found, model, stages, seed=0):
    """Yield the selection of each stage, with statistics filled by made-up amounts in between."""
    statistics = statistics_for(found, model)
    rng = np.random.default_rng(seed)
    for stage in range(stages):
        selection = found.select(model, stage, seed, statistics)
        yield selection, statistics
        for kind in sorted(found.needs):
            for op, chosen in selection.channels.items():
                if kind == "error-norm":
                    statistics.add(kind, op, rng.random(1).astype(np.float32) / (1 + stage))
                else:
                    statistics.add(kind, op, rng.random(len(chosen)).astype(np.float32), chosen)
        statistics.close_stage()


def test_every_registered_scheme_has_an_example():
    """Without one, nothing here would test it."""
    assert {*EXAMPLES} == {*SCHEMES.names()}
    assert {name for name, texts in EXAMPLES.items() if not texts} == {*ELSEWHERE}
    root = Path(__file__).parents[2]
    assert all(name in (root / place).read_text("utf-8") for name, place in ELSEWHERE.items())


@pytest.mark.parametrize("name", SCHEMES.names())
def test_a_scheme_calls_itself_what_the_registry_calls_it(name):
    for text in EXAMPLES[name] or (SPELLED[name],):
        assert type(scheme(text)) is SCHEMES[name]
        assert scheme(text).name.replace("-", ":").split(":")[0] == name


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("make", ALL)
def test_every_scheme_on_every_network_stays_in_its_scope(make, text):
    model, found = make(), scheme(text)
    assert isinstance(found, Scheme)
    scope = found.scope(model)
    assert set(scope.channels) <= set(scope.eligible) <= {op.name for op in trunk(model)}
    for stage, (selection, statistics) in enumerate(play(found, model, 4)):
        selection.validate(model)
        assert scope.contains(selection)
        assert selection.weights_updated(model) <= scope.weights_updated(model)
        assert found.select(model, stage, 0, statistics).same_as(selection)
    cost = found.cost(model)
    assert cost.bytes >= 0
    assert (cost.bytes > 0) == (found.stage is not None or text.startswith(("dynamic", "zeroth")))
    assert (cost.step.float_ops > 0) == bool(found.needs)


@pytest.mark.parametrize("text", TEXTS)
def test_a_name_reads_back_as_its_scheme(text):
    assert scheme(scheme(text).name) == scheme(text)
    assert scheme(scheme(text)) == scheme(text)


@given(
    st.builds(
        Dynamic,
        ratio=st.floats(0, 1, exclude_min=True),
        stage=st.none() | st.integers(1, 10**6),
        blocks=st.integers(1, 40),
        layers=st.sampled_from(["expand", "all", "3+5"]),
        policy=st.sampled_from(["uniform", "round-robin"]),
        bias_blocks=st.none() | st.integers(0, 40),
    )
)
def test_every_dynamic_scheme_reads_back(one):
    assert scheme(one.name) == one


def test_names_are_canonical():
    assert scheme("dynamic:blocks=7 , ratio = 0.02,stage=200").name == "dynamic:stage=200"
    assert scheme("last:6").name == scheme("last:layers=6").name == "last-6"
    assert scheme("static: mbv2-99kb").name == "static:mbv2-99kb"
    assert scheme("bias:layers=none").name == "bias"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("dynamc", "dynamic"), ("dynamic:rato=1", "ratio"), ("dynamic:policy=unifrm", "uniform"),
        ("static:mbv2-98kb", "mbv2-99kb"), ("lst-6", "last"), ("", "known"),
    ],
)  # fmt: skip
def test_unknown_names_suggest_the_nearest(text, hint):
    with pytest.raises(UnknownName, match=hint):
        scheme(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("dynamic:ratio=x", "is not float"),
        ("dynamic:ratio=0", r"\(0, 1\]"),
        ("dynamic:ratio=nan", r"\(0, 1\]"),
        ("dynamic:stage=0", "less than 1"),
        ("dynamic:stage=1,stage=2", "gives stage a second time"),
        ("dynamic:7", r"^'7' in 'dynamic:7': is no parameter \(write dynamic:ratio=…"),
        ("dense-8", r"^'8' in 'dense-8': is no parameter: dense has none \(write dense\)"),
        ("dynamic-8", r"^'8' in 'dynamic-8': is no parameter"),
        ("dynamic-8:ratio=0.1", r"^'8' in 'dynamic-8:ratio=0\.1': is no parameter"),
        ("bias: few", r"^'few' in 'bias: few': layers is not int or none"),
        ("last-3:layers=4", r"^'layers=4' in 'last-3:layers=4': gives layers a second time"),
        ("last", r"^scheme 'last': needs layers \(write last-LAYERS\)"),
        ("static", r"^scheme 'static': needs configuration \(write static:CONFIGURATION\)"),
        ("trady:elements=none", "no budget"),
        ("trady:elements=0", "less than 1"),
        ("trady:even=yes", "is not bool"),
        ("medyate:stage=0", "less than 1"),
        ("tinytrain:channels=0", r"\(0, 1\]"),
        ("tinytrain:stage=0", "less than 1"),
        ("tinyprop:s_min=0.5", "s_min"),
        ("tinyprop:damping=0", "damping"),
        ("tinyprop:stage=0", "less than 1"),
    ],
)
def test_senseless_parameters_are_refused(text, hint):
    with pytest.raises(BadArgument, match=hint):
        scheme(text)
    with pytest.raises(BadArgument, match="neither"):
        scheme(7)


def test_what_a_model_cannot_do_is_refused():
    with pytest.raises(BadArgument, match="it has 6"):
        scheme("last-7").select(resnet(), 0, 0)
    with pytest.raises(BadArgument, match="51 convolutions"):
        scheme("static:mbv2-49kb").select(resnet(), 0, 0)
    with pytest.raises(BadArgument, match="not one channel"):
        scheme("dynamic:ratio=0.000001").scope(resnet())
    with pytest.raises(BadArgument, match="Fisher"):
        scheme("tinytrain:ratio=0.2").select(mobilenet(), 1000, 0)


def test_simple_schemes():
    model = mobilenet()
    assert not scheme("head").select(model, 0, 0).channels
    assert scheme("bias").select(model, 0, 0).biases == tuple(op.name for op in trunk(model))
    assert scheme("bias-2").select(model, 0, 0).biases == ("b3.depthwise", "b3.project")
    last = scheme("last-2").select(model, 0, 0)
    assert {op: len(c) for op, c in last.channels.items()} == {"b3.depthwise": 24, "b3.project": 24}
    assert scheme("dense").select(model, 0, 0).weights_updated(model) == trunk_weights(model)
    assert not scheme("dense").select(autoencoder(head=False), 0, 0).head


def test_dynamic_has_the_same_numbers_in_every_stage_and_visits_everything():
    model, found = mobilenet(8), scheme("dynamic:ratio=0.1,blocks=5")
    scope = found.scope(model)
    assert scope.fixed
    assert scope.weights_updated(model) <= 0.1 * trunk_weights(model)
    coverage = Coverage(model, scope)
    for selection, _ in play(found, model, 200):
        assert {op: len(c) for op, c in selection.channels.items()} == dict(scope.channels)
        coverage.add(selection)
    assert coverage.fraction == 1


@pytest.mark.smoke
def test_dynamic_with_given_numbers_of_channels():
    model = mobilenet(4)
    found = scheme("dynamic:ratio=0.2,layers=b3.expand*2+8*5")
    assert dict(found.scope(model).channels) == {"b2.project": 5, "b3.expand": 2}
    assert scheme(found.name) == found
    with pytest.raises(BadArgument, match="allows"):
        scheme("dynamic:ratio=0.01,layers=b3.expand*8").scope(model)
    for wrong in ("b3.expand*9", "b3.expand*0", "b3.expand*x", "b3.expand*2+8"):
        with pytest.raises(BadArgument, match="number of channels"):
            scheme(f"dynamic:layers={wrong}").scope(model)
    with pytest.raises(BadArgument, match="comma"):
        Dynamic(layers="a,b").scope(model)
    with pytest.raises(UnknownName, match=r"b3\.expand"):
        scheme("dynamic:layers=b3.expnd*2").scope(model)
    with pytest.raises(UnknownName):
        scheme("trady:layers=b3.expand*2").scope(model)


def test_trady_is_uniform_over_all_channels_of_the_pool():
    model, found = mobilenet(6), scheme("trady:elements=1400,blocks=4,layers=pointwise")
    coverage = Coverage(model, found.scope(model))
    for stage in range(3000):
        coverage.add(found.select(model, stage, 3))
    hits = {op: visits.mean() for op, visits in coverage.visits.items()}
    # Expanding channels cost 24 + 64 elements and projecting ones 8 + 64: at the end of the budget
    # only the cheaper kind may fit, so it is drawn slightly more often.
    expand = [hits[op] for op in hits if op.endswith("expand")]
    project = [hits[op] for op in hits if op.endswith("project")]
    assert max(expand) / min(expand) < 1.1
    assert max(project) / min(project) < 1.1
    assert 1 <= np.mean(project) / np.mean(expand) < 1.4


def test_medyate_prefers_what_gained_most_for_its_memory():
    model, found = mobilenet(6), scheme("medyate:elements=1400,blocks=4")
    sizes = {op: item.channels for op, item in layers(model).items()}
    statistics = Statistics.empty(found.needs, sizes)
    for op in found.scope(model).eligible:
        amounts = np.full(sizes[op], 0.1, np.float32)
        amounts[2] = 100.0
        statistics.add("gradient-norm", op, amounts)
    statistics.close_stage()
    for stage in range(20):
        selection = found.select(model, stage, 0, statistics)
        assert sum(2 in chosen for chosen in selection.channels.values()) >= 3


def test_tinytrain_observes_everything_and_then_takes_layers_by_score():
    model = mobilenet(6)
    found = scheme("tinytrain:ratio=0.1,blocks=3,layers=pointwise")
    assert isinstance(found, TinyTrain)
    probing = found.probing_stages(model)
    sizes = {op: item.channels for op, item in layers(model).items()}
    coverage = Coverage(model, found.scope(model))
    statistics = Statistics.empty(found.needs, sizes)
    for stage in range(probing):
        coverage.add(found.select(model, stage, 0, statistics))
    assert coverage.fraction == 1
    for op in found.scope(model).eligible:
        base = 50.0 if op == "b4.project" else 1.0
        statistics.add("fisher", op, (base + np.arange(sizes[op])).astype(np.float32))
    statistics.close_stage()
    selection = found.select(model, probing, 0, statistics)
    # The best layer has half of its 24 channels, those of largest Fisher information.
    assert selection.channels["b4.project"].tolist() == list(range(12, 24))


def test_tinyprop_follows_the_error():
    model, found = mobilenet(6), scheme("tinyprop:s_min=0.1,s_max=0.5,damping=0.5,layers=project,blocks=2")
    counts = []
    statistics = Statistics.empty(found.needs, {op: i.channels for op, i in layers(model).items()})
    for error in (8.0, 4.0, 0.0):
        selection = found.select(model, len(counts), 0, statistics)
        counts.append([len(c) for c in selection.channels.values()])
        for op in selection.channels:
            statistics.add("error-norm", op, np.array([error], np.float32))
        statistics.close_stage()
    counts.append([len(c) for c in found.select(model, 3, 0, statistics).channels.values()])
    # 24 channels: 0.5, then (Y / Y_max = 1) 0.5, then 0.3, then 0.1; half of that one layer deeper.
    assert counts == [[6, 12], [6, 12], [3, 7], [1, 2]]


def test_a_scheme_from_outside_takes_one_class_and_an_entry_point(monkeypatch):
    import sys
    import types
    from importlib.metadata import EntryPoint, EntryPoints

    from update_outside import EveryOther

    module = types.ModuleType("a_plugin")
    module.EveryOther = EveryOther
    monkeypatch.setitem(sys.modules, "a_plugin", module)
    points = EntryPoints([EntryPoint("every-other", "a_plugin:EveryOther", "mcusim.schemes")])
    monkeypatch.setattr("mcusim.core.registry.installed", lambda group: points.select(group=group))
    found = scheme("every-other:offset=1")
    assert found.name == "every-other:offset=1"
    assert "every-other" in SCHEMES.names()
    selection = found.select(mobilenet(), 0, 0)
    assert selection.channels["b3.expand"].tolist() == [1, 3, 5, 7]
    assert found.scope(mobilenet()).contains(selection)
    with pytest.raises(UnknownName, match="offset"):
        scheme("every-other:ofset=1")
