"""Every setting survives JSON and TOML, says what it is, and refuses what it is not."""

from __future__ import annotations

import json
import tomllib
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import small_network

import mcusim
from mcusim.core import BadArgument, UnknownName
from mcusim.core.chosen import arguments, leaves
from mcusim.core.setting import Setting
from mcusim.core.toml_text import toml
from mcusim.lowering.patches import Patches
from mcusim.lowering.residency import Residency
from mcusim.planning.recipe import Recipe
from mcusim.planning.settings import Choices, Decided, Settings
from mcusim.session.experiment import Experiment
from mcusim.update import Formats, Sgd

ALL = {item.path: item for item in leaves(Experiment)}


def values_of(item: Setting) -> st.SearchStrategy[Any]:
    """Return plain values of any setting, drawn from what it says about itself."""
    about = item.about
    if about.read is not None:
        return st.sampled_from([item.plain(item.default), about.example or item.plain(item.default)])
    if about.values is not None:
        found = st.sampled_from(item.values)
    elif item.is_flag:
        return st.booleans()
    elif {int, float, dict} & {*item.kinds}:
        low = about.least if about.least is not None else about.above
        high = about.most if about.most is not None else about.below
        found = st.integers(low, high) if int in item.kinds else st.floats(
            low, high, allow_nan=False, allow_infinity=False, exclude_max=about.below is not None,
            exclude_min=about.above is not None,
        )  # fmt: skip
        if dict in item.kinds:
            found = st.dictionaries(st.text(), found, max_size=3)
    else:
        found = st.text()
    return st.none() | found if item.optional else found


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """Draw an experiment with any of its settings changed."""
    data: dict[str, Any] = {}
    for path in draw(st.sets(st.sampled_from(sorted(ALL)))):
        table = data
        for name in path[:-1]:
            table = table.setdefault(name, {})
        table[path[-1]] = draw(values_of(ALL[path]))
    return Experiment.from_dict(data)


@given(experiments())
def test_through_json_and_back(wanted):
    assert Experiment.from_dict(json.loads(json.dumps(wanted.as_dict()))) == wanted
    settings = wanted.settings
    assert Settings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings


@given(experiments())
def test_through_toml_and_back(wanted):
    assert Experiment.from_dict(tomllib.loads(toml(wanted.as_dict()))) == wanted


def test_a_run_file_is_written_and_read(tmp_path):
    wanted = Experiment(note='a "note"\x7f', model="net", sgd=Sgd(layer_rates={"a.b": 0.5}), patches=None)
    wanted.write(tmp_path / "run.toml")
    assert Experiment.from_dict(Experiment.read(tmp_path / "run.toml")) == wanted


@pytest.mark.parametrize("path", sorted(ALL), ids=".".join)
def test_every_setting_says_what_it_is_and_refuses_what_it_is_not(path):
    item = ALL[path]
    assert len(item.about.help) > 5
    assert not item.about.help.endswith(".")
    for wrong in ([], object(), 1j):
        with pytest.raises((BadArgument, UnknownName), match=r".: "):
            item.accept(wrong)
    if item.values and not item.about.open:
        with pytest.raises(UnknownName):
            item.accept("nothing of the kind")
    if item.about.least is not None:
        wrong = {"x": item.about.least - 1} if dict in item.kinds else item.about.least - 1
        with pytest.raises(BadArgument, match="is not"):
            item.accept(wrong)
    if item.about.above is not None:
        with pytest.raises(BadArgument, match=r"is not (above|in .)"):
            item.accept(item.about.above)


def test_names_of_options_are_distinct():
    flags = [flag for item in ALL.values() for flag in item.flags]
    assert len(flags) == len(set(flags))


def test_unknown_keys_suggest_the_nearest():
    with pytest.raises(UnknownName, match="did you mean momentum"):
        Experiment.from_dict({"sgd": {"momentun": 0.5}})
    with pytest.raises(UnknownName, match=r"did you mean .*formats\.weight"):
        Experiment.from_dict({"weight": "int8"})
    with pytest.raises(BadArgument, match=r"write \[formats\]"):
        Experiment.from_dict({"formats": "int8"})
    with pytest.raises(UnknownName, match="did you mean residency"):
        mcusim.Session(small_network(), mcusim.board("stm32f746"), residenci="flash")


def test_what_is_decided_is_never_open():
    board = mcusim.board("stm32f746")
    session = mcusim.Session(small_network(), board, sram="64KiB")
    assert (session.settings.residency, session.settings.patches, session.settings.sram) == (
        "auto", "auto", "64KiB",
    )  # fmt: skip
    decided = session.plan().settings
    assert isinstance(decided, Decided)
    assert decided.sram_bytes == 65_536
    assert isinstance(decided.residency, Residency)
    assert decided.patches is None or isinstance(decided.patches, Patches)
    assert {f.name for f in fields(Choices)} == {f.name for f in fields(Settings)} & {
        f.name for f in fields(Decided)
    } - {"residency", "patches", "task", "output"}
    assert Decided.from_dict(json.loads(json.dumps(decided.as_dict()))) == decided
    again = mcusim.Session(small_network(), board, settings=Settings.fixed(decided)).plan()
    assert again.settings == decided
    with pytest.raises(UnknownName):
        replace(decided, residency="auto")
    with pytest.raises(FrozenInstanceError):
        decided.seed = 1


def test_arguments_say_what_differs():
    given = Settings(formats=Formats(error="int16"), sgd=Sgd(lr=0.5, layer_rates={"a": 2}), in_place=False)
    assert arguments(given, Settings()) == "--error int16 --lr 0.5 --layer-rates a=2.0 --no-in-place"
    assert arguments(Settings(), Settings()) == ""
    assert arguments(Recipe(limit=3), Recipe()) == "--limit 3"


def test_python_says_which_arguments_there_are():
    from inspect import signature

    assert {f.name for f in fields(Settings)} <= set(signature(mcusim.Session).parameters)
    assert {f.name for f in fields(Recipe)} <= set(signature(mcusim.Session.train).parameters)
