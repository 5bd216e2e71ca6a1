"""Channel pruning: groups against torch-pruning, and nothing changes where only dead channels go."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from mcusim.cli.main import build
from mcusim.core import BadArgument, BadModel
from mcusim.graph import Model
from mcusim.importers.graph_json import graph_from_description
from mcusim.importers.load import load
from mcusim.importers.npz import save
from mcusim.importers.prune import groups, importance, prune
from mcusim.importers.quantize import run


def network(seed: int = 0) -> Model:
    """Stem, a strided block, a residual block, pool and head, in float32."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    layers: list[dict[str, object]] = []
    channels = {"input": 3}

    def conv(name, x, out, kernel=1, stride=1, depthwise=False, activation="none", size=8):
        inner = 1 if depthwise else channels[x]
        arrays[f"{name}.w"] = rng.normal(size=(out, inner, kernel, kernel)).astype(np.float32)
        arrays[f"{name}.b"] = rng.normal(size=out).astype(np.float32)
        pad = kernel // 2
        layers.append(
            {
                "id": name, "op": "conv2d", "inputs": [x], "activation": activation, "out_channels": out,
                "out_hw": (size, size), "stride": (stride, stride), "padding": (pad, pad),
                "depthwise": depthwise, "groups": out if depthwise else 1, "weight": f"{name}.w",
                "bias": f"{name}.b",
            }
        )  # fmt: skip
        channels[name] = out
        return name

    x = conv("stem", "input", 16, 3, 2, activation="relu6")
    y = conv("a.expand", x, 48, activation="relu6")
    y = conv("a.depthwise", y, 48, 3, 2, depthwise=True, activation="relu6", size=4)
    x = conv("a.project", y, 24, size=4)
    y = conv("b.expand", x, 72, activation="relu6", size=4)
    y = conv("b.depthwise", y, 72, 3, depthwise=True, activation="relu6", size=4)
    y = conv("b.project", y, 24, size=4)
    layers.append({"id": "b.add", "op": "add", "inputs": [x, y], "out_channels": 24, "out_hw": (4, 4)})
    layers.append({"id": "pool", "op": "global_avg_pool", "inputs": ["b.add"], "out_channels": 24})
    arrays["head.w"] = rng.normal(size=(5, 24)).astype(np.float32)
    arrays["head.b"] = rng.normal(size=5).astype(np.float32)
    layers.append(
        {"id": "head", "op": "linear", "inputs": ["pool"], "out_channels": 5, "weight": "head.w",
         "bias": "head.b"}
    )  # fmt: skip
    described = {
        "format": "float-graph-v1", "name": "small", "input": {"id": "input", "shape": (1, 3, 16, 16)},
        "head": {"layer": "head"}, "layers": layers,
    }  # fmt: skip
    return graph_from_description(described, arrays, "small")


MODEL = network()


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
    from dataclasses import replace

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


def test_another_resolution():
    small = prune(MODEL, 0.0, side=32)
    assert small.tensors["b.add"].shape == (1, 8, 8, 24)
    assert run(small, np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 5)


def test_bad_input():
    from networks import small_network

    with pytest.raises(BadArgument):
        prune(MODEL, 1.0)
    with pytest.raises(BadArgument):
        prune(MODEL, 0.5, multiple=0)
    with pytest.raises(BadModel, match="quantised"):
        prune(small_network(), 0.5)


def test_the_verb(tmp_path):
    save(MODEL, tmp_path / "small.npz")
    out = tmp_path / "out.npz"
    call = ["prune", str(tmp_path / "small.npz"), "--ratio", "0.5", "--out", str(out), "--json"]
    result = CliRunner().invoke(build(), call)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["conv_weights"] == load(str(out)).conv_weights < facts["conv_weights_before"]
    assert CliRunner().invoke(build(), [*call[:2], "--ratio", "2"]).exit_code == 2


@pytest.mark.oracle
def test_groups_are_those_of_torch_pruning():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tp = pytest.importorskip("torch_pruning")
    from mcusim.importers.quantize import from_torch

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
