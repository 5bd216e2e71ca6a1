"""Channel pruning: groups against torch-pruning, and nothing changes where only dead channels go."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import float_network
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from torch_networks import NETWORKS, made  # noqa: E402

from mcusim.cli.main import build  # noqa: E402
from mcusim.compress.channels import Channels  # noqa: E402
from mcusim.compress.prune import groups, importance, prune  # noqa: E402
from mcusim.compress.quantize import from_torch, run  # noqa: E402
from mcusim.compress.quantize.fold import fold  # noqa: E402
from mcusim.compress.refit import RIDGE, Remaining, reconstruct, refit  # noqa: E402
from mcusim.core import BadArgument, BadData, BadModel  # noqa: E402
from mcusim.files.load import load  # noqa: E402
from mcusim.files.npz import save  # noqa: E402
from mcusim.graph import Model  # noqa: E402

MODEL = float_network()


@pytest.mark.smoke
def test_channels_that_depend_on_each_other_are_one_group():
    assert [g.tensors for g in groups(MODEL)] == [
        ("stem",),
        ("a.expand", "a.depthwise"),
        ("a.project", "b.project", "b.add", "pool"),
        ("b.expand", "b.depthwise"),
    ]
    wide = groups(MODEL)[2]
    assert wide.channels == 24
    assert set(wide.slices) == {
        ("a.project.w", 0), ("a.project.b", 0), ("b.project.w", 0), ("b.project.b", 0),
        ("b.expand.w", 3), ("head.w", 1),
    }  # fmt: skip


def dead(model: Model, fraction: float) -> Model:
    """Make some channels of every group zero in all that goes with them."""
    rng = np.random.default_rng(1)
    tensors = dict(model.tensors)
    for group in groups(model):
        gone = rng.choice(group.channels, int(group.channels * fraction), replace=False)
        for name, axis in group.slices:
            data = np.array(tensors[name].data)
            np.moveaxis(data, axis, 0)[gone] = 0
            tensors[name] = replace(tensors[name], data=data)
    return replace(model, tensors=tensors)


def test_removing_dead_channels_changes_nothing():
    before = dead(MODEL, 0.5)
    after = prune(before, 0.5, multiple=1)
    x = np.random.default_rng(2).normal(size=(3, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(run(before, x), run(after, x), rtol=1e-5, atol=1e-4)
    assert after.conv_weights < 0.35 * before.conv_weights
    assert after.classes == before.classes
    assert after.head == "head"


def test_the_least_important_channels_go():
    group = groups(MODEL)[1]
    after = prune(MODEL, 0.5, multiple=8)
    kept = np.sort(np.argsort(-importance(MODEL, group), kind="stable")[:24])
    np.testing.assert_array_equal(
        after.tensors["a.depthwise.w"].data, MODEL.tensors["a.depthwise.w"].data[..., kept]
    )


@pytest.mark.parametrize(
    ("ratio", "multiple", "channels"), [(0, 8, 72), (0.3, 8, 56), (0.3, 1, 51), (0.99, 8, 8)]
)
def test_numbers_of_channels(ratio, multiple, channels):
    assert prune(MODEL, ratio, multiple=multiple).tensors["b.expand"].shape[-1] == channels


def test_residual_channels_can_be_spared():
    after = prune(MODEL, 0.5, residual=False)
    assert after.tensors["b.add"].shape[-1] == 24
    assert after.tensors["b.expand"].shape[-1] == 40


def pictures(count: int, seed: int = 3) -> np.ndarray:
    """Smooth pictures: neighbouring pixels are alike, as in real ones."""
    noise = np.random.default_rng(seed).normal(size=(count, 20, 20, 3)).astype(np.float32)
    return sum(noise[:, i : i + 16, j : j + 16] for i in range(5) for j in range(5)) / 5


@pytest.mark.parametrize("residual", [False, True])
def test_refitted_weights_give_more_of_what_the_whole_network_gave(residual):
    test = pictures(40, seed=4)
    whole = run(MODEL, test)
    by_norm = run(prune(MODEL, 0.5, residual=residual), test)
    refitted = run(prune(MODEL, 0.5, residual=residual, inputs=pictures(200)), test)
    assert np.square(refitted - whole).mean() < 0.5 * np.square(by_norm - whole).mean()
    assert np.square(refitted - whole).mean() < 0.5 * whole.var()


def test_what_others_can_do_as_well_is_lost_without_loss():
    """Each channel of ``a`` twice: one of the two goes, and the refit gives its work to the other."""
    tensors = dict(MODEL.tensors)
    for name, axis in groups(MODEL)[1].slices:
        if name.startswith("a.expand") or name.startswith("a.depthwise"):
            data = np.moveaxis(np.array(tensors[name].data), axis, 0)
            data[24:] = data[:24]
            tensors[name] = replace(tensors[name], data=np.ascontiguousarray(np.moveaxis(data, 0, axis)))
    project = np.array(tensors["a.project.w"].data)
    project[..., 24:] *= 1e-3  # the second of each pair contributes least
    tensors["a.project.w"] = replace(tensors["a.project.w"], data=project)
    twice = replace(MODEL, tensors=tensors)
    kept = {name: Remaining(3, np.arange(24)) for name in ("a.expand", "a.depthwise")}
    cut = dict(tensors)
    for name, axis in groups(MODEL)[1].slices:
        data = np.take(tensors[name].data, kept["a.expand"].places, axis)
        cut[name] = replace(tensors[name], shape=data.shape, data=data)
    for name in kept:
        cut[name] = replace(cut[name], shape=(*cut[name].shape[:3], 24))
    test = pictures(5, seed=5)
    refitted = reconstruct(twice, replace(twice, tensors=cut), kept, pictures(200))
    np.testing.assert_allclose(run(refitted, test), run(twice, test), rtol=1e-3, atol=2e-2)
    assert refitted.tensors["stem.w"] is tensors["stem.w"]


@given(seed=st.integers(0, 2**16), rows=st.integers(4, 40), inputs=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_the_fit_is_least_squares_with_a_pull(seed, rows, inputs):
    """Against a solver that is told the pull as further rows, from the weights as they were."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, inputs)).astype(np.float32)
    goal = rng.normal(size=(rows, 2)).astype(np.float32)
    weight = rng.normal(size=(2, inputs)).astype(np.float32)
    found = refit(weight, x, goal)
    centred = x.astype(np.float64) - x.astype(np.float64).mean(0)
    missing = goal - x.astype(np.float64) @ weight.T.astype(np.float64)
    pull = np.sqrt(RIDGE * np.square(centred).sum() / inputs)
    rows_x = np.vstack([centred, pull * np.eye(inputs)])
    rows_y = np.vstack([missing - missing.mean(0), np.zeros((inputs, 2))])
    change = np.linalg.lstsq(rows_x, rows_y, rcond=None)[0].T
    np.testing.assert_allclose(found[0], weight + change, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], (missing - centred @ change.T).mean(0) - x.mean(0) @ change.T,
                               rtol=1e-4, atol=1e-4)  # fmt: skip


