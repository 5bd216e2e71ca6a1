"""Errors speak the language of who asked: arguments to Python, options to a command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mcusim
from mcusim.core import BadArgument, McusimError, UnknownName
from mcusim.core.chosen import leaves
from mcusim.core.wording import choice, speaking_in_options
from mcusim.session.experiment import Experiment
from mcusim.update import SCHEMES

ROOT = Path(mcusim.__file__).parent
SETTINGS = {".".join(item.path): item for item in leaves(Experiment)}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
WRONG = ("nonsense", "-7", "1e99", "")


def said(item, text) -> Iterator[str]:
    """Yield what a command line says of a text for a setting, if it is none."""
    try:
        with speaking_in_options():
            item.accept(text) if item.is_flag else item.parse(text)
    except McusimError as error:
        yield str(error)


@pytest.mark.parametrize("path", SETTINGS)
def test_every_setting_is_named_as_it_was_asked_for(path):
    item = SETTINGS[path]
    if item.is_flag:
        return  # typer reads it
    found = [message for text in WRONG for message in said(item, text)]
    assert found or item.about.open or item.kinds[0] is str, "takes any text"
    for message in found:
        assert message.startswith(item.flags[0])
        assert "_" not in item.name or not re.search(rf"\b{item.name}\b", message)
    for wrong in ([], 1j, object()):
        with pytest.raises(McusimError) as raised:
            item.accept(wrong)
        assert not OPTION.search(str(raised.value))


def errors() -> Iterator[tuple[Path, str]]:
    """Yield every text of which an error or a warning is made: in the call, or in a name for a part of it."""
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] in ("cli", "assets"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                part = re.match(
                    r"Bad[A-Z]|Unknown|OutOf|Diverged|MissingPackage|SaveFailed|warn$|reads$", name
                )
            elif isinstance(node, ast.Assign):
                part = re.match(r"thing|reason|way_out", getattr(node.targets[0], "id", ""))
            else:
                continue
            for child in ast.walk(node) if part else ():
                if isinstance(child, ast.Constant) and isinstance(child.value, str):
                    yield path, child.value


def test_no_error_below_the_command_line_spells_an_option():
    """It would be read by who calls Python; `choice` knows. A whole command is named as such."""
    wrong = [(str(path), text) for path, text in errors() if OPTION.search(text) and "mcusim " not in text]
    assert not wrong


def test_no_error_spells_a_setting_as_python_does():
    """It may be read at a command line. Parameters of a scheme are spelled alike in both."""
    parameters = {name for scheme in SCHEMES for name in getattr(SCHEMES[scheme], "__dataclass_fields__", {})}
    names = {item.name for item in SETTINGS.values()} | {name for i in SETTINGS.values() for name in i.path}
    python = re.compile(rf"(?<!\?)\b({'|'.join(sorted(names - parameters | {'out', 'resume'}))})=")
    found = [(str(path), text) for path, text in errors() if python.search(text)]
    assert not found


def test_a_choice_is_written_for_its_reader():
    assert (choice("head_rate", 2), choice("head", "int8"), choice("out")) == (
        "head_rate=2",
        "head='int8'",
        "out=…",
    )
    with speaking_in_options():
        assert (choice("head_rate", 2), choice("head", "int8")) == ("--head-rate 2", "--head int8")


def test_few_names_are_all_told_beside_the_nearest():
    with pytest.raises(
        UnknownName, match=r"did you mean regression or .*\? known: auto, binary, classification, .*segm"
    ):
        SETTINGS["task"].accept("regresion")
    with pytest.raises(UnknownName, match=r"\(did you mean constant or cosine\?\)|cosine or constant\?\)"):
        SETTINGS["training.schedule"].accept("cosinant")
    assert issubclass(BadArgument, McusimError)
