"""Names out of files: whatever a network calls its layers, terminals and tables are left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from networks import small_network

from mcusim.files.npz import save

EVIL = "\x1b[31mred\x07\u202e" + "x" * 200 + "\x1b[2J\r\nEND"
BOARD = ("--board", "nrf52840")


@pytest.fixture(scope="module")
def evil(tmp_path_factory) -> Path:
    model = small_network()
    new = {name: f"{name}{EVIL}" for name in model.tensors}
    tensors = {new[n]: replace(t, name=new[n]) for n, t in model.tensors.items()}
    ops = tuple(
        replace(o, name=o.name + EVIL, inputs=tuple(new[i] for i in o.inputs), output=new[o.output])
        for o in model.ops
    )
    path = tmp_path_factory.mktemp("evil") / "evil.npz"
    network = replace(
        model, name="net" + EVIL, ops=ops, tensors=tensors, inputs=tuple(new[n] for n in model.inputs),
        outputs=tuple(new[n] for n in model.outputs), head=f"{model.head}{EVIL}", labels=(EVIL,) * 4,
    )  # fmt: skip
    save(network, path)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["show", "EVIL"],
        ["plan", "--model", "EVIL", *BOARD],
        ["plan", "--model", "EVIL", *BOARD, "--update", "dense", "--sram", "8KiB"],
        ["explain", "--model", "EVIL", *BOARD],
        ["timeline", "--model", "EVIL", *BOARD, "--hours", "0.01"],
        ["train", "--model", "EVIL", *BOARD, "--data", "DATA", "--limit", "4"],
        ["train", "--model", "EVIL", *BOARD, "--data", "DATA", "--sram", "8KiB"],
        ["plan", "--model", "EVIL", *BOARD, "--update", "dynamic:layers=nowhere"],
        ["plan", "--model", "EVIL", *BOARD, "--patches", "2:nowhere"],
    ],
    ids=lambda words: " ".join(words),
)
def test_no_name_reaches_the_terminal(run, evil, images, words):
    result = run(*({"EVIL": evil, "DATA": images}.get(word, word) for word in words))
    assert result.exit_code in (0, 2, 3), (result.exception, result.stderr)
    said = result.stdout + result.stderr
    assert said
    assert all(line.isprintable() for line in said.replace("\u00a0", " ").split("\n"))
    assert "x" * 81 not in said
    assert max(map(len, result.stdout.split("\n"))) <= 120
