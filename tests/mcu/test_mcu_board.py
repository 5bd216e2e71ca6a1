from __future__ import annotations

from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path

import pytest
from networks import small_network

from mcusim import Session
from mcusim.core import BadBoard, UnknownName
from mcusim.mcu import Board, board, board_names, boards, load_board
from mcusim.mcu.flash.write_back import write_back

PROFILE = 'profile = "cortex-m7-cubeai-10.0-balanced"'
BOARD = files("mcusim.mcu").joinpath("boards", "stm32f746.toml").read_text()


def edited(tmp_path: Path, old: str, new: str) -> Path:
    assert old in BOARD
    path = tmp_path / "mine.toml"
    path.write_text(BOARD.replace(old, new, 1))
    return path


def stated(value, path="") -> list[str]:
    """Return the dotted paths of all figures that are stated."""
    if is_dataclass(value) and path not in ("runtime",):
        return [
            p for f in fields(value) for p in stated(getattr(value, f.name), f"{path}.{f.name}".lstrip("."))
        ]
    return [] if value in (None, "", "none", False) else [path]


@pytest.mark.parametrize("name", board_names())
def test_every_stated_figure_has_a_source(name):
    found = board(name)
    own = {"name", "title", "core", "chip", "profile", "file", "sources", "runtime", "flash.banks"}
    zero_or_default = {"cache.instruction_bytes", "cache.data_bytes"}
    for path in stated(found):
        if path in own or (path in zero_or_default and not found.cache.name):
            continue
        assert "no source stated" not in found.source(path), f"{name}: {path}"


@pytest.mark.smoke
def test_the_boards_of_the_issue_are_there():
    assert {
        "stm32f746", "stm32h743", "stm32h7a3", "stm32l4r5", "stm32u585", "stm32u575", "stm32u385",
        "nrf52840", "rp2040", "stm32g0b1",
    } <= set(board_names())  # fmt: skip
    assert board("STM32F746").sram_bytes == 320 * 1024
    assert board("rp2040").sram_bytes == 264 * 1024
    assert [b.name for b in boards()] == board_names()
    assert all(b.runtime_bytes > 0 for b in boards())
    assert {
        "stm32f411", "stm32f769", "stm32f769-sdram", "stm32h747", "stm32h747-sdram", "stm32n6", "esp32s3",
        "esp32s3-psram", "esp32c3", "rp2350", "rp2350-riscv", "nrf5340", "nrf54l15", "alif-e7",
    } <= set(board_names())  # fmt: skip


def test_a_board_says_what_it_can_answer():
    """Of every board, what it says it answers is what the figures that are needed allow."""
    for found in boards():
        assert ("time" in found.answers) == (found.profile is not None)
        for what, path in (("energy", "power.active_mw"), ("wear", "flash.endurance_cycles")):
            if what in found.answers:
                assert found.need(path) > 0
        if "write-back" in found.answers:
            assert write_back(found, 1000).typical_ms > 0
        else:
            with pytest.raises(BadBoard):
                _ = write_back(found, 1000).typical_ms
    assert board("stm32l4r5").answers == ("memory", "time", "energy", "write-back", "wear")
    assert board("stm32n6").answers == ("memory", "time")


def test_sources_name_real_figures():
    for found in boards():
        for path in found.sources:
            value = found
            for part in path.split("."):
                assert hasattr(value, part), f"{found.name}: source of unknown {path}"
                value = getattr(value, part)


def test_unknown_board_suggests_the_nearest():
    with pytest.raises(UnknownName, match="stm32f746"):
        board("stm32f764")


def test_absent_figure_names_field_file_and_purpose():
    found = board("stm32h7a3")
    with pytest.raises(BadBoard, match=r"flash\.program_typ_us.*write-back.*stm32h7a3\.toml"):
        found.need("flash.program_typ_us", "a write-back")