def test_bad_input():
    from networks import small_network

    with pytest.raises(BadArgument):
        prune(MODEL, 1.0)
    with pytest.raises(BadArgument):
        prune(MODEL, 0.5, multiple=0)
    with pytest.raises(BadModel, match="quantised"):
        prune(small_network(), 0.5)
    for inputs in (pictures(0), pictures(2)[:, :8], np.full((1, 16, 16, 3), np.nan)):
        with pytest.raises(BadData, match="pictures"):
            prune(MODEL, 0.5, inputs=inputs)


def test_the_verb(tmp_path):
    save(MODEL, tmp_path / "small.npz")
    out = tmp_path / "out.npz"
    call = ["prune", str(tmp_path / "small.npz"), "--ratio", "0.5", "--out", str(out), "--json"]
    result = CliRunner().invoke(build(), call)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["conv_weights"] == load(str(out)).conv_weights < facts["conv_weights_before"]
    assert facts["refitted"] is False
    assert CliRunner().invoke(build(), [*call[:2], "--ratio", "2"]).exit_code == 2
    more = ["--data", "synthetic-source", "--images", "20", "--resolution", "24", "--no-residual"]
    result = CliRunner().invoke(build(), [*call, *more])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["refitted"] is True
    assert facts["input"] == [1, 24, 24, 3]


