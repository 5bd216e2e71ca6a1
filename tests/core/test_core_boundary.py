"""What a reader did not foresee becomes one line that names the file; its cause is kept."""

from __future__ import annotations

import pytest

from mcusim.core import BadArgument, BadBoard, BadModel, BadTrace
from mcusim.core.boundary import reading, reads
from mcusim.core.toml_file import LARGEST_FILE, read_toml


@pytest.mark.parametrize(
    "error", [RuntimeError("x" * 1000), AssertionError(), RecursionError("deep"), KeyError("k")]
)
def test_whatever_it_is_it_is_named(error):
    says = rf"^file\.npz: cannot be read: {type(error).__name__}"
    with pytest.raises(BadModel, match=says) as caught, reading("file.npz", BadModel, "get it again"):
        raise error
    assert caught.value.__cause__ is error
    assert caught.value.way_out == "get it again"
    assert len(str(caught.value)) < 300


def test_what_was_said_already_is_left_alone():
    with pytest.raises(BadTrace, match=r"^other: reason"), reading("file", BadModel, ""):
        raise BadTrace("other", "reason")
    with pytest.raises(KeyboardInterrupt), reading("file", BadModel, ""):
        raise KeyboardInterrupt
    says = r"^file: cannot be read: Permission denied"
    with pytest.raises(BadModel, match=says), reading("file", BadModel, ""):
        raise PermissionError(13, "Permission denied")


@pytest.mark.smoke
def test_a_reader_is_what_it_was_and_stands_behind_the_boundary():
    @reads(BadBoard, "compare it")
    def load(path: str, factor: int = 2) -> int:
        """Return the length."""
        return len(path) * factor // (factor - 3)

    assert load("abc", factor=4) == 12
    assert load.__doc__ == "Return the length."
    with pytest.raises(BadBoard, match=r"^abc: cannot be read: ZeroDivisionError: .* \(compare it\)"):
        load("abc", factor=3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = ", "is not TOML"),
        (b"a = " + b"9" * 5000, "is not TOML"),
        (b"a = 2026-02-30", "is not TOML"),
        (b"a = " + b"[" * 100_000, "is nested too deep"),
        (b"a = '\xff'", "is not a text file"),
        (b"#" * (LARGEST_FILE + 1), "is too large"),
        (None, "cannot be read: No such file"),
    ],
)
def test_toml_of_any_kind_is_read_or_refused(tmp_path, content, says):
    path = tmp_path / "file.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadArgument, match=f"run file: {says}"):
        read_toml(path, BadArgument, "run file")


def test_what_a_class_opens_is_named_and_not_the_class():
    class Opened:
        @classmethod
        @reads(BadTrace, "record it again")
        def open(cls, path: str) -> None:
            raise ValueError("damaged")

    with pytest.raises(BadTrace, match=r"^file: cannot be read: ValueError: damaged"):
        Opened.open("file")
