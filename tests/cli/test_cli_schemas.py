"""What machines read is what the schemas say: real output, board files and traces, key by key.

``MCUSIM_GOLDEN=write pytest tests/cli/test_cli_schemas.py`` writes the schema of board files anew.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from pydantic import TypeAdapter
from referencing import Registry, Resource
from typer.testing import CliRunner

import mcusim
from mcusim.cli.main import build
from mcusim.events import COLUMNS
from mcusim.events.schema import ENUMERATED
from mcusim.mcu.board import Board
from mcusim.studies.study import Study
from mcusim.traces import read_trace

FOLDER = Path(mcusim.__file__).parent / "schemas"
SCHEMAS = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
ROOT = Path(__file__).parents[2]
MODEL = ["-m", "synthetic-mbv2", "-b", "stm32f746"]
PLANS = [
    [],
    ["--steps", "100"],
    ["--sram", "32KiB"],
    ["--update", "none"],
    ["--update", "dense", "--error", "int8", "--feature", "row-2", "--weight", "int8+res8"],
    ["--allocator", "tlsf", "--patches", "off"],
    ["--measured", "cortex-m7"],
]


def check(name: str, data: Any) -> None:
    Draft202012Validator(SCHEMAS[name], registry=REGISTRY).validate(data)


def output(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(build(), [*words, "--json"])
    assert result.exit_code in (0, 3), result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schemas_are_valid_and_say_their_version(name):
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert re.fullmatch(rf"urn:mcusim:{name}:\d+", SCHEMAS[name]["$id"])


@pytest.mark.parametrize("words", PLANS, ids=" ".join)
def test_plans(words):
    check("plan", output("plan", *MODEL, *words))


def test_a_plan_on_a_board_without_a_profile(tmp_path):
    text = (FOLDER.parent / "mcu" / "boards" / "nrf52840.toml").read_text("utf-8")
    board = tmp_path / "mine.toml"
    board.write_text(re.sub(r"(?m)^(profile|\"?profile\"?) = .*\n", "", text), "utf-8")
    found = output("plan", "-m", "synthetic-mbv2", "-b", str(board))
    assert found["time"] is None
    check("plan", found)


@pytest.mark.parametrize("more", [[], ["--out", "OUT"]])
def test_runs(more, tmp_path):
    words = [str(tmp_path / "run") if word == "OUT" else word for word in more]
    check("train", output("train", *MODEL, "--data", "synthetic", "--limit", "2", *words))


def test_studies(tmp_path):
    study = tmp_path / "mine.toml"
    base = 'model = "synthetic-mbv2"\nboard = "stm32f746"\ndata = "synthetic"\ntraining = { limit = 2 }\n'
    study.write_text(f"[base]\n{base}[axes]\nupdate = ['head', 'dense']\n")
    for more in (["--plan"], []):
        check("sweep", output("sweep", str(study), "--out", str(tmp_path / "out"), *more))


def test_the_schema_of_studies_is_that_of_the_code():
    made = {"$schema": SCHEMAS["plan"]["$schema"], "$id": "urn:mcusim:study:1", **Study.model_json_schema()}
    made["title"] = "A study (TOML)"
    if os.environ.get("MCUSIM_GOLDEN") == "write":
        (FOLDER / "study.json").write_text(json.dumps(made, indent=2) + "\n", "utf-8")
    else:
        assert SCHEMAS["study"] == made


@pytest.mark.parametrize("update", ["dynamic", "trady"])
def test_certificates(update):
    check("certificate", output("prove", *MODEL, "--update", update))


def test_tours(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("event,id,bytes\nalloc,a,9\nalloc,b,8\nfree,a,\n")
    check("tour", output("tour", str(path), "--sram", "10"))


def test_streams():
    check("stream", output("stream", *MODEL, "--data", "synthetic", "--new", "5", "--limit", "2"))


@pytest.mark.parametrize("name", ["certificate", "plan", "train", "sweep", "stream", "tour"])
def test_the_version_in_the_output_is_that_of_the_schema(name):
    version = SCHEMAS[name]["properties"]["schema"]["const"]
    assert f"urn:{version.replace('.', ':').replace('/', ':')}" == SCHEMAS[name]["$id"]


def test_a_key_more_or_less_is_noticed():
    """In every object, however deep: else the tests above would hold nothing."""
    whole = output("plan", *MODEL, "--steps", "1")
    for path in [(), *objects(whole)]:
        for change in ("more", "less"):
            data = json.loads(json.dumps(whole))
            place = data
            for part in path:
                place = place[part]
            if change == "more":
                place["unheard_of"] = None
            else:
                place.pop(next(iter(place)))
            with pytest.raises(ValidationError):
                check("plan", data)


def objects(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all objects with fixed keys; those that map names have none."""
    named = {("features", "pruned"), ("time", "breakdown"), ("formats",)}
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found = [path] if isinstance(data, dict) and path and path not in named else []
    return [*found, *(inner for key, value in items for inner in objects(value, (*path, key)))]


def test_the_readme_explains_no_other_keys():
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.partition("## Keys of `plan --json`")[2].partition("\n\nBoth, board")[0]
    keys = {key for line in re.findall(r"(?m)^\| (`.*?) \|", table) for key in re.findall(r"`([^`]+)`", line)}
    assert len(keys) > 30
    step, plan = SCHEMAS["step"], SCHEMAS["plan"]
    for key in keys:
        place: Any = {**plan, "properties": {**step["properties"], **plan["properties"]}}
        for part in key.split("."):
            place = next((x for x in place.get("anyOf", ()) if "properties" in x), place)["properties"][part]


def test_the_schema_of_boards_is_that_of_the_code():
    made = TypeAdapter(Board).json_schema()
    del made["properties"]["file"], made["$defs"]["Runtime"]["properties"]["step"], made["$defs"]["Measured"]
    made["required"] = [name for name in made["required"] if name != "file"]
    title = "A board file (TOML)"
    made = {"$schema": SCHEMAS["plan"]["$schema"], "$id": "urn:mcusim:board:1", **made, "title": title}
    if os.environ.get("MCUSIM_GOLDEN") == "write":
        (FOLDER / "board.json").write_text(json.dumps(made, indent=2) + "\n", "utf-8")
    else:
        assert SCHEMAS["board"] == made


@pytest.mark.parametrize(
    "path", sorted((FOLDER.parent / "mcu" / "boards").glob("*.toml")), ids=lambda p: p.stem
)
def test_boards(path):
    data = tomllib.loads(path.read_text("utf-8"))
    check("board", data)
    with pytest.raises(ValidationError):
        check("board", {**data, "unheard_of": 1})


@pytest.mark.parametrize("path", sorted((ROOT / "traces").glob("*.parquet")), ids=lambda p: p.stem)
def test_traces(path):
    trace = read_trace(path)
    rows = [event._asdict() for event, _ in zip(trace.events, range(500), strict=False)]
    assert rows
    check("trace", {"header": json.loads(trace.header.to_json()), "rows": rows})


def test_the_schema_of_traces_has_every_column_and_word():
    row = SCHEMAS["trace"]["$defs"]["event"]["properties"]
    assert tuple(row) == COLUMNS
    assert {column: tuple(row[column]["enum"]) for column in ENUMERATED} == ENUMERATED
