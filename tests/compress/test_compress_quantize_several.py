"""Float networks with several inputs and outputs: quantised, compared, trained, asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mcusim
from mcusim.compress.quantize import compare, fold
from mcusim.compress.quantize.int8 import run_int8
from mcusim.core import BadData
from mcusim.core.fields import joined
from mcusim.data import from_arrays
from mcusim.files.torch.reader import from_torch

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore:float32 examples are taken as real values")
RNG = np.random.default_rng(0)
PICTURES = RNG.normal(size=(40, 8, 8, 3)).astype(np.float32)
FACTS = RNG.normal(size=(40, 4)).astype(np.float32)
SHAPES = ((1, 3, 8, 8), (1, 4))


class TwoByTwo(nn.Module):
    """A picture and a vector in, two classifiers out."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.know = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(4, 8)
        self.first, self.second = nn.Linear(16, 5), nn.Linear(16, 3)

    def forward(self, picture: Any, facts: Any) -> Any:
        seen = torch.relu(self.see(picture)).mean((2, 3))
        both = torch.cat([seen, torch.relu(self.know(facts))], 1)
        return self.first(both), self.second(both)


@pytest.fixture(scope="module")
def module() -> Any:
    torch.manual_seed(0)
    return TwoByTwo().eval()


@pytest.mark.parametrize(
    "examples",
    [
        (PICTURES, FACTS),
        {"picture": PICTURES, "facts": FACTS},
        from_arrays((PICTURES, FACTS), np.arange(40) % 5),
    ],
    ids=["tuple", "names", "data set"],
)
def test_each_way_to_give_examples_quantises(module: Any, examples: Any) -> None:
    twin = mcusim.quantize(module, examples)
    assert twin.inputs == ("picture", "facts")
    assert [twin.tensors[name].dtype for name in twin.outputs] == ["int32", "int32"]
    for place, wanted in enumerate(_asked(module)):
        found = mcusim.predict(twin, (PICTURES, FACTS), output=str(place))
        assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_the_twin_is_compared_at_all_outputs(module: Any) -> None:
    floating = from_torch(module, SHAPES)
    twin = mcusim.quantize(floating, (PICTURES, FACTS))
    records = joined("examples", {"picture": PICTURES, "facts": FACTS})
    report = compare(fold(floating), twin, records)
    assert report.agreement > 0.8
    assert report.output_snr_db > 20
    assert {*twin.outputs} <= {layer.name for layer in report.layers}
    assert run_int8(twin, records).shape == (40, 5)


def test_both_heads_learn_together_or_one_alone(module: Any) -> None:
    twin = mcusim.quantize(module, (PICTURES, FACTS))
    labels = (np.arange(40) % 5, np.arange(40) % 3)
    session = mcusim.Session(twin, "stm32h743", "dense", output="0+1*0.5")
    run = session.train(from_arrays((PICTURES, FACTS), labels), epochs=1)
    assert run.plan.settings.task == "classification+classification"
    alone = mcusim.Session(twin, "stm32h743", "head", output="1")
    assert alone.train(from_arrays((PICTURES, FACTS), labels[1]), epochs=1).rows[-1]["loss"] > 0


def test_examples_that_do_not_suit_are_refused(module: Any) -> None:
    floating = from_torch(module, SHAPES)
    for examples, reason in (
        ((FACTS, PICTURES), "is not \\[N, 8, 8, 3\\]"),
        ((PICTURES, FACTS[:3]), "different numbers of examples"),
        ({"picture": PICTURES}, "no part 'facts'"),
    ):
        with pytest.raises(BadData, match=reason):
            mcusim.quantize(floating, examples)


def test_a_network_of_two_inputs_and_heads_is_pruned_as_any_other(module: Any) -> None:
    floating = from_torch(module, SHAPES)
    smaller = mcusim.prune(floating, 0.5, multiple=4)
    assert [smaller.tensors[name].shape for name in smaller.inputs] == [
        floating.tensors[name].shape for name in floating.inputs
    ]
    assert len(smaller.outputs) == len(floating.outputs)
    weights = [sum(t.bytes for t in each.tensors.values() if t.constant) for each in (smaller, floating)]
    assert weights[0] < weights[1]


def test_lists_are_arrays_and_tuples_are_inputs() -> None:
    listed = from_arrays([[1.0, 2.0]] * 10, [0, 1] * 5)
    assert listed.train.images.shape[1:] == (2,)
    several = from_arrays(([[1.0, 2.0]] * 10, [[3.0]] * 10), ([0, 1] * 5, [0.5] * 10))
    assert several.train.images.dtype.names == several.train.labels.dtype.names == ("0", "1")


def _asked(module: Any) -> list[np.ndarray]:
    with torch.no_grad():
        found = module(torch.tensor(PICTURES.transpose(0, 3, 1, 2)), torch.tensor(FACTS))
    return [part.numpy() for part in found]
