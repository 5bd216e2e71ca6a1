"""Verbs take every setting, from options and from run files; the page of settings names them all."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import pytest

from mcusim.cli import main, options
from mcusim.cli.main import VERBS
from mcusim.cli.settings_page import page
from mcusim.core.chosen import leaves
from mcusim.core.setting import setting
from mcusim.session.experiment import Experiment

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
OWN_WAY = {
    "compare": {"--board", "-b", "--update", "-u"},
    "search": {"--update", "-u", "--error", "--weight", "--evaluate", "--trace"},
    "diff": {"--update", "-u"},
}
"""Options that a verb replaces by its own: lists of boards and schemes, sides, or what it looks for."""
DATA = {"train", "search"}


def options_of(verb: str) -> dict[str, str]:
    """Return the options of a verb with their help."""
    return {
        flag: p.help or "" for p in main.verb(verb).params if p.param_type_name == "option" for flag in p.opts
    }


PLANS = [
    verb
    for verb in VERBS
    if {"--update", "--updates", "--sram", "--planner", "--board", "--boards"} & {*options_of(verb)}
    and verb not in ("replay", "pack", "tour", "demo")
]
"""Verbs that plan a step; others (``replay``, ``pack``, ``tour``) place what is given, ``demo`` shows one."""


def test_the_verbs_that_plan_are_found():
    assert {"plan", "train", "timeline", "explain", "compare", "search", "diff", "report"} <= {*PLANS}


@pytest.mark.parametrize("verb", PLANS)
def test_every_verb_that_plans_takes_every_setting_with_its_help(verb):
    assert verb in VERBS
    found = options_of(verb)
    for item in leaves(Experiment):
        others = verb not in options.OF_VERBS.get(options.group_of(item), (verb,))
        if others or (item.name == "data" and verb not in DATA):
            continue
        missing = set(item.flags) - OWN_WAY.get(verb, set())
        assert missing <= set(found), f"{verb} has no {missing}"
        assert all(len(found[flag]) > 5 for flag in missing)


def test_the_page_is_up_to_date_and_names_every_setting():
    text = PAGE.read_text("utf-8")
    assert text == page(), "python -m mcusim.cli.settings_page > docs/settings.md"
    for item in leaves(Experiment):
        assert f"`{', '.join(item.flags)}` | `{'.'.join(item.path)}`" in text


def test_a_new_setting_is_one_field(monkeypatch):
    @dataclass(frozen=True, slots=True)
    class More(Experiment):
        grain_size: float | None = setting(None, "size of grains", least=0, most=1, unit="mm")

    monkeypatch.setattr(options, "Experiment", More)
    options._options.cache_clear()
    seen = []
    verb = options.takes_settings()(lambda wanted: seen.append(wanted))
    assert "grain_size" in signature(verb).parameters
    given = dict.fromkeys(signature(verb).parameters) | {"grain_size": "0.5"}
    verb(**given)
    assert seen[0].grain_size == 0.5
    assert More.from_dict(seen[0].as_dict()) == seen[0]
    assert "| `--grain-size` | `grain_size` |  | Size of grains (mm). In [0, 1]. |" in page()
    options._options.cache_clear()


@pytest.fixture
def run_file(model: Path, images: Path, tmp_path: Path) -> Path:
    """An experiment in a file, with a table of another program's."""
    path = tmp_path / "given.toml"
    path.write_text(
        f'model = "{model}"\nboard = "nrf52840"\ndata = "{images}"\nupdate = "last-2"\n'
        '[formats]\nerror = "int8"\n[sgd]\nlr = 0.02\nhead_rate = 0.5\n[training]\nlimit = 8\n'
        "[training.augmentation]\nflip = true\n[tool.other]\nanything = 1\n"
    )
    return path


def test_a_run_file_is_planned_and_options_override_it(answer, run_file):
    found = answer("plan", run_file, "--no-suggest")
    assert (found["update"], found["formats"]["error"]) == ("last-2", "int8")
    found = answer("plan", run_file, "--error", "int16", "--update", "head", "--no-suggest")
    assert (found["update"], found["formats"]["error"]) == ("head", "int16")
    assert answer("explain", run_file)["peak_bytes"] > 0
    assert answer("timeline", run_file, "--hours", "0.01")["update"] == "last-2"
    assert answer("compare", run_file, "--boards", "nrf52840")["rows"][0]["fits"]