def test_a_users_own_file(tmp_path):
    path = edited(tmp_path, 'name = "stm32f746"', 'name = "mine"')
    assert load_board(path) == board(str(path))
    assert board(path).name == "mine"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clock_hz = 216_000_000", "clok_hz = 216_000_000", r"unknown key clok_hz.*clock_hz"),
        ("wait_states = 7", "wait_state = 7", r"unknown key flash\.wait_state.*wait_states"),
        ("data_bytes = 4_096", "data_byte = 4_096", r"unknown key cache\.data_byte.*data_bytes"),
        ("bytes = 65_536", "size = 65_536", r"unknown key sram\.0\.size"),
        ("clock_hz = 216_000_000", "clock_hz = 216", r"clock_hz = 216.*units?|clock_hz = 216: .*unit"),
        ("clock_hz = 216_000_000", 'clock_hz = "216 MHz"', r"clock_hz = '216 MHz'"),
        ("clock_hz = 216_000_000", "clock_hz = -1", r"clock_hz = -1"),
        ("bytes = 65_536", "bytes = 0", r"sram\.0\.bytes = 0"),
        ("voltage_v = 3.3", "voltage_v = 3300.0", r"power\.voltage_v = 3300"),
        ("voltage_v = 3.3", "voltage_v = nan", r"power\.voltage_v"),
        ("voltage_v = 3.3", "active_mw = -4.0", r"power\.active_mw = -4"),
        ("voltage_v = 3.3", "active_mw = 100.0\nactive_high_mw = 50.0", r"active_mw = 100 is above"),
        ("bytes = 1_048_576", "bytes = 1_000_000", r"add up to 1,048,576 B"),
        ("program_bytes = 4", "program_bytes = 5", r"no multiple of flash\.program_bytes"),
        ("program_typ_us = 16", "program_typ_us = 160", r"program_typ_us = 160 is above"),
        ('name = "SRAM2"', 'name = "SRAM1"', r"same name"),
        ('title = "STM32F746 (32F746GDISCOVERY)"', "", r"title is missing"),
        ("clock_hz", "clock_hz = = ", r"is not TOML"),
        ('fpu = "single"', 'fpu = "half"', r"fpu = 'half'"),
        ('name = "stm32f746"', 'name = "x"\nfile = "y"', r"unknown key file"),
        ('\nclock_hz = "', '\nclok_hz = "', r"states no source of clock_hz \(write it under \[sources\]"),
        ("[sources]", '[sources]\nclok_hz = "a guess"', r"unknown key sources\.clok_hz.*clock_hz"),
        ("[sources]", "[runtime]\nstack_bytes = 5000\n[sources]", r"no source of runtime\.stack_bytes"),
    ],
)
def test_wrong_files_are_refused_by_name(tmp_path, old, new, message):
    with pytest.raises(BadBoard, match=message) as caught:
        board(edited(tmp_path, old, new))
    assert "mine.toml" in str(caught.value)


def test_a_board_without_any_source_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(BOARD.partition("[sources]")[0])
    with pytest.raises(BadBoard, match=r"states no source of clock_hz and \d+ more"):
        board(path)


def test_the_reason_why_there_is_no_time_is_the_true_one(tmp_path):
    """A profile of another core is not the same as none at all."""
    model = small_network()
    other = board(edited(tmp_path, 'core = "cortex-m7"', 'core = "cortex-m85"'))
    with pytest.raises(BadBoard, match=r"cubeai.*is for cortex-m7 and .* is a cortex-m85 .*mine\.toml"):
        Session(model, other, "head").plan()
    none = board(edited(tmp_path, PROFILE, ""))
    plan = Session(model, none, "head").plan()
    assert plan.estimate is None
    assert "stm32f746 has no cycle profile" in str(plan)
    with pytest.raises(UnknownName, match="cubeai"):
        Session(model, board(edited(tmp_path, PROFILE, PROFILE.replace("cubeai", "cubai"))), "head").plan()


def test_files_that_are_none(tmp_path):
    with pytest.raises(BadBoard, match="cannot be read"):
        board(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadBoard, match="not a text file"):
        board(binary)
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * (2 << 20))
    with pytest.raises(BadBoard, match="too large"):
        board(huge)


def test_registered_boards_come_from_other_packages(monkeypatch):
    from mcusim.mcu import BOARDS

    monkeypatch.setitem(BOARDS._own, "theirs", board("rp2040"))
    assert isinstance(board("theirs"), Board)
    assert "theirs" in board_names()
