"""``.pt2`` files: the network that PyTorch exported, read without PyTorch, and nothing in them ever runs."""

from __future__ import annotations

import json
import os
import pickle
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mcusim.core import BadModel
from mcusim.files.load import load

torch = pytest.importorskip("torch")


def network() -> Any:
    """A network with most kinds of arguments, a buffer, a constant, and a weight in another order."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
            self.norm = torch.nn.BatchNorm2d(8)
            self.depthwise = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.head = torch.nn.Linear(16, 4)
            self.register_buffer("gain", torch.rand(1, 8, 1, 1))
            self.shift = torch.full((1, 8, 1, 1), 0.25)
            with torch.no_grad():
                self.head.weight = torch.nn.Parameter(torch.rand(16, 4).T)

        def forward(self, x: Any) -> Any:
            y = torch.nn.functional.relu6(self.norm(self.first(x))) * self.gain
            y = torch.cat([self.depthwise(y), y + self.shift], 1)
            return self.head(torch.nn.functional.dropout(y, training=False).mean((2, 3)))

    torch.manual_seed(0)
    return torch.export.export(Network().eval(), (torch.zeros(1, 3, 8, 8),))


@pytest.fixture(scope="module")
def program() -> Any:
    return network()


@pytest.fixture(scope="module")
def file(program: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path)
    return path


def test_the_network_is_the_one_that_pytorch_exported(program: Any, file: Path) -> None:
    from mcusim.files.torch.reader import from_torch

    model, expected = load(file), from_torch(program, name="net")
    assert [op.name for op in model.ops] == [op.name for op in expected.ops]
    assert model.same_as(expected)


def test_pytorch_is_not_needed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert load(file).input.shape == (1, 8, 8, 3)


def edited(file: Path, target: Path, **changes: Any) -> Path:
    """Copy an archive; a change is an entry's content, by the end of its name, or a function of its JSON."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for end, change in changes.items():
                if name.endswith(end.replace("__", "/").replace("_dot_", ".")):
                    if callable(change):
                        data = json.loads(content)
                        change(data)
                        content = json.dumps(data).encode()
                    else:
                        content = change
            new.writestr(name, content)
    return target


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


def test_what_the_file_holds_never_runs(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evil = edited(file, tmp_path / "evil.pt2", sample_inputs__model_dot_pt=pickle.dumps(Evil()))
    assert load(evil).same_as(load(file)) or load(evil).name == "evil"

    def pickled(data: Any) -> None:
        for about in data["config"].values():
            about["use_pickle"] = True

    worse = edited(file, tmp_path / "worse.pt2", model_weights_config_dot_json=pickled)
    with pytest.raises(BadModel, match="is a pickle, which could run any code"):
        load(worse)
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("net/serialized_state_dict.pt", pickle.dumps(Evil()))
    with pytest.raises(BadModel, match="holds its weights as a pickle"):
        load(tmp_path / "old.pt2")
    assert not (tmp_path / "pwned").exists()


def wrong(change: Any) -> Any:
    def edit(data: Any) -> None:
        change(data["graph_module"]["graph"])

    return edit


def symbolic(graph: Any) -> None:
    graph["tensor_values"]["x"]["sizes"][0] = {"as_expr": {"expr_str": "s0"}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (wrong(symbolic), "export with fixed shapes"),
        (wrong(lambda g: g["nodes"][0].update(target="torch.ops.aten.fft.default")), "is not supported"),
        (
            wrong(lambda g: g["nodes"][0]["inputs"][0].update(arg={"as_graph": {}})),
            "argument of kind 'as_graph'",
        ),
        (wrong(lambda g: g["nodes"][0]["inputs"].pop()), "net.pt2"),
        (
            wrong(lambda g: g["nodes"][0]["outputs"].append({"as_tensor": {"name": "y"}})),
            "does not give one tensor",
        ),
        (wrong(lambda g: g["nodes"].append(g["nodes"][0])), "has two nodes"),
        (wrong(lambda g: g.pop("outputs")), "net.pt2"),
        (lambda d: d.clear(), "net.pt2"),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(file: Path, tmp_path: Path, change: Any, says: str) -> None:
    with pytest.raises(BadModel, match=says):
        load(edited(file, tmp_path / "net.pt2", models__model_dot_json=change))


def test_a_weight_of_another_size_is_refused(file: Path, tmp_path: Path) -> None:
    def huge(data: Any) -> None:
        data["config"]["norm.weight"]["tensor_meta"].update(
            sizes=[{"as_int": 2**30}], strides=[{"as_int": 0}]
        )

    with pytest.raises(BadModel, match="repeats 32 B"):
        load(edited(file, tmp_path / "net.pt2", model_weights_config_dot_json=huge))
    with pytest.raises(BadModel, match="has 4 B for shape"):
        load(edited(file, tmp_path / "net.pt2", weights__weight_0=b"1234"))