def test_a_run_leaves_a_run_file_that_gives_it_again(answer, run_file, tmp_path):
    first = answer("train", run_file, "--out", tmp_path / "a", "--seed", "3", "--no-flip")
    assert first["steps"] == 8
    again = answer("train", tmp_path / "a" / "run.toml", "--out", tmp_path / "b")
    for name in ("run.toml", "history.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert again["steps"] == 8
    written = Experiment.from_dict(Experiment.read(tmp_path / "b" / "run.toml"))
    assert (written.seed, written.training.augmentation.flip, written.sgd.head_rate) == (3, False, 0.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("updat = 'head'", "did you mean update"),
        ("lr = 0.1", "setting 'lr'"),
        ("[sgd]\nmomentun = 0.1", "did you mean momentum"),
        ("[sgd]\nlr = 'fast'", "is not a number"),
        ("[formats]\nhead = 'int8'", "is that of the network"),
        ("sgd = 3", "write [sgd]"),
        ("board = 3", "board 3"),
        ("board = ", "is not TOML"),
        ("", "no model"),
        ("model = 'synthetic-mbv2'", "no board"),
    ],
)
def test_run_files_that_make_no_sense(refused, tmp_path, text, says):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    assert says in refused("plan", path)
    assert "cannot be read" in refused("plan", tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--lr", "fast"), "--lr 'fast': is not a number"),
        (("--layer-rates", "conv1"), "is not a list like NAME=0.5"),
        (("--task", "regresion"), "did you mean regression"),
        (("--head-rate", "-1"), "--head-rate -1.0: is not at least 0"),
        (("--arithmetic", "flote"), "did you mean float"),
    ],
)
def test_options_that_make_no_sense(refused, options, says):
    assert says in refused("plan", "--model", "synthetic-mbv2", "--board", "nrf52840", *options)


def test_the_network_of_the_file_is_planned_and_a_fresh_head_is_said_first(run, answer, model: Path):
    plain = ("plan", "--model", model, "--board", "nrf52840", "--no-suggest")
    own, fresh = answer(*plain), answer(*plain, "--classes", "100")
    assert fresh["sram"]["by_role"]["head"] > 20 * own["sram"]["by_role"]["head"]
    first = run(*plain, "--classes", "100").stdout.splitlines()[0]
    assert "fresh float32 head of 100 outputs; its own has 4" in first
    assert "fresh" not in run(*plain).stdout
    assert "fresh" not in run(*plain, "--classes", "4").stdout


def test_settings_reach_the_plan(answer):
    plain = ("plan", "--model", "synthetic-mbv2", "--board", "nrf52840", "--no-suggest")
    usual = answer(*plain)["sram"]["peak_bytes"]
    assert answer(*plain, "--no-in-place")["sram"]["peak_bytes"] >= usual
    assert answer(*plain, "--momentum", "0.9")["sram"]["by_role"]["optimizer"] > 0
    assert answer(*plain, "--accumulate", "2")["sram"]["by_role"]["gradient"] > 0


def test_what_a_verb_alone_can_choose_is_a_table_of_a_run_file_and_checked_alike(run_file, answer, refused):
    run_file.write_text(
        run_file.read_text() + "[timeline]\nframes_per_s = 2\nhours = 0.5\n[search]\nratio = 0.1\n"
    )
    assert Experiment.from_dict(Experiment.read(run_file)).search.ratio == 0.1
    assert answer("timeline", run_file)["frames"] == 3600
    assert answer("timeline", run_file, "--fps", "1")["frames"] == 1800
    assert "hours 0.0: is not in (0, 8,784]" in refused("timeline", run_file, "--hours", "0")
    assert "ratio 2.0: is not in (0, 1]" in refused("search", run_file, "--ratio", "2")
    assert "did you mean float32" in refused("search", run_file, "--errors", "int8,flaot32")
    assert "did you mean hours" in refused_by(run_file, "hour = 1", refused)


def refused_by(run_file: Path, line: str, refused) -> str:
    run_file.write_text(run_file.read_text().replace("hours = 0.5", line))
    return str(refused("timeline", run_file))


def test_the_help_of_a_verb_names_the_defaults_of_that_verb():
    def shown(verb: str, flag: str) -> object:
        return next(p.show_default for p in main.verb(verb).params if flag in p.opts)

    assert (shown("search", "--epochs"), shown("train", "--epochs")) == ("2", "1")
    assert (shown("search", "--bias"), shown("plan", "--bias")) == ("int32+res8", "int32")


def test_the_groups_are_those_of_verbs_that_are_there():
    named = [verb for verbs in options.OF_VERBS.values() for verb in verbs]
    assert set(named) <= set(VERBS)
    for group, verbs in options.OF_VERBS.items():
        flags = {
            flag for item in leaves(Experiment) if options.group_of(item) == group for flag in item.flags
        }
        takers = {verb for verb in PLANS if len(flags & set(options_of(verb))) > len(flags) / 2}
        assert takers == set(verbs), group
