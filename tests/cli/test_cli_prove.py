"""``mcusim prove``: write a certificate, check one."""

from __future__ import annotations

import json

CALL = ("prove", "-m", "synthetic-mbv2", "-b", "nrf52840")


def test_a_certificate_is_written_and_checked(run, tmp_path):
    path = tmp_path / "proof.json"
    made = run(*CALL, "--update", "trady", "--out", str(path))
    assert made.exit_code == 0, made.output
    assert "every one of" in made.stdout
    checked = run("prove", "--check", str(path))
    assert checked.exit_code == 0
    assert checked.stdout == made.stdout
    assert json.loads(run("prove", "--check", str(path), "--json").stdout) == json.loads(path.read_text())


def test_a_changed_certificate_is_refused_in_one_line(run, tmp_path):
    path = tmp_path / "proof.json"
    run(*CALL, "--update", "head", "--out", str(path))
    data = json.loads(path.read_text())
    data["sram"]["blocks"][0]["offset"] += 8
    path.write_text(json.dumps(data))
    found = run("prove", "--check", str(path))
    assert found.exit_code == 2
    assert found.stdout == ""
    assert found.stderr.startswith("error: certificate: the seal")
    assert found.stderr.count("\n") == 1


def test_check_and_out_are_not_asked_together(run, tmp_path):
    assert run("prove", "--check", "a.json", "--out", str(tmp_path / "b.json")).exit_code == 2
    assert not (tmp_path / "b.json").exists()