@pytest.mark.oracle
def test_groups_are_those_of_torch_pruning():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tp = pytest.importorskip("torch_pruning")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            conv = torch.nn.Conv2d
            self.stem = conv(3, 8, 3, 2, 1)
            self.expand, self.depthwise, self.project = (
                conv(8, 24, 1),
                conv(24, 24, 3, 1, 1, groups=24),
                conv(24, 8, 1),
            )
            self.last, self.head = conv(8, 32, 1), torch.nn.Linear(32, 5)

        def forward(self, x):
            x = torch.relu(self.stem(x))
            y = torch.relu(self.depthwise(torch.relu(self.expand(x))))
            x = x + self.project(y)
            return self.head(torch.relu(self.last(x)).mean((2, 3)))

    net = Net().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = tp.DependencyGraph().build_dependency(net, torch.zeros(1, 3, 16, 16))
        theirs = set()
        names = {module: name for name, module in net.named_modules()}
        for group in graph.get_all_groups():
            theirs.add(
                frozenset(names[item.dep.target.module] for item in group if item.dep.target.module in names)
            )
        model = from_torch(net, (1, 3, 16, 16))
    owner = {name: op.name for op in model.ops for name in op.inputs}
    ours = {frozenset(owner[name] for name, _ in group.slices) for group in groups(model)}
    assert ours == {group for group in theirs if group != {"head"}}


def without(model: Model, found: Channels, fraction: float) -> Model:
    """Make some classes of every group zero in all that goes with them."""
    rng, gone = np.random.default_rng(1), set()
    for classes in found.groups():
        for place in rng.choice(len(classes), int(len(classes) * fraction), replace=False):
            gone.update(classes[place])
    tensors = dict(model.tensors)
    for part in found.parts:
        data = np.array(tensors[part.constant].data)
        np.moveaxis(data, part.axis, 0)[np.isin(part.numbers, list(gone))] = 0
        tensors[part.constant] = replace(tensors[part.constant], data=data)
    return replace(model, tensors=tensors)


@pytest.mark.parametrize("name", NETWORKS)
def test_dead_channels_of_every_architecture_go_without_a_change(name):
    shape = NETWORKS[name][1]
    model = fold(from_torch(made(name), shape, name=name))
    whole = without(model, Channels(model), 0.5)
    small = prune(whole, 0.5, multiple=1)
    x = np.random.default_rng(2).normal(size=(1, *model.input.shape[1:])).astype(np.float32)
    theirs = run(whole, x)
    np.testing.assert_allclose(run(small, x), theirs, rtol=1e-3, atol=1e-4 * max(np.abs(theirs).max(), 1))
    count = [sum(m.tensors[op.weight].elements for op in m.ops if op.weight) for m in (whole, small)]
    assert count[1] < 0.9 * count[0]


class Several(torch.nn.Module):
    """Two inputs that are joined and cut, and two outputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = torch.nn.Linear(6, 16), torch.nn.Linear(4, 8)
        self.c, self.d, self.e = torch.nn.Linear(20, 12), torch.nn.Linear(12, 3), torch.nn.Linear(12, 2)

    def forward(self, x, y):
        both = torch.cat([torch.relu(self.a(x)), torch.relu(self.b(y))], 1)[:, 4:]
        z = torch.relu(self.c(both))
        return self.d(z), self.e(z)


@pytest.mark.parametrize("refitted", [False, True])
def test_a_network_with_several_inputs_and_outputs(refitted):
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(64, n)).astype(np.float32) for n in (6, 4)]
    found = prune(
        Several().eval(), 0.5, multiple=1, shape=((1, 6), (1, 4)), inputs=tuple(inputs) if refitted else None
    )
    assert len(found.inputs) == len(found.outputs) == 2
    widths = {op.name: found.tensors[op.inputs[1]].shape for op in found.ops if op.weight}
    assert sum(a * b for a, b in widths.values()) < 0.6 * (16 * 6 + 8 * 4 + 12 * 20 + 3 * 12 + 2 * 12)


def test_a_network_without_channels_that_could_go_is_refused():
    with pytest.raises(BadModel, match="no channels that could go"):
        prune(from_torch(torch.nn.Linear(4, 3), (1, 4)), 0.5)
