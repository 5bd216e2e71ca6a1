"""The public face: what is there, is listed, is said, and does what the command line does."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from networks import small_network

import mcusim
from mcusim.cli.main import VERBS
from mcusim.data.dataset import Dataset, Split

PUBLIC = [name for group in mcusim.GROUPS.values() for name in group]
OF_DATA = {f"data.{name}": getattr(mcusim.data, name) for name in mcusim.data.__all__}
CALLABLES = {
    **{name: getattr(mcusim, name) for name in PUBLIC if name != "data"},
    **{name: value for name, value in OF_DATA.items() if callable(value)},
}
FUNCTIONS = {name: value for name, value in CALLABLES.items() if inspect.isfunction(value)}
NO_FUNCTION = {"demo": "a guided tour of train"}
"""Verbs that have no function of their name, and why."""


def pictures() -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 4
    images = rng.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    return Dataset(Split(images, labels), Split(images, labels), tuple("abcd"), "noise")


def test_the_list_the_groups_and_the_types_name_the_same():
    assert len(PUBLIC) == len(set(PUBLIC))
    assert sorted([*PUBLIC, "__version__"]) == sorted(mcusim.__all__) == dir(mcusim)
    tree = ast.parse(Path(mcusim.__file__).read_text("utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    typed = {alias.name: node.module for node in block.body for alias in node.names}
    where = {name: module for group in mcusim.GROUPS.values() for name, module in group.items()}
    assert typed == {**where, "data": "mcusim"}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_in_the_table_of_contents(name):
    assert getattr(mcusim, name) is not None
    assert f"`{name}`" in mcusim.__doc__


def test_every_verb_is_a_function_too():
    assert set(VERBS) - set(PUBLIC) == set(NO_FUNCTION)
    assert all(inspect.isfunction(getattr(mcusim, verb)) for verb in set(VERBS) - set(NO_FUNCTION))


@pytest.mark.parametrize("name", CALLABLES)
def test_every_public_name_is_documented(name):
    assert inspect.getdoc(CALLABLES[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_takes_and_gives(name):
    function = FUNCTIONS[name]
    text = inspect.getdoc(function)
    code = inspect.unwrap(function).__code__  # the signature also names what ``choices`` can be
    named_too = bool(code.co_flags & inspect.CO_VARKEYWORDS)
    parameters = [*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + named_too]]
    said = re.search(r"^Args:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
    named = re.findall(r"^    (\w[\w, ]*):", said[1], re.MULTILINE) if said else []
    assert [part for line in named for part in line.split(", ")] == parameters
    gives = inspect.signature(function).return_annotation not in ("None", None)
    assert not gives or "Returns:" in text or text.startswith(("Return ", "Read ", "Load ", "Open "))


@pytest.fixture(scope="module")
def reference() -> str:
    """What the documentation site makes of the public names."""
    place = Path(__file__).parents[1] / "docs" / "hooks.py"
    spec = importlib.util.spec_from_file_location("docs_hooks", place)
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    return "\n".join(hooks.names())


@pytest.mark.parametrize("name", CALLABLES)
def test_every_public_name_is_in_the_reference(name, reference):
    value = CALLABLES[name]
    assert f"### {name}\n\n::: {value.__module__}.{value.__qualname__}\n" in reference


def test_the_data_room_shows_its_names_and_no_modules():
    assert dir(mcusim.data) == sorted(mcusim.data.__all__)
    assert not [n for n in dir(mcusim.data) if isinstance(getattr(mcusim.data, n), ModuleType)]


def test_the_package_says_that_it_is_typed():
    assert Path(mcusim.__file__).with_name("py.typed").is_file()


def test_plan_and_train_are_what_a_session_does():
    model, board = small_network(), mcusim.board("stm32f746")
    by_hand = mcusim.Session(model, board, "head", sram="64KiB", seed=3)
    assert mcusim.plan(model, board, "head", sram="64KiB", seed=3).as_dict() == by_hand.plan().as_dict()
    run = mcusim.train(model, board, pictures(), update="head", sram="64KiB", seed=3, limit=8, trace="off")
    again = by_hand.train(pictures(), limit=8, trace="off")
    assert run.model.same_as(again.model)
    assert run.steps == 8
    with pytest.raises(mcusim.UnknownName, match="sramm"):
        mcusim.plan(model, board, sramm="64KiB")


def test_predictions_are_those_that_evaluation_counts():
    model, data = small_network(), pictures()
    found = mcusim.predict(model, data.test.images)
    assert found.shape == (20, 4)
    assert found.dtype == np.float32
    right = float((found.argmax(1) == data.test.labels).mean())
    assert right == mcusim.evaluate(model, data.test)
    assert mcusim.predict(model, data.test.images[:0]).shape == (0, 4)
    whole = mcusim.activations(model, mcusim.data.Preprocessor(model, (16, 16, 3))(data.test.images))
    assert np.array_equal(whole[model.outputs[0]], found)


def test_names_are_those_of_the_registries():
    assert {"none", "head", "dynamic"} <= set(mcusim.schemes())
    assert "best" in mcusim.planners()
    assert "tlsf" in mcusim.allocators()
    assert "synthetic-mbv2" in mcusim.models()
    profiles = {board.profile for board in mcusim.boards() if board.profile}
    assert profiles <= set(mcusim.profiles())


def test_a_problem_from_a_plan_or_a_file_is_packed(tmp_path):
    plan = mcusim.plan(small_network(), mcusim.board("stm32f746"), "head")
    assert mcusim.pack(plan.problem).height <= plan.peak_bytes
    assert not mcusim.pack(plan.problem, capacity="1KiB").fits
    trace = mcusim.open_trace("mbv2-w0.35-dynamic")
    file = mcusim.export(trace, tmp_path / "blocks.csv", "minimalloc")
    assert mcusim.pack(file).height == mcusim.pack(file, planner="best").height > 0


def test_a_page_is_written_about_a_plan(tmp_path):
    plan = mcusim.plan(small_network(), mcusim.board("stm32f746"), "none")
    assert "inference alone" in mcusim.report(plan, tmp_path / "plan.html").read_text("utf-8")


def test_a_trace_is_found_by_name_and_explained_replayed_and_compared():
    trace = mcusim.open_trace("mbv2-w0.35-dynamic")
    peak = mcusim.replay(trace).peak_bytes
    assert mcusim.explain(trace).peak_bytes == peak
    same = mcusim.diff(trace, mcusim.open_trace("mbv2-w0.35-dynamic"))
    assert {line.change for line in (*same.totals, *same.roles, *same.ops)} == {0}
    with pytest.raises(mcusim.BadTrace, match="does not exist"):
        mcusim.open_trace("nothing_like_it")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_comes_from_below_the_package(name):
    value = getattr(mcusim, name)
    module = value.__name__ if isinstance(value, ModuleType) else value.__module__
    assert module.startswith("mcusim.")
    assert import_module(module)


BY_OBJECT = {
    "activations": "its input is of the network's own type",
    "add_adapters": "gives a changed network back",
    "save": "a name is on disk already",
    "calibrate": "takes one per row of a file, or none",
}
"""Functions that take a network but no name of one, and why."""


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_what_takes_a_network_or_a_board_takes_its_name(name: str) -> None:
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    for asked in {"model", "board"} & parameters.keys() - ({"model"} if name in BY_OBJECT else set()):
        said = str(parameters[asked].annotation)
        assert "str" in said, f"{name}({asked}: {said})"


def test_names_mean_what_the_objects_mean() -> None:
    model, board = mcusim.load("synthetic-mbv2"), mcusim.board("nrf52840")
    named = mcusim.plan("synthetic-mbv2", "nrf52840", "head")
    assert named.as_dict() == mcusim.plan(model, board, "head").as_dict()
    assert str(mcusim.show("synthetic-mbv2")) == str(mcusim.show(model))
    rows = mcusim.compare("synthetic-mbv2", ["nrf52840"], ["head"])
    assert str(rows) == str(mcusim.compare(model, [board], ["head"]))
    images = np.zeros((2, 32, 32, 3), np.uint8)
    assert (mcusim.predict("synthetic-mbv2", images) == mcusim.predict(model, images)).all()
    with pytest.raises(mcusim.UnknownName, match="nrf52840"):
        mcusim.plan(model, "nrf5284")
